"""The posting window: stock changes summed into the documents that the ERP books.

Windows are the whole multiples of their length on the engine's clock. A movement goes into the
window that holds the clock when it is applied: a movement that occurred in an earlier window is
late, and one that occurred later there is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
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

# A line: business date (ordinal), type, location, sku, disposition.
LineKey = tuple[int, str, str, str, int]


class Window:
    """The open window: one sum and one count of movements per line.

    `timezone_of` gives the time zone of a location, None for UTC.
    """

    def __init__(self, length: int, timezone_of: Callable[[str], str | None]) -> None:
        self.length = length
        self.start: int | None = None
        self.lines: dict[LineKey, list[int]] = {}
        self.unsaved: list[Entry] = []
        self._timezone_of = timezone_of
        self._zones: dict[str, ZoneInfo | None] = {}
        self._dates: dict[tuple[str, int], int] = {}

    @property
    def end(self) -> int | None:
        """The instant at which the open window closes."""
        return None if self.start is None or not self.lines else self.start + self.length

    def book(self, entries: Sequence[Entry], clock: int) -> None:
        """Add stock changes to the window that holds the clock, which must be the open one."""
        if self.start is None or not self.lines:
            self.start = clock - clock % self.length
        self.unsaved.extend(entries)
        self._add(entries)

    def _add(self, entries: Iterable[Entry]) -> None:
        lines = self.lines
        for kind, at, location, sku, disposition, quantity, counts_as in entries:
            key = (self._business_date(location, at), kind, location, sku, disposition)
            line = lines.get(key)
            if line is None:
                line = lines[key] = [0, 0]
            line[0] += quantity
            line[1] += counts_as

    def close(self, sequence: int, end: int | None = None) -> list[Posting]:
        """Return the window's documents, numbered from `sequence`, and empty it."""
        if self.start is None:
            return []
        start, end = self.start, self.start + self.length if end is None else end
        documents: list[Posting] = []
        ordered = sorted(
            ((*key[:4], DISPOSITIONS[key[4]]), line) for key, line in self.lines.items() if line[0]
        )
        for (day, kind), group in groupby(ordered, key=lambda pair: (pair[0][0], pair[0][1])):
            pairs = list(group)
            for first in range(0, len(pairs), MAX_LINES):
                part = pairs[first : first + MAX_LINES]
                number = sequence + len(documents)
                documents.append(_document(number, start, end, day, kind, part))
        self.lines = {}
        self.unsaved = []
        self.start = None
        return documents

    def take_changes(self) -> bytes | None:
        """Return what was booked since the last call, for the store."""
        if not self.unsaved:
            return None
        packed = msgspec.msgpack.encode([self.start, self.length, self.unsaved])
        self.unsaved = []
        return packed

    def restore(self, saved: Iterable[bytes]) -> None:
        """Take up what `take_changes` gave before; the open window keeps the length it had."""
        for packed in saved:
            saved_as = tuple[int, int, list[Entry]]
            self.start, self.length, entries = msgspec.msgpack.decode(packed, type=saved_as)
            self._add(entries)

    def forget_zones(self) -> None:
        """Ask for the locations' time zones again: the catalogue may be another."""
        self._zones.clear()

    def _business_date(self, location: str, at: int) -> int:
        name = self._zones.get(location, location)
        if name is None:
            return at // DAY + EPOCH_ORDINAL
        return self._local_date(location, at)

    def _local_date(self, location: str, at: int) -> int:
        if location not in self._zones:
            timezone = self._timezone_of(location)
            self._zones[location] = None if timezone is None else ZoneInfo(timezone)
        zone = self._zones[location]
        if zone is None:
            return at // DAY + EPOCH_ORDINAL
        quarter = at // QUARTER_HOUR
        key = (zone.key, quarter)
        found = self._dates.get(key)
        if found is None:
            found = self._dates[key] = _date_in(zone, quarter * QUARTER_HOUR)
        return found


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
    part: list[tuple[tuple[int, str, str, str, str], list[int]]],
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
            PostingLine(location=key[2], sku=key[3], disposition=key[4], quantity=line[0])
            for key, line in part
        ],
        movements=sum(line[1] for _, line in part),
    )
