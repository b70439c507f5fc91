"""All the work on the movements of some SKUs, with the state in memory.

Whoever owns a shard feeds it movements in their order, each with the clock as it then stands, and
keeps what `dump` gives.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from benchmarks.peers.plain.instants import HOUR
from benchmarks.peers.plain.ledger import (
    WINDOW,
    Ledger,
    available,
    is_forgotten,
    reservation_exists,
)
from benchmarks.peers.plain.movements import Movement, content, identity
from benchmarks.peers.plain.publications import publish
from benchmarks.peers.plain.state import FOREVER, OPEN, Kept, Sku

BUCKET: Final = 12 * HOUR

_encode = msgspec.msgpack.Encoder().encode
load = msgspec.msgpack.Decoder(Kept).decode

Outlet = Callable[[str, bytes], None]
"""Takes what is published: the channel, and the record."""


@dataclass
class Journal:
    """What changed since it was emptied last, for owners that keep no whole shards.

    `reservations` are pairs of SKU and name; `identities` are followed by their content each.
    """

    skus: set[str] = field(default_factory=set)
    reservations: set[tuple[str, str]] = field(default_factory=set)
    identities: list[bytes] = field(default_factory=list)

    def clear(self) -> None:
        """Empty it."""
        self.skus.clear()
        self.reservations.clear()
        self.identities.clear()


class Shard:
    """Some SKUs.

    With a tick, what changed is published on whole multiples of it, with the stock as it stood
    before the first movement that takes the clock there; without one (0), at once. All instants
    are microseconds.
    """

    def __init__(
        self,
        tick: int,
        outlet: Outlet,
        kept: Kept | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._tick = tick
        self._outlet = outlet
        self._journal = journal
        self._ledger = Ledger(self._schedule, self._note)
        self._kept = Kept() if kept is None else kept
        self._skus = self._kept.skus
        self._seen = self._kept.seen
        self._expiries = self._kept.expiries
        self._changed = self._kept.changed

    @property
    def skus(self) -> Mapping[str, Sku]:
        """All SKUs that it knows."""
        return self._skus

    def dump(self) -> bytes:
        """All that a new shard needs to go on; `load` reads it."""
        return _encode(self._kept)

    def take(self, m: Movement, clock: int) -> str | None:
        """Take a valid movement; the code of its refusal, or None."""
        key = identity(m)
        told = content(m)
        for bucket in self._seen.values():
            known = bucket.get(key)
            if known is not None:
                return None if known == told else "conflicting_duplicate"
        name = m.sku
        sku = self._skus.get(name)
        if reservation_exists(sku, m, clock):
            return "reservation_exists"
        if clock > self._kept.clock:
            self.advance(clock)
        self._seen.setdefault(clock // BUCKET, {})[key] = told
        if self._journal is not None:
            self._journal.identities.append(key + told)
        if sku is None:
            sku = self._skus[name] = Sku()
        if self._ledger.apply(sku, m, clock):
            self._tell(name, sku, clock, clock + 1)
        return None

    def advance(self, now: int) -> None:
        """Move the clock, with all that falls due: at one instant expiries, then ticks."""
        expiries = self._expiries
        while (expiries and expiries[0][0] <= now) or self._kept.next_tick <= now:
            if expiries and expiries[0][0] <= self._kept.next_tick:
                due, name, reservation = heapq.heappop(expiries)
                sku = self._skus[name]
                if self._ledger.expire(sku, name, reservation, due):
                    self._tell(name, sku, due, due)
            else:
                self._publish_all(self._kept.next_tick)
        self._kept.clock = max(self._kept.clock, now)
        if self._kept.clock >= self._kept.forget_at:
            self._forget()

    def _tell(self, name: str, sku: Sku, now: int, tick_from: int) -> None:
        if self._journal is not None:
            self._journal.skus.add(name)
        if self._tick:
            self._changed[name] = None
            if self._kept.next_tick == FOREVER:
                self._kept.next_tick = -(-tick_from // self._tick) * self._tick
            return
        for channel, record in publish(name, sku, now):
            self._outlet(channel, record)

    def _publish_all(self, instant: int) -> None:
        if self._journal is not None:
            self._journal.skus.update(self._changed)
        for name in self._changed:
            for channel, record in publish(name, self._skus[name], instant):
                self._outlet(channel, record)
        self._changed.clear()
        self._kept.next_tick = FOREVER

    def find_pending(self) -> None:
        """Find what is to be published and when reservations expire: both follow from the SKUs."""
        for name, sku in self._skus.items():
            if any(available(sku, channel) != told for channel, told in enumerate(sku.told)):
                self._changed[name] = None
            for reservation, one in sku.reservations.items():
                if one.status == OPEN and not one.confirmed and one.expires is not None:
                    self._schedule(one.expires, name, reservation)
        if self._changed:
            self._kept.next_tick = (self._kept.clock // self._tick + 1) * self._tick

    @property
    def clock(self) -> int:
        """The clock."""
        return self._kept.clock

    def _note(self, sku: str, reservation: str) -> None:
        if self._journal is not None:
            self._journal.reservations.add((sku, reservation))

    def _schedule(self, instant: int, sku: str, reservation: str) -> None:
        heapq.heappush(self._expiries, (instant, sku, reservation))

    def _forget(self) -> None:
        """Drop what is older than anybody has to know."""
        self._kept.forget_at = self._kept.clock + HOUR
        for bucket in [b for b in self._seen if (b + 1) * BUCKET < self._kept.clock - WINDOW]:
            del self._seen[bucket]
        for sku in self._skus.values():
            old = [
                name
                for name, one in sku.reservations.items()
                if is_forgotten(one, self._kept.clock)
            ]
            for name in old:
                del sku.reservations[name]
