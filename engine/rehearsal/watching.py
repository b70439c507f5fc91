"""Watching outputs from outside: when which line of which topic could be read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

NANOSECONDS: Final = 1_000  # a microsecond
SUFFIX: Final = ".ndjson"


class Watcher:
    """Notes how long each output file is, whenever it is asked to look."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._begun = {path: path.stat().st_size for path in out.glob(f"*{SUFFIX}")}
        self._seen: dict[Path, list[tuple[int, int]]] = {path: [] for path in self._begun}

    def look(self) -> None:
        """Note what has grown, or was cut, since the last look."""
        for path, notes in self._seen.items():
            try:
                length = path.stat().st_size
            except OSError:
                continue
            before = notes[-1][1] if notes else self._begun[path]
            if length != before:
                notes.append((time.time_ns() // NANOSECONDS, length))

    def lines(self, topic: str) -> Iterator[tuple[int | None, Any]]:
        """Yield every record of a topic and when it was seen; None: before the watch began.

        A line that was cut off and written anew counts as seen when it had come to stay.
        """
        path = self._out / f"{topic}{SUFFIX}"
        if not path.exists():
            return
        begun = self._begun.get(path, 0)
        stayed = _stayed(self._seen.get(path, []))
        decode = msgspec.json.Decoder().decode
        offset, place = 0, 0
        with path.open("rb") as file:
            for line in file:
                offset += len(line)
                while place < len(stayed) and stayed[place][1] < offset:
                    place += 1
                if offset <= begun:
                    yield None, decode(line)
                elif place < len(stayed):
                    yield stayed[place][0], decode(line)

    def topics(self) -> list[str]:
        """Return the topics that there are."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._seen)


def _stayed(notes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those lengths that were never cut off again: each longer than the one before."""
    kept: list[tuple[int, int]] = []
    for at, length in notes:
        while kept and kept[-1][1] >= length:
            kept.pop()
        kept.append((at, length))
    return kept
