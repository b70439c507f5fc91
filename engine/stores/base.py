"""What the engine asks of a place that keeps its state, and the errors such a place can give.

A store is an ordered map from byte strings to byte strings. It has one writer; everything that
belongs to one step of the engine is written by one `commit`, which is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from engine.contracts.errors import CorruptStateError, NotFoundError, SellableError


class StoreReader(Protocol):
    """The reading half of a store."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, None when there is none."""
        ...

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in ascending order of the keys that have the prefix and are >= start.

        The iterator shows the store as it stood when `scan` was called, whatever is committed
        while it runs.
        """
        ...

    def close(self) -> None:
        """Let go of files and memory. Closing twice does nothing."""
        ...


class Store(StoreReader, Protocol):
    """A store that this process may write."""

    def commit(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes] = (),
        ranges: Iterable[tuple[bytes, bytes]] = (),
        sync: bool = False,
    ) -> None:
        """Change the store in one step: all of it is there afterwards, or none of it.

        The order inside the step is: every range [from, to) is emptied (one with from >= to is
        empty already), then `puts` are written, then `deletes` are taken away. `sync` returns
        only when the step has reached the disk and outlives a power cut; without it the step
        outlives the end of the process, not that of the machine.
        """
        ...


class StoreLockedError(SellableError):
    """Another process writes the store."""

    http_status = 409
    title = "The folder is in use"


class StoreMissingError(NotFoundError):
    """There is no store where one was expected."""

    title = "No such data folder"


class StoreDamagedError(CorruptStateError):
    """The files of the store are not what was written."""

    title = "The stored state is damaged"


class StoreFullError(SellableError):
    """The disk, a quota or a file size limit leaves no room for what must be written."""

    http_status = 507
    title = "The disk is full"


class StoreUnreachableError(SellableError):
    """The operating system refuses to read or write the store's files."""

    title = "The folder cannot be used"


class StoreClosedError(SellableError):
    """The store was used after it had been closed."""

    title = "The store is closed"


def prefix_end(prefix: bytes) -> bytes | None:
    """Return the first key that sorts after every key with the prefix, None when there is none."""
    kept = prefix.rstrip(b"\xff")
    if not kept:
        return None
    return kept[:-1] + bytes([kept[-1] + 1])
