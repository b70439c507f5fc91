"""Ahead of a tick: what SKUs will be told on it if nothing touches them until then."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.contracts import records
from engine.contracts.availability import Availability, Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import PublishedRecord, Trace
from engine.core.faces import Faces
from engine.core.outlets import Outlet
from engine.core.sums import Sums
from engine.ledger.book import Book, Sku
from engine.publication.throttle import STATUS_NAMES


class Ready(msgspec.Struct, frozen=True, gc=False):
    """What a SKU will be told on a tick, worked out ahead: good while `trace` is its newest.

    `published` are its last publications once that is told; `told` are the outlets and the lines,
    encoded already, of those that are new.
    """

    trace: Trace
    published: list[PublishedRecord | None]
    told: list[tuple[Outlet, msgspec.Raw]]

    def holds_for(self, sku: Sku) -> bool:
        """Return whether nothing has touched the SKU since."""
        return self.trace is sku.record.trail[-1] and not sku.touched


class Ahead:
    """Looks ahead to the next tick, under the rules in force, in rounds.

    A later round works out anew what was touched since the one before. `places` is how many
    publications a SKU's record has a place for.
    """

    def __init__(self, book: Book, sums: Sums, faces: Faces, places: int) -> None:
        self._book = book
        self._sums = sums
        self._faces = faces
        self._places = places
        # Where another passes values on, it needs them as records.
        self._may_look = bool(faces.whole) and all(out.began is None for out in faces.whole)
        self._encode = msgspec.json.Encoder().encode
        self._tick = records.NEVER
        self._ready: dict[str, Ready] = {}
        self._round = 0
        self._seen = 0

    def take(self, tick: int) -> Mapping[str, Ready]:
        """Return what was worked out for the tick, by SKU, and forget it."""
        ready, self._ready = self._ready, {}
        return ready if self._tick == tick else {}

    def look(self, tick: int, rounds: int, most: int) -> bool:
        """Work out what dirty SKUs, `most` of them at a time, will be told on the next tick.

        `rounds` is how many rounds may have begun by now. Nothing is told before the tick, and what
        a SKU is told is worked out anew if anything touches it meanwhile. Returns whether some have
        not been looked at.
        """
        if not self._may_look:
            return False
        if self._tick != tick:
            self._ready, self._tick, self._round, self._seen = {}, tick, rounds, 0
        dirty = self._book.dirty
        if self._round < rounds and self._seen >= len(dirty):
            self._round, self._seen = rounds, 0
        time, ready, worked_out = format_instant(tick), self._ready, 0
        while self._seen < len(dirty) and worked_out < most:
            sku = dirty[self._seen]
            self._seen += 1
            known = ready.get(sku.name)
            if known is None or not known.holds_for(sku):
                worked_out += 1
                found = self._work_out(sku, tick, time)
                if found is not None:
                    ready[sku.name] = found
        return self._seen < len(dirty)

    def _work_out(self, sku: Sku, tick: int, time: str) -> Ready | None:
        """Return what the SKU would be told; None where something holds a publication back.

        None, too, of a SKU last summed under other rules. A commit may come before the tick, and
        what is stored must not tell that somebody looked.
        """
        record = sku.record
        if record.epoch != self._sums.epoch:
            return None
        self._sums.fold(self._book, sku)
        published = list(record.published)
        published.extend([None] * (self._places - len(published)))
        trace = record.trail[-1]
        identity = trace[:3]
        cause = Cause(*identity)
        told: list[tuple[Outlet, msgspec.Raw]] = []
        for face in self._faces.of(sku):
            value, status = self._faces.value(sku, face)
            outlet, slot, version, log = face.outlet, face.slot, 1, None
            last = published[slot]
            if last is not None:
                if last.since or last.blamed is not None:
                    return None
                if value == last.value and status == last.status and last.version:
                    continue
                version, log = last.version + 1, last.log
            if face.interval is not None:
                return None
            published[slot] = PublishedRecord(value, status, version, tick, 0, identity, log)
            line = Availability(
                sku.name, outlet.name, None, value, STATUS_NAMES[status], version, time, cause
            )
            told.append((outlet, msgspec.Raw(self._encode(line))))
        return Ready(trace, published, told)
