"""The files that the engine writes: one NDJSON file per topic, appended to.

A file belongs to a commit by its length. The state is committed with the lengths that the files
have by then, so whatever a killed run left beyond them is cut off when the engine starts again,
and the same lines are written anew.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.contracts.errors import CorruptStateError, SellableError, UsageError

SUFFIX: Final = ".ndjson"
AVAILABILITY: Final = "availability."
TOPICS: Final = frozenset(
    {
        "reservations.decisions",
        "erp.postings",
        "reconciliation.snapshots",
        "reconciliation.findings",
        "exceptions",
    }
)
LONGEST_FILE_NAME: Final = 255  # bytes, of every common file system
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_UNSAFE: Final = re.compile(r"[/\x00-\x1f\x7f]|^\.|\.\.")


class OutputFullError(SellableError):
    """The disk, a quota or a file size limit leaves no room for what must be written."""

    http_status = 507
    title = "The disk is full"


class OutputDamagedError(CorruptStateError):
    """An output file is shorter than what was committed of it."""

    title = "An output file has lost content"


class OutputInUseError(SellableError):
    """Another engine writes to the folder."""

    http_status = 409
    title = "The folder is in use"


class OutputFiles:
    """The output files of one folder, for the one engine that writes them.

    `committed` holds the length in bytes of each topic's file, as of the last commit; None says
    that the engine has never written to this folder. A file of a topic is then somebody else's
    and set aside (renamed to `.ndjson.1`, `.2`, and so on), and `set_aside` tells which. When the
    folder is known, a file without a committed length was begun by a run that was killed before
    its commit: it is emptied. No other file of the folder is touched.

    Raises:
        OutputDamagedError: a file is shorter than its committed length.
        OutputInUseError: another engine writes to the folder.
        UsageError: the folder cannot be made or written.
        SellableError: what a killed run left behind cannot be cut off.
    """

    def __init__(self, folder: Path, committed: Mapping[str, int] | None) -> None:
        self.set_aside: list[tuple[Path, Path]] = []
        self._folder = folder
        self._lengths: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._pieces: dict[str, list[bytes]] = {}
        self._unsynced: set[str] = set()
        self._new_names = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder_file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(
                f"cannot write to the output folder {folder}: {error.strerror}",
                "Name a folder that this user may write with --out.",
            ) from error
        try:
            self._lock()
            if committed is None:
                self._put_aside()
            else:
                self._cut_back(committed)
        except BaseException:
            os.close(self._folder_file)
            raise

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def unwritten(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._pieces)

    @property
    def unsynced(self) -> bool:
        """Whether something was written that may not have reached the disk."""
        return bool(self._unsynced)

    def path(self, topic: str) -> Path:
        """Return the path of a topic's file."""
        assert not _UNSAFE.search(topic), f"{topic!r} cannot name a file"
        name = topic + SUFFIX
        assert len(name.encode()) <= LONGEST_FILE_NAME, f"{topic!r} is too long for a file name"
        return self._folder / name

    def write(self, topic: str, data: bytes) -> None:
        """Collect bytes for a topic's file; they are there after the next `flush`."""
        if data:
            self._pieces.setdefault(topic, []).append(data)

    def begin(self, topics: Iterable[str]) -> None:
        """Make the files of topics that have none yet, so that readers may wait at their ends.

        Raises:
            OutputFullError: there is no room.
            SellableError: the file cannot be made for another reason.
        """
        for topic in topics:
            try:
                self._file(topic)
            except OSError as error:
                raise self._explain(error, topic) from error
            self._lengths.setdefault(topic, 0)

    def flush(self, sync: bool = False) -> None:
        """Append what was collected; with `sync` return when all so far has reached the disk.

        After an error the files may hold a part of it: the next start cuts it off.

        Raises:
            OutputFullError: there is no room.
            OutputDamagedError: somebody else has changed a file since the start.
            SellableError: the file cannot be written for another reason.
        """
        for topic in list(self._pieces):
            data = b"".join(self._pieces[topic])
            try:
                self._append(topic, data)
            except OSError as error:
                raise self._explain(error, topic) from error
            self._unsynced.add(topic)
            del self._pieces[topic]
        if sync:
            self._sync()

    def _sync(self) -> None:
        """Wait until the disk has everything."""
        for topic in list(self._unsynced):
            try:
                os.fdatasync(self._file(topic))
            except OSError as error:
                raise self._explain(error, topic) from error
            self._unsynced.discard(topic)
        if self._new_names:
            os.fsync(self._folder_file)
            self._new_names = False

    def lengths(self) -> dict[str, int]:
        """Return the length in bytes of each topic's file, as flushed."""
        return dict(self._lengths)

    def close(self) -> None:
        """Close the files. What was not flushed is dropped. Closing twice does nothing."""
        self._pieces.clear()
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        if self._folder_file >= 0:
            os.close(self._folder_file)
            self._folder_file = -1

    # --- at the start --------------------------------------------------------------------------

    def _lock(self) -> None:
        """Claim the folder until the process ends; a file system without locks goes unguarded."""
        try:
            fcntl.flock(self._folder_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputInUseError(
                f"another engine writes to the output folder {self._folder}",
                "Stop that engine, or give this one a folder of its own with --out.",
            ) from error
        except OSError:
            return

    def _put_aside(self) -> None:
        for path in self._topic_files():
            number = 1
            while (aside := path.with_name(f"{path.name}.{number}")).exists():
                number += 1
            path.rename(aside)
            self.set_aside.append((path, aside))

    def _cut_back(self, committed: Mapping[str, int]) -> None:
        for topic, length in committed.items():
            self._lengths[topic] = length
            path = self.path(topic)
            found = path.stat().st_size if path.exists() else 0
            if found < length:
                raise OutputDamagedError(
                    f"{path} holds {found} bytes, but {length} bytes of it were committed",
                    "Put the file back as it was, or name another, empty folder with --out: what "
                    "was written already is not written again there.",
                )
            if found > length:
                self._cut(topic, length)
        for path in self._topic_files():
            topic = path.name.removesuffix(SUFFIX)
            if topic not in committed:
                self._cut(topic, 0)

    def _cut(self, topic: str, length: int) -> None:
        try:
            os.truncate(self.path(topic), length)
        except OSError as error:
            raise self._explain(error, topic) from error

    def _topic_files(self) -> list[Path]:
        return sorted(
            path
            for path in self._folder.iterdir()
            if path.name.endswith(SUFFIX)
            and _is_topic(path.name.removesuffix(SUFFIX))
            and path.is_file()
        )

    # --- writing -------------------------------------------------------------------------------

    def _file(self, topic: str) -> int:
        file = self._files.get(topic)
        if file is None:
            path = self.path(topic)
            self._new_names = self._new_names or not path.exists()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = self._files[topic] = os.open(path, flags, 0o644)
            found, ours = os.fstat(file).st_size, self._lengths.get(topic, 0)
            if found != ours:
                raise OutputDamagedError(
                    f"{path} holds {found} bytes, but this engine left it with {ours}",
                    "Somebody else writes to the file: give this engine a folder of its own with "
                    "--out.",
                )
        return file

    def _append(self, topic: str, data: bytes) -> None:
        file = self._file(topic)
        rest = memoryview(data)
        while rest:
            written = os.write(file, rest)
            rest = rest[written:]
        self._lengths[topic] = self._lengths.get(topic, 0) + len(data)

    def _explain(self, error: OSError, topic: str) -> SellableError:
        path = self._folder / (topic + SUFFIX)
        if error.errno in _NO_ROOM:
            return OutputFullError(
                f"no room to write {path}: {error.strerror}",
                "Free space or raise the limit, then start again: it goes on at the last commit.",
            )
        return SellableError(
            f"cannot write {path}: {error.strerror}",
            "Mend that and start again: the engine goes on at the last commit.",
        )


def _is_topic(name: str) -> bool:
    return name in TOPICS or (name.startswith(AVAILABILITY) and len(name) > len(AVAILABILITY))
