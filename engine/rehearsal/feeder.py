"""The load generator, in a process of its own: appends lines to a file when each is due.

`python -m engine.rehearsal.feeder LINES OFFSETS START TARGET PARENT`: a file of lines, a file of as
many 64-bit offsets in microseconds, the instant of the start, the file to append to, and the id of
the process that started it. The loop is
open: it offers what is due whether the engine keeps up or not. It prints by how much it was itself
late at worst, in microseconds. It ends early when that process is gone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

PAUSE_SECONDS: Final = 0.005
NANOSECONDS: Final = 1_000  # a microsecond


def feed(lines: Path, offsets: Path, start: int, target: Path, parent: int) -> int:
    """Append every line when it is due; returns the longest delay of its own, microseconds."""
    data = lines.read_bytes()
    due = np.fromfile(offsets, dtype=np.int64)
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
    assert len(ends) == len(due), "as many lines as offsets"
    file = os.open(target, os.O_WRONLY | os.O_APPEND)
    given, done, late = 0, 0, 0
    try:
        while given < len(due):
            if os.getppid() != parent:
                raise SystemExit("the rehearsal is gone")
            now = time.time_ns() // NANOSECONDS - start
            ready = int(np.searchsorted(due, now, side="right"))
            if ready > given:
                end = int(ends[ready - 1])
                _write_all(file, data[done:end])
                late = max(late, time.time_ns() // NANOSECONDS - start - int(due[given]))
                given, done = ready, end
            time.sleep(PAUSE_SECONDS)
    finally:
        os.close(file)
    return late


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def main() -> None:
    """Feed as the arguments say."""
    lines, offsets, start, target, parent = sys.argv[1:]
    print(feed(Path(lines), Path(offsets), int(start), Path(target), int(parent)))


if __name__ == "__main__":
    main()
