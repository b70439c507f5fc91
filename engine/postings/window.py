"""The posting window: stock changes summed into the documents that the ERP books.

Windows are the whole multiples of their length. A movement goes into the window of when it
occurred. Where that one has passed the movement is late, and goes into the one that holds the
clock. Where it is still to come, since a source's clock is ahead of the wall clock, the movement
waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from engine.contracts.instants import format_instant
from engine.contracts.postings import Posting, PostingLine
from engine.ledger.book import DISPOSITIONS, Entry

MAX_LINES = 500  # lines a document
SECOND = 1_000_000  # microseconds
QUARTER_HOUR = 900_000_000  # microseconds; every time zone's offset today is a multiple of it
DAY = 86_400_000_000  # microseconds
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# Per SKU, what its stock changed by and in how many movements, in one integer: see `COUNT_BITS`.
Sums = dict[str, int]
COUNT_BITS = 40  # the low bits of a sum count its movements; what is above is the signed quantity
COUNT_MASK = (1 << COUNT_BITS) - 1

# A line of a document: location, SKU, disposition, signed quantity, movements.
Line = tuple[str, str, str, int, int]

# What waits for a window that is still to come, with its business date (ordinal): the catalogue may
# be another by then.
Waiting = tuple[int, Entry]

# A group is what shares a document: business date (ordinal), and type.
Group = tuple[int, str]


class Place(NamedTuple):
    """One location's sums of one group, by disposition; `start` to `end` is on its business date.

    The span may be shorter than the date: it is what is known without asking the calendar again.
    """

    start: int
    end: int
    sums: tuple[Sums, Sums, Sums]


class _Saved(msgspec.Struct, array_like=True, gc=False):
    """What one commit keeps of the open window and of those to come.

    The open one's start and length, the time zone of each location that has one, what was booked,
    and what has waited since an earlier window.
    """

    start: int | None
    length: int
    zones: dict[str, str]
    entries: list[Entry]
    waiting: list[Waiting] = []


class _Opened(msgspec.Struct, array_like=True, gc=False):
    """The beginning of what one commit keeps."""

    start: int | None
    length: int


class Window:
    """The open window: what each SKU's stock changed by, grouped as the documents will be.

    `start` is None while nothing is booked. What belongs to a window that is still to come waits as
    it is, until that one closes. `timezone_of` gives the time zone of a location, None for UTC.
    """

    def __init__(self, length: int, timezone_of: Callable[[str], str | None]) -> None:
        self.length = length
        self.start: int | None = None
        self.unsaved: list[Entry] = []
        self._stored: list[bytes] = []
        self._waiting: list[Waiting] = []
        self._unsaved_waiting: list[Waiting] = []
        self._groups: dict[Group, dict[str, tuple[Sums, Sums, Sums]]] = {}
        self._places: dict[str, dict[str, Place]] = {}
        self._timezone_of = timezone_of
        self._zones: dict[str, ZoneInfo | None] = {}
        self._zoned: set[str] = set()
        self._dates: dict[tuple[str, int], int] = {}

    @property
    def end(self) -> int | None:
        """The instant at which the open window closes."""
        return None if self.start is None else self._end

    @property
    def _end(self) -> int:
        assert self.start is not None, "something is booked"
        return self.start + self.length

    def book(self, entries: Sequence[Entry], clock: int) -> None:
        """Add stock changes to their windows; the one that holds the clock must be the open one."""
        if self.start is None:
            self.start = clock - clock % self.length
        self.unsaved.extend(entries)
        self._add(entries)

    def _add(self, entries: Iterable[Entry]) -> None:
        by_type = self._places
        for kind, at, location, sku, disposition, quantity, counts_as in entries:
            places = by_type.get(kind)
            place = None if places is None else places.get(location)
            if place is None or not place[0] <= at < place[1]:
                if at >= self._end:
                    entry = (kind, at, location, sku, disposition, quantity, counts_as)
                    self._waiting.append((self._date_at(location, at), entry))
                    continue
                place = self._find_place(kind, location, at)
            sums = place[2][disposition]
            sums[sku] = sums.get(sku, 0) + (quantity << COUNT_BITS) + counts_as

    def _find_place(self, kind: str, location: str, at: int) -> Place:
        """Return where a stock change of the instant is summed, and remember it for the next."""
        length = DAY if self._zone_of(location) is None else QUARTER_HOUR
        start = at - at % length
        sums = self._sums(self._date_at(location, at), kind, location)
        place = Place(start, min(start + length, self._end), sums)
        self._places.setdefault(kind, {})[location] = place
        return place

    def _sums(self, day: int, kind: str, location: str) -> tuple[Sums, Sums, Sums]:
        group = self._groups.setdefault((day, kind), {})
        sums = group.get(location)
        if sums is None:
            sums = group[location] = ({}, {}, {})
        return sums

    def _take_up_waiting(self) -> None:
        """Add to the open window what has waited for it."""
        waiting, self._waiting = self._waiting, []
        for day, entry in waiting:
            kind, at, location, sku, disposition, quantity, counts_as = entry
            if at >= self._end:
                self._waiting.append((day, entry))
                continue
            sums = self._sums(day, kind, location)[disposition]
            sums[sku] = sums.get(sku, 0) + (quantity << COUNT_BITS) + counts_as

    def close(self, sequence: int, next_length: int) -> list[Posting]:
        """Return the open window's documents, numbered from `sequence`, and open the next one.

        Without anything that waits for it, or for a later one, the next is not open yet.
        """
        if self.start is None:
            self.length = next_length
            return []
        end = self._end
        self._take_up_stored()
        self._take_up_waiting()
        documents: list[Posting] = []
        for (day, kind), places in sorted(self._groups.items()):
            lines = list(_lines_of(places))
            for first in range(0, len(lines), MAX_LINES):
                part = lines[first : first + MAX_LINES]
                number = sequence + len(documents)
                documents.append(_document(number, self.start, end, day, kind, part))
        self._groups = {}
        self._places = {}
        self.length = next_length
        self.start = end - end % next_length if self._waiting else None
        self.unsaved = []
        self._unsaved_waiting = list(self._waiting)
        return documents

    def take_changes(self) -> bytes | None:
        """Return what was booked since the last call, for the store."""
        if not self.unsaved and not self._unsaved_waiting:
            return None
        zones = {}
        if self._zoned:
            booked = self._zoned.intersection([entry[2] for entry in self.unsaved])
            zones = {place: zone.key for place in sorted(booked) if (zone := self._zone_of(place))}
        saved = _Saved(self.start, self.length, zones, self.unsaved, self._unsaved_waiting)
        self.unsaved, self._unsaved_waiting = [], []
        return msgspec.msgpack.encode(saved)

    def restore(self, saved: Sequence[bytes]) -> None:
        """Take up what `take_changes` gave before; what was booked is looked at when it is posted.

        The open window keeps the length that it had, and its lines the business dates that they
        had, whatever the rules and the catalogue say by now.
        """
        self._stored = list(saved)
        if saved:
            opened = msgspec.msgpack.decode(saved[-1], type=_Opened)
            self.start, self.length = opened.start, opened.length

    def _take_up_stored(self) -> None:
        if not self._stored:
            return
        stored, self._stored = self._stored, []
        fresh, self._waiting = self._waiting, []
        for packed in stored:
            found = msgspec.msgpack.decode(packed, type=_Saved)
            known = {place: ZoneInfo(name) for place, name in found.zones.items()}
            self._places.clear()
            self._zones = {entry[2]: known.get(entry[2]) for entry in found.entries}
            self._waiting += found.waiting
            self._add(found.entries)
        self._waiting += fresh
        self.forget_zones()

    def forget_zones(self) -> None:
        """Ask for the locations' time zones again: the catalogue may be another."""
        self._zones.clear()
        self._zoned.clear()
        self._places.clear()

    def _zone_of(self, location: str) -> ZoneInfo | None:
        if location not in self._zones:
            timezone = self._timezone_of(location)
            self._zones[location] = None if timezone is None else ZoneInfo(timezone)
            if timezone is not None:
                self._zoned.add(location)
        return self._zones[location]

    def _date_at(self, location: str, at: int) -> int:
        """Return the business date (ordinal) of an instant at the location."""
        zone = self._zone_of(location)
        if zone is None:
            return at // DAY + EPOCH_ORDINAL
        quarter = at // QUARTER_HOUR
        key = (zone.key, quarter)
        found = self._dates.get(key)
        if found is None:
            found = self._dates[key] = _date_in(zone, quarter * QUARTER_HOUR)
        return found


