"""Reading movement lines in batches from files, pipes and standard input, one after another.

NDJSON and CSV (`.csv`), plain or packed (`.gz`, `.zst`). Lines come as they are: nothing here
looks into them but `merge`, which must know when they occurred.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.embedded.inputs_csv import MOVEMENT_COLUMNS
from engine.embedded.inputs_files import check_paths, input_key, is_csv
from engine.embedded.inputs_lines import Segment
from engine.embedded.inputs_merge import Merge
from engine.embedded.inputs_position import Damage, Position
from engine.embedded.inputs_stream import Stream

__all__ = ["Batch", "Damage", "Inputs", "Position"]

_STANDARD_INPUT: Final = 0
# Appended lines and replaced files are not told by the kernel's poll: look again after so long.
_FOLLOW_SECONDS: Final = 0.05

# A run of lines of one segment: the stream, the segment, its first and its end line.
Part = tuple[Stream, Segment, int, int]


class Batch:
    """Lines that were read together, and where they came from.

    `lines` are without line ends; a line longer than 16 MiB has its first 16 MiB.
    """

    __slots__ = ("_ended_before", "_parts", "lines")

    def __init__(self, lines: list[bytes], parts: list[Part], ended_before: list[Stream]) -> None:
        self.lines = lines
        self._parts = parts
        self._ended_before = ended_before

    def origin(self, index: int) -> str:
        """Return where a line stands: the input as it was given, `:`, the line's number from 1."""
        for stream, segment, start, stop in self._parts:
            if index < stop - start:
                return f"{stream.path}:{segment.line_number(start + index)}"
            index -= stop - start
        raise IndexError("the batch has no such line")

    def positions(self, consumed: int) -> dict[str, Position]:
        """Return the state of the inputs after the first `consumed` lines.

        Inputs whose state has not changed since the batch before may be left out.
        """
        found = {stream.key: stream.standing() for stream in self._ended_before}
        reached: dict[str, tuple[Stream, Segment, int]] = {}
        for stream, segment, start, stop in self._parts:
            taken = min(consumed, stop - start)
            if taken == 0:
                break
            reached[stream.key] = (stream, segment, start + taken)
            consumed -= taken
        for key, (stream, segment, count) in reached.items():
            found[key] = stream.position(segment, count)
        return found


