"""What other rules would change: every channel key's number now and under them, on live stock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.answers import MaybeTime
from engine.contracts.availability import STATUSES
from engine.contracts.instants import format_instant
from engine.embedded.view import Number, StoredSku, View
from engine.rules.ruleset import RuleSet

SORTED_AT_ONCE: Final = 10_000
"""Changes that are kept, beside those asked for, before the smaller ones are dropped."""

RULES: Final = "rules"
PUBLISHED: Final = "published"

MaybeStatus = Annotated[str | None, Meta(extra_json_schema={"enum": [*STATUSES, None]})]


@dataclass(frozen=True, slots=True)
class Compared:
    """One key: what it is now and what it would be; None where it is no key of its channel."""

    sku: str
    channel: str
    location: str | None
    now: Number | None
    then: Number | None

    @property
    def changed(self) -> bool:
        """Whether the channel would be told something else."""
        return self.now != self.then


class ChannelSums(msgspec.Struct):
    """What would change on one channel: keys, and quantities in base units."""

    channel: str
    keys: int = 0
    changed: int = 0
    more: int = 0
    less: int = 0
    sold_out: int = 0
    back_in_stock: int = 0
    available_now: int = 0
    available_then: int = 0


class Change(msgspec.Struct):
    """One key that would be told something else; null where it is no key of its channel."""

    sku: str
    channel: str
    location: str | None
    now: int | None
    status_now: MaybeStatus
    then: int | None
    status_then: MaybeStatus
    difference: int


class WhatIf(msgspec.Struct):
    """What would change on live stock if these rules were published."""

    fingerprint: Annotated[str, Meta(description="Of the rules that were tried.")]
    in_force: Annotated[str, Meta(description="The fingerprint of the rules that are in force.")]
    instant: Annotated[MaybeTime, Meta(description="Where the engine's clock stood.")]
    compared_with: Annotated[
        str,
        Meta(
            description="`rules`: those in force; `published`: what was told last, since they"
            " changed meanwhile.",
            extra_json_schema={"enum": [RULES, PUBLISHED]},
        ),
    ]
    keys: int
    changed: int
    channels: list[ChannelSums]
    changes: Annotated[list[Change], Meta(description="The largest first.")]


class Tally:
    """Adds up compared keys; keeps the largest changes, up to a limit (None: all)."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._sums: dict[str, ChannelSums] = {}
        self._changes: list[Change] = []

    def add(self, each: Compared) -> None:
        """Count one key."""
        sums = self._sums.get(each.channel)
        if sums is None:
            sums = self._sums[each.channel] = ChannelSums(each.channel)
        now, then = _quantity(each.now), _quantity(each.then)
        sums.keys += 1
        sums.more += then > now
        sums.less += then < now
        sums.sold_out += now > 0 == then
        sums.back_in_stock += then > 0 == now
        sums.available_now += now
        sums.available_then += then
        if each.changed:
            sums.changed += 1
            self._changes.append(_change(each, then - now))
            if self._limit is not None and len(self._changes) >= self._limit + SORTED_AT_ONCE:
                self._cut(self._limit)

    @property
    def keys(self) -> int:
        """How many keys were compared."""
        return sum(sums.keys for sums in self._sums.values())

    @property
    def changed(self) -> int:
        """How many of them would change."""
        return sum(sums.changed for sums in self._sums.values())

    def channels(self) -> list[ChannelSums]:
        """The sums of each channel, by their names."""
        return [self._sums[name] for name in sorted(self._sums)]

    def changes(self) -> list[Change]:
        """The changes, the largest first."""
        self._cut(self._limit)
        return self._changes

    def _cut(self, limit: int | None) -> None:
        self._changes.sort(key=_by_size)
        if limit is not None:
            del self._changes[limit:]


def tally(compared: Iterable[Compared], channel: str | None, limit: int | None) -> Tally:
    """Add up what would change, on one channel or on all."""
    found = Tally(limit)
    for each in compared:
        if channel is None or each.channel == channel:
            found.add(each)
    return found


def what_if(view: View, now: RuleSet | None, then: RuleSet) -> Iterator[Compared]:
    """Compare every key under the rules in force and under others, by SKU and channel.

    Without the rules in force, the last publications stand for what is now.
    """
    for stored in view.skus():
        yield from compare(view, now, then, stored)


def compare(
    view: View, now: RuleSet | None, then: RuleSet, stored: StoredSku
) -> Iterator[Compared]:
    """Compare the keys of one SKU."""
    before = view.told(stored) if now is None else view.numbers(now, stored)
    after = view.numbers(then, stored)
    for channel, location in sorted(before.keys() | after.keys(), key=_order):
        key = (channel, location)
        yield Compared(stored.sku, channel, location, before.get(key), after.get(key))


def told(found: Tally, then: RuleSet, in_force: str, clock: int | None, published: bool) -> WhatIf:
    """What would change, as it is told; `published`: compared with what was published last.

    `in_force` is the fingerprint of the rules in force.
    """
    return WhatIf(
        fingerprint=then.fingerprint,
        in_force=in_force,
        instant=None if clock is None else format_instant(clock),
        compared_with=PUBLISHED if published else RULES,
        keys=found.keys,
        changed=found.changed,
        channels=found.channels(),
        changes=found.changes(),
    )


def rules_in_force(view: View, last_run: RuleSet | None) -> RuleSet | None:
    """Return the rules of the last run where the folder still says what the engine took up."""
    if last_run is None or last_run.fingerprint != view.standing.fingerprint:
        return None
    return last_run


def _order(key: tuple[str, str | None]) -> tuple[str, str]:
    return key[0], key[1] or ""


def _quantity(told: Number | None) -> int:
    return 0 if told is None else told[0]


def _change(each: Compared, difference: int) -> Change:
    now, status_now = each.now or (None, None)
    then, status_then = each.then or (None, None)
    return Change(
        each.sku, each.channel, each.location, now, status_now, then, status_then, difference
    )


def _by_size(each: Change) -> tuple[int, str, str, str]:
    return -abs(each.difference), each.sku, each.channel, each.location or ""
