"""From blocks of bytes to lines, each with the place where it came from.

The ordinary block costs one split and one look at its smallest line; where a line ends in the
file is computed only when somebody asks.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from engine.contracts.examination import BYTE_ORDER_MARK
from engine.embedded.inputs_position import Head

KEPT_LINE_BYTES: Final = 16 * 1024 * 1024
"""Of a longer line so much is kept, as evidence; the rest is skipped in constant memory."""

# A line that starts with a smaller byte is blank, or starts with white space: look at it closely.
_FIRST_VISIBLE: Final = b"!"


class Segment:
    """Lines that follow one another in one input.

    `lines` are without their line ends and hold no blank ones. `offset` is the place before the
    first line in bytes after decompression, `line` the number of physical lines before it, and
    `end` the (offset, physical lines) after the last one. `width` is the length of the line ends
    in bytes. Where lines were left out or shortened, `places` holds for each line the number of
    its first physical line, and the offset and the number of physical lines after it. `head` are
    the input's first bytes, and `instants` when each line occurred, once somebody has looked.
    """

    __slots__ = ("_known", "end", "head", "instants", "line", "lines", "offset", "places", "width")

    def __init__(
        self,
        lines: list[bytes],
        start: tuple[int, int],
        end: tuple[int, int],
        width: int = 1,
        places: list[tuple[int, int, int]] | None = None,
    ) -> None:
        self.lines = lines
        self.offset, self.line = start
        self.end = end
        self.width = width
        self.places = places
        self.head: Head | None = None
        self.instants: list[int] | None = None
        self._known = (0, self.offset)

    def place(self, count: int) -> tuple[int, int]:
        """Return the offset and the number of physical lines after the first `count` lines."""
        if count >= len(self.lines):
            return self.end
        if count == 0:
            return self.offset, self.line
        if self.places is not None:
            return self.places[count - 1][1:]
        # Counts mostly ascend, so the sum goes on from the last one asked for.
        known, offset = self._known if self._known[0] <= count else (0, self.offset)
        offset += sum(map(len, self.lines[known:count])) + self.width * (count - known)
        self._known = (count, offset)
        return offset, self.line + count

    def offsets(self) -> list[int]:
        """Return the offset after each line."""
        if self.places is not None:
            return [offset for _, offset, _ in self.places]
        sizes = [len(line) + self.width for line in self.lines]
        offsets = list(accumulate(sizes, initial=self.offset))[1:]
        offsets[-1:] = [self.end[0]]  # the last line of an input may have no end
        return offsets

    def line_number(self, index: int) -> int:
        """Return the physical number, from 1, of the line at `index`."""
        if self.places is not None:
            return self.places[index][0]
        return self.line + index + 1


class LineCutter:
    """Cuts one input's bytes into lines, wherever the blocks happen to be cut.

    `start` is the (offset, physical lines) where the bytes begin. Blank lines are left out and a
    carriage return at the end of a line is taken off, unless `plain` is set: then lines are left
    as they are, but for a byte order mark at the start of the input.
    """

    def __init__(self, start: tuple[int, int] = (0, 0), plain: bool = False) -> None:
        self._offset, self._line = start
        self._plain = plain
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._skipped_bytes = 0

    @property
    def place(self) -> tuple[int, int]:
        """The (offset, physical lines) after the last whole line."""
        return self._offset, self._line

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes of a line without an end have come."""
        return self._pending_bytes + self._skipped_bytes

    def feed(self, block: bytes) -> Segment | None:
        """Return the lines that the block completes; None when they are none."""
        lines = block.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            return None
        size = self.unfinished_bytes + len(block) - len(rest)
        if self._pending:
            self._keep(lines[0])
            lines[0] = b"".join(self._pending)
        skipped = self._skipped_bytes
        self._pending.clear()
        self._pending_bytes = self._skipped_bytes = 0
        self._keep(rest)
        returns = block.count(b"\r\n") if b"\r" in block else 0
        return self._segment(lines, size, skipped, returns)

    def finish(self) -> Segment | None:
        """Return the last line if it came without a line end."""
        if not self._pending:
            return None
        line, size, skipped = b"".join(self._pending), self.unfinished_bytes, self._skipped_bytes
        self._pending.clear()
        self._pending_bytes = self._skipped_bytes = 0
        if self._plain and self._offset == 0 and line == BYTE_ORDER_MARK:
            return None  # an empty table: its header, written to it later, begins at its start
        return self._segment([line], size, skipped, 0)

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        room = KEPT_LINE_BYTES - self._pending_bytes
        if room > 0:
            self._pending.append(piece[:room])
        self._pending_bytes += min(room, len(piece))
        self._skipped_bytes += max(0, len(piece) - room)

    def _segment(self, lines: list[bytes], size: int, skipped: int, returns: int) -> Segment | None:
        """Make the segment of lines that take `size` bytes, `skipped` of them in the first line.

        `returns` is how many of their line ends have a carriage return, as far as is known.
        """
        start = (self._offset, self._line)
        end = (self._offset + size, self._line + len(lines))
        self._offset, self._line = end
        if skipped or (start[0] == 0 and lines[0].startswith(BYTE_ORDER_MARK)):
            return self._examined(lines, start, end, skipped)
        if self._plain:
            return Segment(lines, start, end)
        if min(lines) < _FIRST_VISIBLE:
            return self._examined(lines, start, end, skipped)
        if returns == len(lines):
            return Segment([line[:-1] for line in lines], start, end, width=2)
        if returns or lines[0].endswith(b"\r"):
            return self._examined(lines, start, end, skipped)
        return Segment(lines, start, end)

    def _examined(
        self,
        lines: list[bytes],
        start: tuple[int, int],
        end: tuple[int, int],
        skipped: int,
    ) -> Segment | None:
        """Look at every line: leave out blank ones, take off what does not belong to them."""
        sizes = [len(line) + 1 for line in lines]
        sizes[0] += skipped
        ends = list(accumulate(sizes, initial=start[0]))[1:]
        ends[-1] = end[0]  # the last line of an input may have no end
        if start[0] == 0:
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        if self._plain:
            numbered = list(enumerate(lines, start[1] + 1))
        else:
            numbered = [
                (number, line.removesuffix(b"\r"))
                for number, line in enumerate(lines, start[1] + 1)
                if line.strip()
            ]
        if not numbered:
            return None
        places = [(number, ends[number - start[1] - 1], number) for number, _ in numbered]
        return Segment([line for _, line in numbered], start, end, places=places)