def _lines_of(places: dict[str, tuple[Sums, Sums, Sums]]) -> Iterator[Line]:
    """Yield the lines of one group in order of location, SKU and disposition's name.

    What has come to nothing needs no booking.
    """
    for location, by_disposition in sorted(places.items()):
        lines = [
            (sku, name, packed >> COUNT_BITS, packed & COUNT_MASK)
            for name, sums in zip(DISPOSITIONS, by_disposition, strict=True)
            for sku, packed in sums.items()
        ]
        lines.sort()
        for sku, name, quantity, movements in lines:
            if quantity:
                yield location, sku, name, quantity, movements


def _date_in(zone: ZoneInfo, at: int) -> int:
    """Return the ordinal of the local date; of the UTC one where the calendar ends."""
    try:
        local = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(zone)
    except OverflowError:
        return at // DAY + EPOCH_ORDINAL
    return local.date().toordinal()


def _document(
    sequence: int,
    start: int,
    end: int,
    day: int,
    kind: str,
    part: list[Line],
) -> Posting:
    business_date = date.fromordinal(day).isoformat()
    compact = format_instant(start - start % SECOND).replace("-", "").replace(":", "")
    return Posting(
        document=f"{compact}-{kind}-{business_date}-{sequence}",
        sequence=sequence,
        window_start=format_instant(start),
        window_end=format_instant(end),
        business_date=business_date,
        type=kind,
        lines=[
            PostingLine(location, sku, disposition, quantity)
            for location, sku, disposition, quantity, _ in part
        ],
        movements=sum(movements for *_, movements in part),
    )
