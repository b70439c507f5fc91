"""The local copy of a partition's table: RocksDB, and how far it follows the changelog."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from engine.kafka.ledger_record import POSITION, TablePosition
from engine.stores.rocks import RocksStore

STATE: Final = "state"

_encode = msgspec.msgpack.Encoder().encode


class LocalTable:
    """One partition's records in a folder of its own; lost without harm, since the log has all.

    Raises:
        StoreLockedError: another worker uses the same data folder.
        StoreDamagedError: the files are not what was written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = RocksStore(folder / STATE)
        self.position = self._read_position()

    def _read_position(self) -> TablePosition:
        stored = self._store.get(POSITION)
        if stored is None:
            return TablePosition()
        return msgspec.msgpack.decode(stored, type=TablePosition)

    def get(self, key: bytes) -> bytes | None:
        """The value of the key, None when there is none."""
        return self._store.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys and values with the prefix, ascending, from `start` on."""
        return self._store.scan(prefix, start)

    def apply(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes],
        next_offset: int,
        at: int,
        life: str,
    ) -> None:
        """Take what the changelog holds before `next_offset`; all of it is there, or none."""
        self.position = TablePosition(next_offset, at, life)
        self._store.commit({**puts, POSITION: _encode(self.position)}, deletes)

    def wipe(self) -> None:
        """Forget everything, so that it can be restored from the start of the changelog."""
        self._store.close()
        shutil.rmtree(self._folder / STATE)
        self._store = RocksStore(self._folder / STATE)
        self.position = TablePosition()

    def close(self) -> None:
        """Let go of the files. Closing twice does nothing."""
        self._store.close()
