"""One input from its file to its lines: unpacking, finding the old place again, cutting."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.contracts.csv_rows import csv_row_to_json
from engine.embedded.inputs_csv import MOVEMENT_COLUMNS, CsvRows
from engine.embedded.inputs_files import STDIN, InputFile, input_key, is_csv
from engine.embedded.inputs_gate import Gate
from engine.embedded.inputs_lines import LineCutter, Segment
from engine.embedded.inputs_packed import DamagedError, Plain, Unpacker, unpacker
from engine.embedded.inputs_position import HEAD_BYTES, Damage, Position, head_digest


class Cutting:
    """Cuts unpacked bytes into the lines of movements, by the kind of the input."""

    def __init__(self, path: str, gate: Gate, columns: Sequence[str]) -> None:
        assert gate.start is not None
        csv = is_csv(path)
        self._gate = gate
        self._lines = LineCutter(gate.start, plain=csv)
        head = bytes(gate.head.data)
        self._rows = CsvRows(path, csv_row_to_json, gate.start, head, columns) if csv else None

    @property
    def place(self) -> tuple[int, int]:
        """The (offset, physical lines) after the last whole line or row."""
        return self._lines.place if self._rows is None else self._rows.place

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes have come of a line or row that is not whole."""
        return self._lines.unfinished_bytes + self._lines.place[0] - self.place[0]

    def feed(self, piece: bytes) -> Iterator[Segment]:
        """Yield the lines that the bytes complete."""
        yield from self._told(self._lines.feed(piece))

    def finish(self) -> Iterator[Segment]:
        """Yield what is left at the end of the input."""
        yield from self._told(self._lines.finish())
        if self._rows is not None:
            yield from self._headed(self._rows.finish())

    def _told(self, segment: Segment | None) -> Iterator[Segment]:
        if segment is not None and self._rows is not None:
            segment = self._rows.feed(segment)
        yield from self._headed(segment)

    def _headed(self, segment: Segment | None) -> Iterator[Segment]:
        if segment is not None:
            segment.head = self._gate.head
            yield segment


