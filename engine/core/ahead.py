"""Ahead of a tick: what SKUs will be told on it if nothing touches them until then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.contracts import records
from engine.contracts.availability import Availability, Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import Trace
from engine.core.faces import Faces
from engine.core.outlets import Outlet
from engine.core.sums import Sums
from engine.ledger.book import Book, Sku
from engine.publication.throttle import STATUS_NAMES


class Ready(NamedTuple):
    """What a SKU will be told on a tick, worked out ahead: good while `trace` is its newest.

    `told` has the outlet, its slot, value, status and the record of each publication.
    """

    trace: Trace
    told: list[tuple[Outlet, int, int, int, Availability]]


class Ahead:
    """Looks ahead to the next tick, under the rules in force."""

    def __init__(self, book: Book, sums: Sums, faces: Faces) -> None:
        self._book = book
        self._sums = sums
        self._faces = faces
        self._tick = records.NEVER
        self._ready: dict[str, Ready] = {}
        self._seen = 0

    def take(self, tick: int) -> Mapping[str, Ready]:
        """Return what was worked out for the tick, by SKU, and forget it."""
        ready, self._ready = self._ready, {}
        return ready if self._tick == tick else {}

    def look(self, tick: int, most: int) -> bool:
        """Work out what dirty SKUs, `most` of them at a time, will be told on the next tick.

        Nothing is told before the tick, and what a SKU is told is worked out anew if anything
        touches it meanwhile. Returns whether some have not been looked at.
        """
        if not self._faces.whole:
            return False
        if self._tick != tick:
            self._ready, self._tick, self._seen = {}, tick, 0
        time, dirty = format_instant(tick), self._book.dirty
        upto = self._seen + most
        for sku in dirty[self._seen : upto]:
            ready = self._work_out(sku, time)
            if ready is not None:
                self._ready[sku.name] = ready
        self._seen = min(upto, len(dirty))
        return self._seen < len(dirty)

    def _work_out(self, sku: Sku, time: str) -> Ready | None:
        """Return what the SKU would be told; None where something holds a publication back.

        None, too, of a SKU last summed under other rules. A commit may come before the tick, and
        what is stored must not tell that somebody looked.
        """
        record = sku.record
        if record.epoch != self._sums.epoch:
            return None
        self._sums.fold(self._book, sku)
        published = record.published
        trace = record.trail[-1]
        cause = Cause(*trace[:3])
        told: list[tuple[Outlet, int, int, int, Availability]] = []
        for face in self._faces.of(sku):
            value, status = self._faces.value(sku, face)
            outlet, slot, version = face.outlet, face.slot, 1
            last = published[slot] if slot < len(published) else None
            if last is not None:
                if last.since or last.blamed is not None:
                    return None
                if value == last.value and status == last.status and last.version:
                    continue
                version = last.version + 1
            if face.interval is not None:
                return None
            line = Availability(
                sku.name, outlet.name, None, value, STATUS_NAMES[status], version, time, cause
            )
            told.append((outlet, slot, value, status, line))
        return Ready(trace, told)
