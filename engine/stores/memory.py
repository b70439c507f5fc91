"""A store in memory, for tests and for runs that need not be remembered.

Keys are found by hash. Sorted lists, one per first byte of the key, are brought up to date only
when somebody scans: the engine writes its records by kind, and most kinds are never scanned.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from weakref import WeakSet

from engine.stores.base import StoreClosedError, prefix_end


class _Shelf:
    """The keys of one first byte: a sorted list, and what was added and taken since it was."""

    def __init__(self) -> None:
        self._sorted: list[bytes] = []
        self._added: set[bytes] = set()
        self._taken: set[bytes] = set()

    def add(self, key: bytes) -> None:
        if key in self._taken:
            self._taken.remove(key)
        else:
            self._added.add(key)

    def take(self, key: bytes) -> None:
        if key in self._added:
            self._added.remove(key)
        else:
            self._taken.add(key)

    def keys(self) -> list[bytes]:
        """Return all keys in order. A list once given out is not changed any more."""
        if self._taken:
            self._sorted = [key for key in self._sorted if key not in self._taken]
            self._taken.clear()
        if self._added:
            # Timsort finds the two ascending runs and merges them in one pass.
            self._sorted = self._sorted + sorted(self._added)
            self._sorted.sort()
            self._added.clear()
        return self._sorted


class _Scan:
    """One running scan: reads the store as it goes, and keeps what is left when it changes."""

    def __init__(self, values: dict[bytes, bytes], keys: list[list[bytes]]) -> None:
        self._live = values
        self._kept: dict[bytes, bytes] | None = None
        self._runs = keys
        self._run = 0
        self._place = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        while self._run < len(self._runs):
            keys = self._runs[self._run]
            if self._place < len(keys):
                key = keys[self._place]
                self._place += 1
                return key, (self._live if self._kept is None else self._kept)[key]
            self._run += 1
            self._place = 0
        raise StopIteration

    def keep(self) -> None:
        """Copy the values still to come: the store is about to change."""
        if self._kept is None:
            coming = self._runs[self._run :]
            first = coming[0][self._place :] if coming else []
            self._kept = {key: self._live[key] for run in [first, *coming[1:]] for key in run}


class MemoryStore:
    """A store that lives and dies with its process."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._shelves: dict[bytes, _Shelf] = {}
        self._scans: WeakSet[_Scan] = WeakSet()
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, None when there is none."""
        if self._closed:
            raise _closed()
        return self._values.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in ascending order of the keys that have the prefix and are >= start.

        Raises StoreClosedError after `close`.
        """
        if self._closed:
            raise _closed()
        scan = _Scan(self._values, self._runs(max(prefix, start), prefix_end(prefix)))
        self._scans.add(scan)
        return scan

    def commit(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes] = (),
        ranges: Iterable[tuple[bytes, bytes]] = (),
        sync: bool = False,
    ) -> None:
        """Empty the ranges, then write `puts`, then take `deletes` away; `sync` means nothing here.

        Raises StoreClosedError after `close`.
        """
        if self._closed:
            raise _closed()
        # Everything that could fail is read before anything is changed.
        deletes, ranges = list(deletes), list(ranges)
        for scan in list(self._scans):
            scan.keep()
        self._scans.clear()
        for first, end in ranges:
            for run in self._runs(first, end):
                for key in run:
                    self._remove(key)
        values = self._values
        for key, value in puts.items():
            if key not in values:
                self._shelf(key).add(key)
            values[key] = value
        for key in deletes:
            self._remove(key)

    def close(self) -> None:
        """Forget everything. Closing twice does nothing."""
        self._closed = True
        for scan in list(self._scans):
            scan.keep()
        self._values = {}
        self._shelves = {}

    def _runs(self, first: bytes, end: bytes | None) -> list[list[bytes]]:
        """Return the keys in [first, end), as ascending lists that follow one another."""
        runs = []
        for name in sorted(self._shelves):
            if name < first[:1] or (end is not None and name >= end):
                continue
            keys = self._shelves[name].keys()
            low = bisect_left(keys, first)
            high = len(keys) if end is None else bisect_left(keys, end)
            if low < high:
                runs.append(keys[low:high])
        return runs

    def _shelf(self, key: bytes) -> _Shelf:
        shelf = self._shelves.get(key[:1])
        if shelf is None:
            shelf = self._shelves[key[:1]] = _Shelf()
        return shelf

    def _remove(self, key: bytes) -> None:
        if key in self._values:
            del self._values[key]
            self._shelf(key).take(key)


def _closed() -> StoreClosedError:
    return StoreClosedError("the store was used after it had been closed")
