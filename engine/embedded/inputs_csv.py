"""From the physical lines of a CSV file to movements as JSON, one line each.

The dialect is that of RFC 4180: commas, double quotes, quoted cells may hold line ends. A row
that cannot be read, or has another number of cells than the header, is passed on as it stands:
it is no JSON, so it is refused with its text as evidence, and the next line is read as a row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Final

from engine.contracts.errors import UsageError
from engine.contracts.examination import BYTE_ORDER_MARK
from engine.contracts.limits import MAX_MOVEMENT_BYTES
from engine.embedded.inputs_lines import Segment

MAX_ROW_BYTES: Final = MAX_MOVEMENT_BYTES
"""A row of several lines may be so long. Beyond it a quote was left open: the first line alone is
passed on, and the lines after it are rows again."""

MOVEMENT_COLUMNS: Final = (
    "id",
    "source",
    "type",
    "sku",
    "location",
    "quantity",
    "occurred_at",
)
"""The columns of a file of movements, in the usual order; the first must be there."""

_OPEN_QUOTE: Final = "unexpected end of data"  # the csv module's words

RowEncoder = Callable[[Sequence[str], Sequence[str]], bytes]


class CsvRows:
    """Turns segments of physical lines into segments of JSON lines, one input's after another.

    `encode(header, row)` makes the JSON line. `head` are the input's first bytes when reading
    goes on in its midst, so that the header is known.

    Raises:
        UsageError: the header does not name the first of `columns`, or names a column twice.
    """

    def __init__(
        self,
        path: str,
        encode: RowEncoder,
        place: tuple[int, int],
        head: bytes = b"",
        columns: Sequence[str] = MOVEMENT_COLUMNS,
    ) -> None:
        self._path = path
        self._columns = columns
        self._encode = encode
        self._header: list[str] | None = None
        self._pending: list[bytes] = []
        self._pending_ends: list[int] = []
        self._place = place
        if place[0] > 0:
            self._header, _ = self._read_header(head.removeprefix(BYTE_ORDER_MARK).split(b"\n"))

    @property
    def place(self) -> tuple[int, int]:
        """The (offset, physical lines) after the last whole row."""
        return self._place

    def feed(self, segment: Segment, last: bool = False) -> Segment | None:
        """Return the rows that the lines complete; with `last` nothing comes after them."""
        lines = self._pending + segment.lines
        start = self._place
        ends = self._pending_ends + segment.offsets()
        first = 0
        if self._header is None:
            self._header, first = self._read_header(lines)
        found = _Found(start, ends)
        done = self._read(lines, first, found, last)
        self._pending, self._pending_ends = lines[done:], ends[done:]
        self._place = found.place(done)
        if not found.lines:
            return None
        return Segment(found.lines, start, self._place, places=found.places)

    def finish(self) -> Segment | None:
        """Return what is left when the input has ended inside a quoted cell."""
        if not self._pending:
            return None
        nothing = Segment([], self._place, self._place)
        return self.feed(nothing, last=True)

    def _read(self, lines: list[bytes], start: int, found: _Found, last: bool) -> int:
        """Read rows from the line at `start` on; return how many lines are done with."""
        texts = [line.decode("utf-8", "surrogateescape") + "\n" for line in lines]
        while start < len(lines):
            reader = csv.reader(texts[start:], strict=True)
            base = start
            try:
                for row in reader:
                    stop = base + reader.line_num
                    if stop > start + 1 and found.size(start, stop) > MAX_ROW_BYTES:
                        break
                    if row:
                        found.add(self._line(row, lines, start, stop), start, stop)
                    start = stop
                else:
                    return start
            except csv.Error as error:
                unfinished = found.size(start, len(lines)) <= MAX_ROW_BYTES and not last
                if str(error) == _OPEN_QUOTE and unfinished:
                    return start
            # Not a row: this line goes on as it stands, the next one is a row again.
            found.add(lines[start].removesuffix(b"\r"), start, start + 1)
            start += 1
        return start

    def _line(self, row: list[str], lines: list[bytes], start: int, stop: int) -> bytes:
        assert self._header is not None
        if len(row) == len(self._header):
            return self._encode(self._header, row)
        return b"\n".join(lines[start:stop]).removesuffix(b"\r")

    def _read_header(self, lines: list[bytes]) -> tuple[list[str], int]:
        """Return the column names and how many lines they take."""
        texts = [line.decode("utf-8", "replace") + "\n" for line in lines]
        reader = csv.reader(texts, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
        except csv.Error:
            header = []
        if self._columns[0] not in header:
            shown = lines[0][:80].decode("utf-8", "replace")
            raise UsageError(
                f"the first row of {self._path} does not name the column "
                f"{self._columns[0]}: {shown}",
                "Start the file with a row of column names, separated by commas, that are the "
                f"names of the fields: {','.join(self._columns)}",
            )
        twice = sorted({name for name in header if name and header.count(name) > 1})
        if twice:
            raise UsageError(
                f"the first row of {self._path} names the column {twice[0]} twice",
                "Keep one of the columns, or give the other another name.",
            )
        return header, reader.line_num


class _Found:
    """The rows found in some lines, with their places."""

    def __init__(self, start: tuple[int, int], ends: list[int]) -> None:
        self.lines: list[bytes] = []
        self.places: list[tuple[int, int, int]] = []
        self._start = start
        self._ends = ends

    def place(self, count: int) -> tuple[int, int]:
        offset = self._ends[count - 1] if count else self._start[0]
        return offset, self._start[1] + count

    def size(self, start: int, stop: int) -> int:
        return self.place(stop)[0] - self.place(start)[0]

    def add(self, line: bytes, start: int, stop: int) -> None:
        self.lines.append(line)
        self.places.append((self._start[1] + start + 1, *self.place(stop)))
