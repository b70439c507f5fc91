"""A store and output files that crash as a killed process would."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engine.embedded.outputs import OutputFiles
from engine.stores.memory import MemoryStore

BEFORE_WRITING = "before the outputs are written"
TORN = "in the middle of writing an output"
BEFORE_SAVING = "after the outputs were written, before the store has them"
AFTER_SAVING = "after the store has it, before anybody knows"
OUTPUT_FAULTS = (BEFORE_WRITING, TORN)
STORE_FAULTS = (BEFORE_SAVING, AFTER_SAVING)


class CrashError(Exception):
    """The process is killed at this point."""


class Faults:
    """Decides at every write whether the process dies there.

    With `at` it dies at the write with that number, counted from 1 over all restarts; else by
    `chance` as often as `share` says, at most `most` times.
    """

    def __init__(
        self, chance: random.Random, share: float = 0.0, most: int = 12, at: int | None = None
    ) -> None:
        self.chance = chance
        self.share = share
        self.left = most
        self.at = at
        self.writes = 0
        self.crashes: list[str] = []

    def strike(self, kinds: tuple[str, ...]) -> str | None:
        """Return how the write at hand fails, None when it does not."""
        self.writes += 1
        if self.at is not None:
            strikes = self.writes == self.at
        else:
            strikes = self.left > 0 and self.chance.random() < self.share
        if not strikes:
            return None
        self.left -= 1
        kind = self.chance.choice(kinds)
        self.crashes.append(kind)
        return kind


class CrashingStore:
    """A store that outlives its process; its commits are there whole or not at all."""

    def __init__(self, kept: MemoryStore, faults: Faults) -> None:
        self._kept = kept
        self._faults = faults

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key."""
        return self._kept.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values with the prefix."""
        return self._kept.scan(prefix, start)

    def commit(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes] = (),
        ranges: Iterable[tuple[bytes, bytes]] = (),
        sync: bool = False,
    ) -> None:
        """Commit, or die before or after it."""
        fault = self._faults.strike(STORE_FAULTS)
        if fault == BEFORE_SAVING:
            raise CrashError(fault)
        self._kept.commit(puts, deletes, ranges, sync)
        if fault is not None:
            raise CrashError(fault)

    def close(self) -> None:
        """The process ends; what was kept stays."""


class CrashingFiles(OutputFiles):
    """Output files whose writer may die before writing, or with a part of it written."""

    faults: Faults

    def __init__(self, folder: Path, committed: Mapping[str, int] | None) -> None:
        super().__init__(folder, committed)
        self._waiting: list[tuple[str, bytes]] = []

    def write(self, topic: str, data: bytes) -> None:
        """Collect bytes, and remember them for a death in the middle."""
        self._waiting.append((topic, data))
        super().write(topic, data)

    def flush(self, sync: bool = False) -> None:
        """Append what was collected, or a part of it."""
        fault = self.faults.strike(OUTPUT_FAULTS) if self._waiting else None
        if fault == TORN:
            self._tear()
        if fault is not None:
            raise CrashError(fault)
        self._waiting.clear()
        super().flush(sync)

    def _tear(self) -> None:
        """Write some of the outputs whole, and one of them in part."""
        chance = self.faults.chance
        last = chance.randrange(len(self._waiting))
        for topic, data in self._waiting[:last]:
            self._append_raw(topic, data)
        topic, data = self._waiting[last]
        self._append_raw(topic, data[: chance.randrange(len(data) + 1)])

    def _append_raw(self, topic: str, data: bytes) -> None:
        with self.path(topic).open("ab") as file:
            file.write(data)
