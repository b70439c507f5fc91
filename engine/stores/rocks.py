"""The store on disk: RocksDB through rocksdict, one folder, one writing process, any readers.

A commit is one RocksDB write batch: its write-ahead log holds the batch whole or not at all, so
a process that is killed in the midst of it leaves the state before it or after it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBPath,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from engine.contracts.errors import SellableError
from engine.stores.base import (
    StoreClosedError,
    StoreMissingError,
    StoreUnreachableError,
    prefix_end,
)
from engine.stores.rocks_errors import explain

MIB = 1024 * 1024
BLOCK_CACHE_BYTES = 64 * MIB
WRITE_BUFFER_BYTES = 32 * MIB
BLOCK_BYTES = 4 * 1024
BLOOM_BITS_PER_KEY = 10  # one missing key in a hundred is looked for in vain
OPEN_FILES = 256
ALL_FILES_OPEN = -1
BACKGROUND_JOBS = 2  # one flush and one compaction beside the engine's own thread
# Part of the write buffer that holds a Bloom filter of its keys: most lookups of the engine are
# for keys that are not there, and without it each walks the buffer's skip list.
WRITE_BUFFER_BLOOM = 0.02
# Every commit that empties a range makes the next read sort all such ranges of the write buffer
# again (measured: 0.15 us for each): after so many the buffer goes to the disk, wherever it stands.
RANGES_PER_BUFFER = 1_000
CURRENT = "CURRENT"  # the file that names the newest manifest
UNLIMITED = (1 << 64) - 1
INFO_LOG_BYTES = 4 * MIB
INFO_LOGS_KEPT = 2
READER_ATTEMPTS = 20  # the writer may replace a file between a reader's look at two of them


class RocksStore:
    """The store of one folder, for the one process that may write it."""

    def __init__(
        self,
        path: Path,
        on_close: Callable[[], None] = lambda: None,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
    ) -> None:
        """Open the store in the folder `path`; make it when it is not there.

        `on_close` is called once, when the store has been closed. After a kill the next start
        replays up to `write_buffer_bytes` of commits.

        Raises StoreLockedError when another process has it open, StoreDamagedError,
        StoreFullError and StoreUnreachableError.
        """
        self._path = path
        self._on_close: Callable[[], None] | None = on_close
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._database = Rdict(str(path), _options(OPEN_FILES, write_buffer_bytes))
        except Exception as error:
            raise explain(error, path) from error
        self._get = self._database.get
        self._ranges = 0  # emptied since the write buffer last went to the disk by our order
        self._failed = False  # a commit has failed: RocksDB takes no more until it is opened again
        self._synced = WriteOptions()
        self._synced.sync = True
        self._unsynced = WriteOptions()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, None when there is none.

        Raises StoreDamagedError, StoreUnreachableError, StoreClosedError.
        """
        try:
            return self._get(key)
        except Exception as error:
            raise explain(error, self._path) from error

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in ascending order of the keys that have the prefix and are >= start.

        Raises StoreDamagedError, StoreUnreachableError, StoreClosedError.
        """
        return _scan(self._database, self._path, prefix, start)

    def commit(
        self,
        puts: Mapping[bytes, bytes],
        deletes: Iterable[bytes] = (),
        ranges: Iterable[tuple[bytes, bytes]] = (),
        sync: bool = False,
    ) -> None:
        """Empty the ranges, write `puts`, take `deletes` away: one atomic write batch.

        Raises StoreFullError, StoreUnreachableError, StoreClosedError; nothing of the batch is
        there after an error, and the store must be opened again.
        """
        batch = WriteBatch(raw_mode=True)
        for first, end in ranges:
            if first < end:
                batch.delete_range(first, end)
                self._ranges += 1
        put = batch.put
        for key, value in puts.items():
            put(key, value)
        for key in deletes:
            batch.delete(key)
        try:
            self._database.write(batch, self._synced if sync else self._unsynced)
            if self._ranges >= RANGES_PER_BUFFER:
                self._database.flush(wait=False)
                self._ranges = 0
        except Exception as error:
            self._failed = True
            raise explain(error, self._path) from error

    def snapshot(self) -> RocksSnapshot:
        """Return the store as it stands now, to be read while it changes, also by another thread.

        Raises StoreUnreachableError, StoreClosedError.
        """
        try:
            return RocksSnapshot(self._database.iter(), self._path)
        except Exception as error:
            raise explain(error, self._path) from error

    def close(self) -> None:
        """Close the database and free its lock. Closing twice does nothing.

        Raises StoreFullError, StoreUnreachableError, unless a commit has told the trouble before;
        what was committed is in the log all the same.
        """
        if self._on_close is None:
            return
        on_close, self._on_close = self._on_close, None
        try:
            self._database.close()
        except Exception as error:
            if not self._failed:
                raise explain(error, self._path) from error
        finally:
            on_close()


class RocksSnapshot:
    """The store as it stood at one moment: what several reads find belongs together.

    All of it is read through one iterator, for that shows the moment when it was made; what
    rocksdict 0.3.29 calls a snapshot does so for single keys only. One thread at a time may read,
    in any number of scans one inside the other. While it is open, what it shows is not cleared
    from the disk.
    """

    def __init__(self, rows: RdictIter, path: Path) -> None:
        self._rows: RdictIter | None = rows
        self._path = path
        self._reader: object = None  # who placed the iterator where it is

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, None when there is none."""
        rows = self._seek(key, None)
        if not rows.valid():
            self._check(rows)
            return None
        return rows.value() if rows.key() == key else None

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in ascending order of keys that have the prefix and are >= start."""
        me = object()
        rows = self._seek(max(prefix, start), me)
        while rows.valid():
            key: bytes = rows.key()
            if not key.startswith(prefix):
                return
            yield key, rows.value()
            if self._reader is me:
                rows.next()
            else:
                rows = self._seek(key + b"\0", me)
        self._check(rows)

    def close(self) -> None:
        """Let go of what it shows. Closing twice does nothing."""
        self._rows = None

    def _seek(self, key: bytes, reader: object) -> RdictIter:
        rows = self._rows
        if rows is None:
            raise StoreClosedError("the snapshot was used after it had been closed")
        self._reader = reader
        rows.seek(key)
        return rows

    def _check(self, rows: RdictIter) -> None:
        """An iterator that is not valid is at the end, or has met a damage."""
        try:
            rows.status()
        except Exception as error:
            raise explain(error, self._path) from error


class RocksReader:
    """The store of one folder, read while another process may be writing it.

    It shows what had been committed when it was opened, and never disturbs the writer: it needs no
    right to write in the folder, and its own files lie in a temporary folder that `close` removes.
    That holds what rocksdict 0.3.29 takes for the database, in which it writes a file of its own
    whoever opens it: links to the two files that RocksDB looks for by their names; tables and logs
    are found where they are.
    """

    def __init__(self, path: Path) -> None:
        """Open the store in the folder `path` for reading.

        Raises StoreMissingError when there is none, StoreDamagedError, StoreUnreachableError.
        """
        if not is_store(path):
            raise _missing(path)
        self._path = path.absolute()
        self._private = Path(tempfile.mkdtemp(prefix="sellable-reader-"))
        self._linked = self._private / "linked"
        self._linked.mkdir()
        (self._linked / CURRENT).symlink_to(self._path / CURRENT)
        try:
            self._database = self._open()
        except SellableError:
            shutil.rmtree(self._private, ignore_errors=True)
            raise

    def _open(self) -> Rdict:
        for attempt in range(1, READER_ATTEMPTS + 1):
            try:
                self._manifest()
                # A reader keeps every file open, so that none it needs can be taken away.
                options = _options(ALL_FILES_OPEN)
                options.set_wal_dir(str(self._path))
                options.set_db_paths([DBPath(str(self._path), UNLIMITED)])
                database = Rdict(
                    str(self._linked),
                    options,
                    access_type=AccessType.secondary(str(self._private / "own")),
                )
                self._catch_up(database)
            except Exception as error:
                if attempt == READER_ATTEMPTS:
                    raise explain(error, self._path) from error
            else:
                return database
        raise _missing(self._path)

    def _catch_up(self, database: Rdict) -> None:
        """Read what the writer has committed; all of it, whatever the writer is doing meanwhile.

        RocksDB reads the manifest first and the logs after it. When the writer turns a log into a
        table in between, the reader misses both: it shows the newest commit without an earlier
        one. So it reads again until the manifest has stayed as it was.
        """
        for _ in range(READER_ATTEMPTS):
            before = self._manifest()
            database.try_catch_up_with_primary()
            if self._manifest() == before:
                return
        raise StoreUnreachableError(
            f"the writer of {self._path} changes its files faster than they can be read",
            "Try again when fewer movements come.",
        )

    def _manifest(self) -> tuple[str, int]:
        """Return the name and the length in bytes of the newest manifest, and link it."""
        name = (self._path / CURRENT).read_text().strip()
        link = self._linked / name
        if not link.is_symlink():
            link.symlink_to(self._path / name)
        return name, link.stat().st_size

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, None when there is none."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise explain(error, self._path) from error
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in ascending order of keys that have the prefix and are >= start."""
        return _scan(self._database, self._path, prefix, start)

    def close(self) -> None:
        """Close the database and remove the temporary folder. Closing twice does nothing."""
        if self._private.exists():
            self._database.close()
            shutil.rmtree(self._private, ignore_errors=True)


