"""Lines in, lines out: files that go on where the last snapshot was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from benchmarks.peers.plain.instants import SECOND
from benchmarks.peers.plain.ledger import examine
from benchmarks.peers.plain.movements import Faulty, Movement, read_movement
from benchmarks.peers.plain.publications import dead_letter
from benchmarks.peers.plain.state import NEVER
from benchmarks.peers.telling import Progress

SHARDS = 16
BYTES_AT_ONCE = 1 << 20
REFUSED = "exceptions"


class Chunk(NamedTuple):
    """Movements of one shard, each with its line and the clock then, and the clock afterwards."""

    movements: list[tuple[Movement, bytes, int]]
    refused: list[bytes]
    clock: int


class Lines(StatefulSourcePartition[tuple[str, Chunk], tuple[int, int, int]]):
    """A file, read by the megabyte; the event clock is kept with the position."""

    def __init__(self, path: Path, progress: Progress, kept: tuple[int, int, int] | None) -> None:
        self._file = path.open("rb")
        self._progress = progress
        offset, self._clock, self._done = kept or (0, NEVER, 0)
        self._file.seek(offset)
        self._ended = False

    def next_batch(self) -> list[tuple[str, Chunk]]:
        """One chunk for each shard, even an empty one: it tells the time."""
        if self._ended:
            raise StopIteration
        lines = self._file.readlines(BYTES_AT_ONCE)
        shards: list[list[tuple[Movement, bytes, int]]] = [[] for _ in range(SHARDS)]
        refused = []
        clock = self._clock
        for line in lines:
            line = line.rstrip(b"\n")
            try:
                movement = read_movement(line)
                code = examine(movement, clock)
                if code is not None:
                    raise Faulty(code)
            except Faulty as fault:
                refused.append(dead_letter(str(fault), line))
                continue
            clock = max(clock, movement.at)
            shards[crc32(movement.sku.encode()) % SHARDS].append((movement, line, clock))
        if not lines:
            self._ended = True
            clock += SECOND - clock % SECOND
        self._clock = clock
        self._done += len(lines)
        self._progress.reached(self._done)
        nothing: list[bytes] = []
        return [
            (str(shard), Chunk(movements, nothing if shard else refused, clock))
            for shard, movements in enumerate(shards)
        ]

    def snapshot(self) -> tuple[int, int, int]:
        """Where to go on."""
        return self._file.tell(), self._clock, self._done

    def close(self) -> None:
        self._file.close()


class LinesSource(FixedPartitionedSource[tuple[str, Chunk], tuple[int, int, int]]):
    """One file as the source of a flow."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress

    def list_parts(self) -> list[str]:
        return [str(self._path)]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> Lines:
        return Lines(self._path, self._progress, resume_state)


class OutFile(StatefulSinkPartition[bytes, int]):
    """A file that is cut back to the last snapshot at a start, as bytewax's own FileSink does."""

    def __init__(self, path: Path, length: int | None) -> None:
        self._file = path.open("ab")
        self._file.truncate(length or 0)

    def write_batch(self, values: list[bytes]) -> None:
        self._file.writelines(values)
        self._file.flush()

    def snapshot(self) -> int:
        """How long the file is."""
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class OutFiles(FixedPartitionedSink[bytes, int]):
    """One file an output, by its name."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = list(names)

    def list_parts(self) -> list[str]:
        return self._names

    def part_fn(self, item_key: str) -> int:
        return self._names.index(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> OutFile:
        return OutFile(self._folder / f"{for_part}.ndjson", resume_state)
