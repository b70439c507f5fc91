"""What other rules would change: every channel key's number now and under them, on live stock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.embedded.view import Number, View
from engine.rules.ruleset import RuleSet


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


def what_if(view: View, now: RuleSet | None, then: RuleSet) -> Iterator[Compared]:
    """Compare every key under the rules in force and under others, by SKU and channel.

    Without the rules in force, the last publications stand for what is now.
    """
    for stored in view.skus():
        before = view.told(stored) if now is None else view.numbers(now, stored)
        after = view.numbers(then, stored)
        for channel, location in sorted(before.keys() | after.keys(), key=_order):
            key = (channel, location)
            yield Compared(stored.sku, channel, location, before.get(key), after.get(key))


def rules_in_force(view: View, last_run: RuleSet | None) -> RuleSet | None:
    """Return the rules of the last run where the folder still says what the engine took up."""
    if last_run is None or last_run.fingerprint != view.standing.fingerprint:
        return None
    return last_run


def _order(key: tuple[str, str | None]) -> tuple[str, str]:
    return key[0], key[1] or ""
