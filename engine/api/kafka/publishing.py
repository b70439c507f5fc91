"""Publishing rules: they are checked here, and put in force by the leading ingest worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiokafka.errors import KafkaError

from engine.api.kafka.replica import Replica
from engine.api.kafka.rules import RulesInForce
from engine.api.kafka.trying import FIRST, check_beside
from engine.api.rules_turn import rules_turn
from engine.contracts.errors import UsageError
from engine.core.parts import unseen_channels
from engine.embedded.counter import UnknownOutcomeError
from engine.embedded.rules_desk import (
    PublishedRules,
    RulesChangedError,
    RulesConflictError,
    RulesOrder,
    check_expected,
    other_settings,
)
from engine.kafka.contents import Contents, pointers
from engine.kafka.rules_files import Unpacked
from engine.kafka.rules_orders import CHANGED, SETTINGS, UNUSABLE, Verdict, order_rules
from engine.kafka.settings import KafkaSettings
from engine.rules.cases import check_cases
from engine.rules.catalogue import ITEMS_FILE, LOCATIONS_FILE
from engine.rules.checking import CheckedFolder

WAIT_SECONDS: Final = 10.0
"""The longest wait for the leading ingest worker, and then for the ledger."""
LOOK_EVERY_S: Final = 0.02


class Publishing:
    """Has rules published, for one caller of this process at a time."""

    def __init__(self, settings: KafkaSettings, replica: Replica, rules: RulesInForce) -> None:
        self._settings = settings
        self._replica = replica
        self._rules = rules
        self._contents = Contents(settings)
        self._one = asyncio.Lock()

    async def publish(self, order: RulesOrder) -> PublishedRules:
        """Put rules in force in every partition, in place of those that are.

        Raises:
            RulesError: they have mistakes.
            CasesFailedError: they fail their own cases.
            RulesChangedError: other rules are in force than were expected.
            SettingsError: they change settings, and may not.
            RulesConflictError: a partition cannot hold so many channels, or the leading worker
                cannot use them.
            OverloadedError: others are publishing.
            UnknownOutcomeError: nobody has told in time what became of it.
        """
        async with rules_turn(self._one):
            return await self._publish(order)

    async def _publish(self, order: RulesOrder) -> PublishedRules:
        check_expected((await self._rules.newest()).fingerprint, order.expected)
        staying = await self._staying()
        checked = await asyncio.to_thread(_check, order.files, staying)
        self._check_channels(checked)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                verdict = await order_rules(
                    self._settings, order.files, order.expected, order.settings_too
                )
        except (TimeoutError, KafkaError) as error:
            raise _unknown("no ingest worker has told what became of it") from error
        _raise_refusal(verdict)
        await self._until_in_force(verdict.content)
        return PublishedRules(
            verdict.fingerprint,
            verdict.before,
            verdict.put,
            verdict.kept,
            verdict.removed,
            len(checked.cases),
            checked.warnings,
        )

    async def _staying(self) -> Unpacked:
        """The files in force with their cases; the catalogue as the topics have it."""
        base = (await pointers(self._settings)).base
        in_force = await self._rules.files_of(FIRST)
        if base is not None:
            files = Unpacked(await self._contents.read(base)).files
            catalogue = (LOCATIONS_FILE, ITEMS_FILE)
            now = {name: in_force.files[name] for name in catalogue if name in in_force.files}
            in_force.files = {**files, **now}
        return in_force

    def _check_channels(self, checked: CheckedFolder) -> None:
        for number in range(len(self._replica.tables)):
            try:
                unseen_channels(self._replica.standing(number).channels, checked.rules)
            except UsageError as error:
                raise RulesConflictError(error.message, error.advice) from error

    async def _until_in_force(self, content: str) -> None:
        """Wait until every partition has met the rules, as far as this process knows."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while any(ledger.rules != content for ledger in self._replica.ledgers):
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError as error:
            raise _unknown("not every partition of the ledger has met the rules yet") from error


def _check(files: Mapping[str, bytes], staying: Unpacked) -> CheckedFolder:
    checked = check_beside(files, staying)
    check_cases(checked.rules, checked.cases)
    return checked


def _raise_refusal(verdict: Verdict) -> None:
    if verdict.refusal == CHANGED:
        raise RulesChangedError(verdict.before)
    if verdict.refusal == SETTINGS:
        raise other_settings()
    if verdict.refusal == UNUSABLE:
        raise RulesConflictError(
            f"the leading ingest worker cannot use them: {verdict.reason}",
            "Nothing was published. Files or catalogue topics have changed meanwhile, or ingest "
            "workers run another version: get the rules, and send yours again.",
        )


def _unknown(reason: str) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        reason,
        "The rules may still be put in force. Get them, and see whether your change is there; if "
        "it is not, see that an ingest worker runs.",
    )