class Stream:
    """The lines of one input, from where it was left.

    `segments` are those not yet wholly taken, and `taken` is how many lines of the first of them
    are. `ended` is set when no more segments come; when the end is not the true one, that is
    added to `damages`. With `follow` a regular file has no end: what is appended is read, and
    when another file takes its name, or it is cut, that is read from its start.
    """

    def __init__(
        self,
        path: str,
        saved: Position | None,
        follow: bool,
        stdin: int,
        damages: list[Damage],
        columns: Sequence[str] = MOVEMENT_COLUMNS,
    ) -> None:
        self.path = path
        self._columns = columns
        self.key = input_key(path)
        self.segments: deque[Segment] = deque()
        self.taken = 0
        self.ended = False
        self._damages = damages
        self._damaged = False
        self._stdin = stdin
        self._follow = follow
        self._saved = saved or Position()
        self._file: InputFile | None = None
        self._unpacker: Unpacker = Plain()
        self._pieces: Iterator[bytes] = iter(())
        self._gate = Gate(Position())
        self._cutting: Cutting | None = None
        self._last: Segment | None = None
        self._done_bytes = 0
        self._stored_bytes: int | None = None
        self._unchanged = False

    # --- reading -------------------------------------------------------------------------------

    def fill(self) -> bool:
        """Read on until there is a segment; return whether there is one.

        Raises:
            UsageError: the input is a CSV file without a proper header.
        """
        while not self.segments and not self.ended:
            try:
                if not self._advance():
                    return False
            except OSError as error:
                self._break_off(f"it cannot be read: {error.strerror or error}")
            except DamagedError as error:
                self._break_off(str(error))
        return bool(self.segments)

    def next_segment(self) -> None:
        """Be done with the first segment."""
        self.segments.popleft()
        self.taken = 0

    def waits_on(self) -> int | None:
        """Return the descriptor to wait on for more; None for a regular file."""
        if self._file is None or self._file.regular:
            return None
        return self._file.descriptor

    def _advance(self) -> bool:
        """Do one step of reading; return False when nothing is there for now."""
        if self._file is None:
            self._open()
            return True
        piece = next(self._pieces, None)
        if piece is not None:
            self._take(piece)
            return True
        data = self._file.read()
        if data is None:
            return False
        if data:
            self._pieces = self._unpacker.feed(data)
            return True
        if self._follow and self._file.regular:
            return self._turn_over()
        self._finish()
        return True

    def _open(self) -> None:
        file = self._file = InputFile(self.path, self._stdin)
        self._unpacker = unpacker(self.path, file.read_at if file.regular else None)
        saved = self._saved
        if saved.completed and (self.path == STDIN or not file.regular):
            saved = self._saved = Position()  # a pipe brings new content every time
        self._gate = Gate(saved)
        if saved.offset and file.regular and isinstance(self._unpacker, Plain):
            self._seek(file, saved)
        self._begin_cutting()

    def _seek(self, file: InputFile, saved: Position) -> None:
        """Go on in a plain file where it was left, if it is still the same."""
        head = file.read_at(0, HEAD_BYTES)
        same = head_digest(head[: saved.head_length]) == saved.head_digest
        if same and file.size() >= saved.offset:
            self._gate.passed(head)
            file.go_to(saved.offset)
        else:
            self._gate.give_up()

    def _begin_cutting(self) -> None:
        if self._cutting is None and self._gate.start is not None:
            self._cutting = Cutting(self.path, self._gate, self._columns)

    def _take(self, piece: bytes) -> None:
        """Take unpacked bytes: skip what was read before, cut the rest into lines."""
        piece = self._gate.feed(piece)
        if self._cutting is None:
            self._begin_cutting()
            if self._is_unchanged():
                self._unchanged = True
                self._close()
                return
        if piece:
            self._cut(piece)

    def _cut(self, piece: bytes) -> None:
        assert self._cutting is not None
        self._add(self._cutting.feed(piece))

    def _add(self, segments: Iterator[Segment]) -> None:
        for segment in segments:
            self.segments.append(segment)
            self._last = segment

    def _is_unchanged(self) -> bool:
        """Return whether this is a file that was read to its end before, and is as long still."""
        file = self._file
        assert file is not None
        known = self._gate.recognised and self._saved.completed and file.regular
        return known and file.size() == self._saved.stored_bytes

    # --- the end -------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The file has ended: so has the input, or it is not the one that was read before."""
        assert self._file is not None
        self._unpacker.finish()
        if self._cutting is None:
            rest = self._gate.give_up()
            self._begin_cutting()
            self._cut(rest)
        if self._gate.short:
            if not self._file.regular:
                raise DamagedError("it ends before the place up to which it was read last time")
            self._begin_anew()
            return
        assert self._cutting is not None
        self._add(self._cutting.finish())
        self._close()

    def _turn_over(self) -> bool:
        """At the present end of a followed file: go over to the file that has its name now."""
        assert self._file is not None
        if not self._file.replaced():
            return False
        try:
            self._unpacker.finish()
        except DamagedError as error:
            self._note(str(error))
        else:
            if self._cutting is not None:
                self._add(self._cutting.finish())
        self._begin_anew()
        return True

    def _begin_anew(self) -> None:
        """Open the path again and read it from its start."""
        assert self._file is not None
        self._file.close()
        self._file = None
        self._cutting = None
        self._saved = Position()

    def _break_off(self, message: str) -> None:
        """End early: whole lines are delivered, an unfinished one stays for a mended file."""
        if self._cutting is None and self._file is not None:
            rest = self._gate.give_up()
            self._begin_cutting()
            self._cut(rest)
        self._note(message)
        self._close()

    def _note(self, message: str) -> None:
        left = self._cutting.unfinished_bytes if self._cutting else 0
        if left:
            message += f"; the unfinished line before that ({left} bytes) was not taken"
        self._damaged = True
        self._damages.append(Damage(self.path, self._file.done_bytes if self._file else 0, message))

    def _close(self) -> None:
        self.ended = True
        self._pieces = iter(())
        if self._file is not None:
            self._stored_bytes = self._file.size() if self._file.regular else None
            self._done_bytes = self._stored_bytes or self._file.done_bytes
            self._file.close()

    def close(self) -> None:
        """Let go of the file, wherever reading stands."""
        if not self.ended:
            self._close()

    # --- figures -------------------------------------------------------------------------------

    def position(self, segment: Segment, count: int) -> Position:
        """Return the state of the input after the first `count` lines of one of its segments."""
        assert segment.head is not None
        offset, line = segment.place(count)
        if self._is_complete() and segment is self._last and count >= len(segment.lines):
            return self._final()
        return Position(offset, line, segment.head.digest(offset))

    def standing(self) -> Position:
        """Return the state of the input after everything that was taken of it."""
        if self.segments:
            return self.position(self.segments[0], self.taken)
        if self._cutting is None or self._unchanged:
            return self._saved
        if self._is_complete():
            return self._final()
        offset, line = self._cutting.place
        return Position(offset, line, self._gate.head.digest(offset))

    def _is_complete(self) -> bool:
        return self.ended and not self._damaged

    def _final(self) -> Position:
        assert self._cutting is not None
        offset, line = self._cutting.place
        digest = self._gate.head.digest(offset)
        return Position(offset, line, digest, True, self._stored_bytes or 0)

    def progress(self) -> tuple[int, int | None]:
        """Return the bytes of the file that were read, and how many there are if that is known."""
        if self.ended:
            return self._done_bytes, self._stored_bytes
        if self._file is not None:
            size = self._file.size() if self._file.regular else None
            return self._file.done_bytes, size
        path = Path(self.path)
        return 0, path.stat().st_size if path.is_file() else None
