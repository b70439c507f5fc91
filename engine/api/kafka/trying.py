"""Trying other rules on live stock: over the copy of the ledger's tables, partition by partition.

It runs on the event loop, as all that reads these tables does, in pieces of some milliseconds: what
is told of one SKU is as of one moment, that of another SKU may be of a later one.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from engine.api.kafka.replica import Replica
from engine.api.kafka.rules import RulesInForce
from engine.embedded.rules_trial import (
    REST_SECONDS,
    WORK_SECONDS,
    TrialWanted,
    Tried,
    busy_trying,
    check_channel,
    check_given,
)
from engine.embedded.view import View
from engine.embedded.what_if import Compared, Tally, compare, told
from engine.kafka.rules_files import Unpacked
from engine.rules.checking import CheckedFolder
from engine.rules.ruleset import RuleSet
from engine.stores.base import StoreReader

FIRST: Final = 0
"""The partition whose rules stand for those in force: others differ for a moment at most."""


class Trying:
    """Tries rules for one caller at a time."""

    def __init__(self, replica: Replica, rules: RulesInForce) -> None:
        self._replica = replica
        self._rules = rules
        self._busy = False

    async def run(self, wanted: TrialWanted) -> Tried:
        """Compare what every key is with what it would be.

        Raises:
            RulesError: the rules have mistakes.
            NotFoundError: neither the rules in force nor these have the channel.
            TrialBusyError: others are being tried.
            BrokersAwayError: the brokers do not answer.
        """
        if self._busy:
            raise busy_trying()
        self._busy = True
        try:
            return await self._run(wanted)
        finally:
            self._busy = False

    async def _run(self, wanted: TrialWanted) -> Tried:
        in_force = await self._rules.files_of(FIRST)
        checked = await asyncio.to_thread(check_beside, wanted.files, in_force)
        then = checked.rules
        newest = await self._rules.newest()
        check_channel(wanted.channel, newest, then)
        found = Tally(wanted.limit)
        async for each in self._compared(then):
            if wanted.channel is None or each.channel == wanted.channel:
                found.add(each)
        clocks = [
            standing.clock
            for standing in map(self._replica.standing, range(len(self._replica.tables)))
            if standing.clock is not None
        ]
        clock = min(clocks, default=None)
        return Tried(told(found, then, newest.fingerprint, clock, published=False), checked)

    async def _compared(self, then: RuleSet) -> AsyncIterator[Compared]:
        for partition in range(len(self._replica.tables)):
            last: str | None = ""
            while last is not None:
                now = await self._rules.of(partition)
                compared, last = _some(self._replica.tables[partition], now, then, last)
                for each in compared:
                    yield each
                await asyncio.sleep(REST_SECONDS)


def _some(
    table: StoreReader, now: RuleSet, then: RuleSet, after: str
) -> tuple[list[Compared], str | None]:
    """The keys of the SKUs after one, as many as there is time for; and the last of these SKUs."""
    rest_at = time.monotonic() + WORK_SECONDS
    view = View(table)
    found: list[Compared] = []
    for stored in view.skus(after):
        found += compare(view, now, then, stored)
        if time.monotonic() >= rest_at:
            return found, stored.sku
    return found, None


def check_beside(files: Mapping[str, bytes], in_force: Unpacked) -> CheckedFolder:
    """Check files together with those in force that stay.

    Raises:
        RulesError: there are mistakes.
    """
    with tempfile.TemporaryDirectory(prefix="sellable-rules-") as temporary:
        folder = Path(temporary)
        in_force.write_to(folder)
        return check_given(files, folder, in_force.overrides)
