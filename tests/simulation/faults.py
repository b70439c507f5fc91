"""The machine under the engine: a store, files and a clock that fail as the story says."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.stores.base import StoreDamagedError, StoreFullError, StoreUnreachableError
from engine.stores.memory import MemoryStore
from tests.simulation.story import (
    CLOCK_JUMP,
    CRASH_AFTER,
    CRASH_BEFORE,
    DISK_FULL,
    FLIPPED_BIT,
    LOST_ACKNOWLEDGEMENT,
    OFFSET_REWOUND,
    TORN,
    Fault,
)

MICROSECONDS = 1_000_000
ANY_PRIME = 1_000_003
LOOK_MICROSECONDS = 1_000  # what passes between two looks at the clock


class CrashError(BaseException):
    """The process is killed at this point. Nothing in it may catch that."""


class WentOnError(BaseException):
    """The process wrote something after the store or the disk had failed it."""


class Faults:
    """Says at every write what happens there, and remembers what did.

    `failed` is set when this life of the process was told of a failure: from then on it may not
    write anything.
    """

    def __init__(self, planned: Sequence[Fault]) -> None:
        self._planned = {fault.at: fault for fault in planned}
        self.writes = 0
        self.struck: list[Fault] = []
        self.failed: str | None = None
        self.rewind: Fault | None = None
        self.jump: Callable[[float], None] = lambda _: None
        self.flip: Callable[[float], None] = lambda _: None

    def disarm(self) -> None:
        """Nothing happens any more."""
        self._planned = {}

    def begin_life(self) -> None:
        """The process starts anew."""
        self.failed = None

    def strike(self, what: str) -> Fault | None:
        """Return the fault of the write at hand; what is no matter of the write happens here.

        Raises:
            CrashError: the process dies before the write.
            WentOnError: it must not write any more.
        """
        if self.failed is not None:
            raise WentOnError(f"{what} was written after the engine had been told: {self.failed}")
        self.writes += 1
        fault = self._planned.get(self.writes)
        if fault is None:
            return None
        self.struck.append(fault)
        if fault.kind == CLOCK_JUMP:
            self.jump(fault.place)
            return None
        if fault.kind == FLIPPED_BIT:
            self.flip(fault.place)
            return None
        if fault.kind in (CRASH_BEFORE, OFFSET_REWOUND):
            self.rewind = fault if fault.kind == OFFSET_REWOUND else None
            raise CrashError(f"{fault.kind}: {what}")
        return fault

    def fail(self, told: str) -> None:
        """The process is told of a failure."""
        self.failed = told


class FailingStore:
    """A store that outlives its process; a commit is there whole or not at all.

    `damaged` are the records with a flipped bit, as they read now. RocksDB's checksums notice that,
    so such a record cannot be read until it is mended or written anew. `committed` is called after
    every commit, with what was put.
    """

    def __init__(self, faults: Faults, committed: Callable[[Mapping[bytes, bytes]], None]) -> None:
        self.kept = MemoryStore()
        self._faults = faults
        self._committed = committed
        self.damaged: dict[bytes, bytes] = {}
        faults.flip = self.flip_bit

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key."""
        if key in self.damaged:
            raise self._damage(key)
        return self.kept.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values with the prefix."""
        rows = self.kept.scan(prefix, start)
        return self._checked(rows) if self.damaged else rows

    def _checked(self, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for key, value in rows:
            if key in self.damaged:
                raise self._damage(key)
            yield key, value

    def commit(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes] = (),
        ranges: Iterable[tuple[bytes, bytes]] = (),
        sync: bool = False,
    ) -> None:
        """Commit, or fail."""
        fault = self._faults.strike("a commit")
        kind = None if fault is None else fault.kind
        if kind == TORN:
            raise CrashError("before a commit: it is atomic")
        if kind == DISK_FULL:
            self._faults.fail("no room for the commit")
            raise StoreFullError("no room to write in the simulated store")
        self.kept.commit(puts, deletes, ranges, sync)
        for key in [key for key in self.damaged if key in puts or self.kept.get(key) is None]:
            del self.damaged[key]
        self._committed(puts)
        if kind == CRASH_AFTER:
            raise CrashError("after a commit")
        if kind == LOST_ACKNOWLEDGEMENT:
            self._faults.fail("an error of the commit")
            raise StoreUnreachableError("the simulated store does not answer")

    def close(self) -> None:
        """The process ends; what was kept stays."""

    def flip_bit(self, place: float) -> None:
        """Flip one bit of one record."""
        rows = [(key, value) for key, value in self.kept.scan(b"") if value]
        if rows:
            key, value = rows[int(place * len(rows))]
            bit = int(place * ANY_PRIME) % (8 * len(value))
            flipped = bytearray(value)
            flipped[bit // 8] ^= 1 << bit % 8
            self.damaged[key] = bytes(flipped)

    def mend(self) -> None:
        """Somebody puts back what was damaged."""
        self.damaged.clear()

    def _damage(self, key: bytes) -> StoreDamagedError:
        self._faults.fail("the stored state is damaged")
        return StoreDamagedError(f"the checksum of the record {key!r} is wrong")


class FailingSystem:
    """The calls of the operating system by which output files are written.

    Stands in for the module `os`; what it has not is taken from there.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        """Append to a file, or a part of it, or nothing."""
        fault = self._faults.strike("an output")
        if fault is None:
            return os.write(file, data)
        if fault.kind in (TORN, DISK_FULL):
            os.write(file, data[: int(fault.place * len(data))])
        else:
            os.write(file, data)
        if fault.kind in (TORN, CRASH_AFTER):
            raise CrashError(f"{fault.kind}: an output")
        self._faults.fail(fault.kind)
        number = errno.ENOSPC if fault.kind == DISK_FULL else errno.EIO
        raise OSError(number, os.strerror(number))

    def truncate(self, path: str, length: int) -> None:
        """Cut a file, or fail; there is no half of it."""
        fault = self._faults.strike("cutting an output")
        if fault is None or fault.kind not in (TORN, DISK_FULL):
            os.truncate(path, length)
        if fault is None:
            return
        if fault.kind in (TORN, CRASH_AFTER):
            raise CrashError(f"{fault.kind}: cutting an output")
        self._faults.fail(fault.kind)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class SimulatedTime:
    """Stands in for the module `time`, and for the wall clock: passes only when it is looked at.

    `passed` is what really passed since the epoch, microseconds; the wall clock shows that and
    `astray`, by which it has jumped.
    """

    def __init__(self, start: int, jumps: Sequence[int]) -> None:
        self.passed = start
        self.astray = 0
        self._jumps = jumps

    def wall_clock(self) -> int:
        """Return the time of day as an instant."""
        self.passed += LOOK_MICROSECONDS
        return self.passed + self.astray

    def monotonic(self) -> float:
        """Return seconds since whenever."""
        return self.passed / MICROSECONDS

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += max(0, round(seconds * MICROSECONDS))

    def jump(self, place: float) -> None:
        """Set the wall clock ahead or back."""
        if self._jumps:
            self.astray += self._jumps[int(place * len(self._jumps))]