class Inputs:
    """The inputs of one run.

    They are read one after the other in the order given, each to its end; with `merge` by the
    `occurred_at` of their next lines, and at the same instant in the order given. A line whose
    `occurred_at` cannot be read is taken at once. With `follow` regular files do not end: they
    are read to what is their end now, in the order given, and then whatever comes first.

    `saved` are the positions of an earlier run: an input that begins as it did then goes on
    where it was left, anything else is read from its start. Standard input and other pipes go on
    only when their end was not reached then.

    `columns` are those that a CSV file usually has; the first must be there.

    `damages` tells what could not be read so far, in the order in which it was noticed; the
    whole lines before each were given out.

    Raises:
        UsageError: an input is missing, a folder, not readable, given twice, packed in a way
            that is not known, or a CSV file without a proper header.
    """

    def __init__(
        self,
        paths: Sequence[str],
        merge: bool = False,
        saved: Mapping[str, Position] | None = None,
        follow: bool = False,
        stdin: int = _STANDARD_INPUT,
        columns: Sequence[str] = MOVEMENT_COLUMNS,
    ) -> None:
        given = [str(path) for path in paths]
        check_paths(given, stdin)
        _check_headers(given, stdin, columns)
        self._follow = follow
        known = saved or {}
        self.damages: list[Damage] = []
        self._streams = [
            Stream(path, known.get(input_key(path)), follow, stdin, self.damages, columns)
            for path in given
        ]
        self._open = list(self._streams)
        self._merge = Merge() if merge else None
        self._ended_since: list[Stream] = []

    def __enter__(self) -> Inputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether every input is at its end and every line was given out."""
        return not self._open

    def read(
        self, limit: int, wait_seconds: float = 0.0, doorbell: int | None = None
    ) -> Batch | None:
        """Return at most `limit` lines, as soon as there are any.

        None says that no line came within `wait_seconds`, that all inputs have ended, or that
        the `doorbell` rang, a descriptor that can be read then.

        Raises:
            UsageError: a CSV input without a proper header begins.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            lines: list[bytes] = []
            parts: list[Part] = []
            ended_before = self._ended_since
            self._ended_since = []
            self._collect(lines, parts, limit)
            if lines:
                return Batch(lines, parts, ended_before)
            self._ended_since = ended_before + self._ended_since
            left = deadline - time.monotonic()
            if self.ended or left <= 0 or self._wait(left, doorbell):
                return None

    def positions(self) -> dict[str, Position]:
        """Return the state of every input after everything that `read` has given out.

        It is what to keep when the inputs have ended: that an input is complete may be learned
        only after its last line was given out.
        """
        return {stream.key: stream.standing() for stream in self._streams}

    def progress(self) -> tuple[int, int | None]:
        """Return how many bytes were read, as stored, and of how many; None if nobody knows."""
        done, total = 0, 0
        known = True
        for stream in self._streams:
            read, size = stream.progress()
            done += read
            total += size or 0
            known = known and size is not None
        return done, total if known else None

    def close(self) -> None:
        """Close the files. Closing twice does nothing."""
        for stream in self._streams:
            stream.close()

    # --- choosing ------------------------------------------------------------------------------

    def _collect(self, lines: list[bytes], parts: list[Part], limit: int) -> None:
        """Take lines up to the limit, as far as they are there."""
        while self._open and len(lines) < limit:
            part = self._next_part(limit - len(lines))
            if part is None:
                break
            stream, segment, start, stop = part
            lines += segment.lines[start:stop]
            parts.append(part)
            stream.taken = stop
            if stop == len(segment.lines):
                stream.next_segment()
        self._look_ahead()

    def _next_part(self, limit: int) -> Part | None:
        """Choose the next run of lines; None when it is not there yet."""
        if self._merge is not None:
            return self._next_merged(self._merge, limit)
        while self._open:
            stream = self._open[0]
            if stream.fill():
                segment = stream.segments[0]
                return stream, segment, stream.taken, _end(stream, segment, limit)
            if not stream.ended:
                return self._next_followed(limit) if self._follow else None
            self._drop_ended()
        return None

    def _next_followed(self, limit: int) -> Part | None:
        """Go on with the first input that has something, and stay with it."""
        for place, stream in enumerate(self._open):
            if stream.fill():
                self._open = self._open[place:] + self._open[:place]
                segment = stream.segments[0]
                return stream, segment, stream.taken, _end(stream, segment, limit)
        self._drop_ended()
        return None

    def _next_merged(self, merge: Merge, limit: int) -> Part | None:
        """Choose the input whose next line occurred first; every input must have its next line."""
        waiting = [stream for stream in self._open if not stream.fill() and not stream.ended]
        self._drop_ended()
        if waiting or not self._open:
            return None
        stream, segment, stop = merge.choose(self._open, limit)
        return stream, segment, stream.taken, stop

    def _look_ahead(self) -> None:
        """Learn about the end of inputs now, so that `ended` comes with the last line."""
        for stream in self._open if self._merge is not None else self._open[:1]:
            stream.fill()
        self._drop_ended()

    def _drop_ended(self) -> None:
        for stream in list(self._open):
            if stream.ended and not stream.segments:
                self._open.remove(stream)
                self._ended_since.append(stream)

    def _wait(self, seconds: float, doorbell: int | None) -> bool:
        """Wait until something may have come, at most so long; return whether the bell rang."""
        poll = select.poll()
        if doorbell is not None:
            poll.register(doorbell, select.POLLIN)
        for stream in self._open if self._follow or self._merge is not None else self._open[:1]:
            if stream.segments:
                continue
            descriptor = stream.waits_on()
            if descriptor is None:
                seconds = min(seconds, _FOLLOW_SECONDS)
            else:
                poll.register(descriptor, select.POLLIN)
        ready = poll.poll(seconds * 1_000)
        return any(descriptor == doorbell for descriptor, _ in ready)


def _end(stream: Stream, segment: Segment, limit: int) -> int:
    return min(len(segment.lines), stream.taken + limit)


def _check_headers(paths: Sequence[str], stdin: int, columns: Sequence[str]) -> None:
    """Read the header of every CSV file, so that a wrong one is told before anything starts."""
    for path in paths:
        if is_csv(path) and Path(path).is_file():
            stream = Stream(path, None, False, stdin, [], columns)
            try:
                stream.fill()
            finally:
                stream.close()
