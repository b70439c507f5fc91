"""Where an engine under rehearsal stands, now and then, as it writes it into a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

SAMPLE_SECONDS: Final = 0.1
TAIL_BYTES: Final = 64 * 1024  # the newest samples lie in so many bytes at the end of their file


class Sample(msgspec.Struct):
    """Where the engine stands: `at` an instant, `cpu` seconds of its processes, memory in bytes.

    `pending` are the keys that each channel's limits hold back, `by_rate` those of them that
    nothing but its rate does; both are known up to the instant `known_to`.
    """

    at: int
    received: int
    pending: dict[str, int]
    by_rate: dict[str, int]
    known_to: int
    cpu: float
    memory: int


class SampleFile:
    """A file of samples, which another process appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def length(self) -> int:
        """Bytes in it; 0 when it is not there yet."""
        return self.path.stat().st_size if self.path.exists() else 0

    def newest(self) -> Sample | None:
        """Return the last sample that is there whole."""
        with self.path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().split(b"\n")
        # What follows the last line end is not whole yet; before the first, half of one may be.
        return _sample(lines[-2]) if len(lines) > 1 else None

    def all(self) -> list[Sample]:
        """Return all samples; a line that a kill has cut is left out."""
        found = (_sample(line) for line in self.path.read_bytes().split(b"\n") if line)
        return [sample for sample in found if sample is not None]

    def clear(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)


def _sample(line: bytes) -> Sample | None:
    try:
        return msgspec.json.decode(line, type=Sample)
    except msgspec.MsgspecError:
        return None
