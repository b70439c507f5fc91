"""Which keys a channel's limits hold back, as the store knows it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contracts import records
from engine.core.outlets import Outlet
from engine.ledger.book import Reader
from engine.publication.timers import Ref

# A key that a channel's limits hold back: the channel's slot, and the key.
Held = tuple[int, Ref]


class HeldKeys:
    """What has changed about the keys held back since the last commit, and what the store has.

    A key is kept with the tick whose state its value is of. Most keys that a limit holds back for
    some ticks never reach the store as such.
    """

    def __init__(self) -> None:
        self._changed: dict[Held, int | None] = {}
        self._stored: set[Held] = set()

    def note(self, outlets: Sequence[Outlet]) -> None:
        """Note what the channels' limits hold back by now, and what they do not any more."""
        for outlet in outlets:
            slot, throttle = outlet.slot, outlet.throttle
            throttle.rest()  # a commit may come in the midst of a tick
            for ref in throttle.changed:
                change = throttle.pending.get(ref)
                self._changed[slot, ref] = None if change is None else change.considered
            throttle.changed.clear()

    def take_changes(self, outlets: Sequence[Outlet]) -> dict[bytes, bytes | None]:
        """Return what has changed about the keys held back, for the store."""
        self.note(outlets)
        changed: dict[bytes, bytes | None] = {}
        for held, considered in self._changed.items():
            if considered is None:
                if held in self._stored:
                    self._stored.discard(held)
                    changed[_name_of(held)] = None
            else:
                self._stored.add(held)
                changed[_name_of(held)] = considered.to_bytes(8, "big", signed=True)
        self._changed = {}
        return changed

    def read(self, reader: Reader) -> dict[Held, int]:
        """Return what is held back, in the store or not yet, each with its tick."""
        found: dict[Held, int | None] = {}
        for name, stored in reader.scan(records.PENDING):
            sku, _, location = name[2:].decode().partition("|")
            found[name[1], (sku, location)] = int.from_bytes(stored, "big", signed=True)
        self._stored.update(found)
        found.update(self._changed)
        return {held: tick for held, tick in found.items() if tick is not None}


def _name_of(held: Held) -> bytes:
    slot, (sku, location) = held
    return records.PENDING + bytes([slot]) + f"{sku}|{location}".encode()