def is_store(path: Path) -> bool:
    """Tell whether the folder holds a store, by the file that names its newest manifest."""
    return (path / CURRENT).is_file()


def _scan(
    database: Rdict, path: Path, prefix: bytes, start: bytes
) -> Iterator[tuple[bytes, bytes]]:
    options = ReadOptions()
    end = prefix_end(prefix)
    if end is not None:
        options.set_iterate_upper_bound(end)
    try:
        # Only this kind of iterator can be asked whether it ended at the end or at a damage.
        rows = database.iter(options)
        rows.seek(max(prefix, start))
    except Exception as error:
        raise explain(error, path) from error
    return _rows(rows, options, path)


def _rows(rows: RdictIter, bound: ReadOptions, path: Path) -> Iterator[tuple[bytes, bytes]]:
    # rocksdict frees the bytes of the upper bound with the options, though the iterator still
    # looks at them: the options must live as long as the iterator does.
    assert bound is not None
    while rows.valid():
        yield rows.key(), rows.value()
        rows.next()
    try:
        rows.status()
    except Exception as error:
        raise explain(error, path) from error


def _missing(path: Path) -> StoreMissingError:
    return StoreMissingError(
        f"there is no stored state in {path}",
        "Name the folder that `sellable run --data` writes; it is made by the first run.",
    )


def _options(open_files: int, write_buffer_bytes: int = WRITE_BUFFER_BYTES) -> Options:
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    tables.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
    tables.set_block_size(BLOCK_BYTES)
    # Filters and indexes stay outside the block cache: a filter larger than one of the cache's
    # shards is read again for every lookup there (measured: 82 us instead of 2).
    tables.set_cache_index_and_filter_blocks(False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(tables)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(WRITE_BUFFER_BLOOM)
    options.set_max_open_files(open_files)
    options.set_max_background_jobs(BACKGROUND_JOBS)
    # A log that ends in the midst of a commit is what a kill leaves, and the commit is not there. A
    # log that is wrong before its end has lost commits that were there: by default RocksDB goes on
    # without them, and says nothing.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_log_file_size(INFO_LOG_BYTES)
    options.set_keep_log_file_num(INFO_LOGS_KEPT)
    return options
