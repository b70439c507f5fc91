"""The files that inputs are read from: what may be one, and reading without waiting."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path
from typing import Final

from engine.contracts.errors import UsageError

STDIN: Final = "-"
FILE_BLOCK_BYTES: Final = 1024 * 1024
PIPE_BLOCK_BYTES: Final = 256 * 1024
GZIP_SUFFIXES: Final = (".gz",)
ZSTD_SUFFIXES: Final = (".zst", ".zstd")
CSV_SUFFIX: Final = ".csv"
_FOREIGN_SUFFIXES: Final = (".bz2", ".xz", ".zip", ".lz4", ".7z", ".tar", ".tgz")


class InputFile:
    """One open file, pipe or standard input; reads never wait.

    `regular` files have a size and may be read at any place; of the others only what is there.
    `base` is the place of a regular file's first byte for us: standard input may have been read
    by somebody before.
    """

    def __init__(self, path: str, stdin: int) -> None:
        """Open the input at `path`, or take over `stdin` for `-`.

        Raises:
            OSError: it cannot be opened.
        """
        self._owned = path != STDIN
        # Opening a pipe that nobody writes to yet would wait for the writer.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self.descriptor = os.open(path, flags) if self._owned else stdin
        self._path = path
        self.regular = stat.S_ISREG(os.fstat(self.descriptor).st_mode)
        self.base = os.lseek(self.descriptor, 0, os.SEEK_CUR) if self.regular else 0
        self.done_bytes = 0
        self._poll: select.poll | None = None
        if not self.regular:
            self._poll = select.poll()
            self._poll.register(self.descriptor, select.POLLIN)

    def read(self) -> bytes | None:
        """Return the next bytes, none at the end, None when there are none for now.

        Raises:
            OSError: the file cannot be read further.
        """
        if self._poll is None:
            data = os.read(self.descriptor, FILE_BLOCK_BYTES)
        else:
            if not self._poll.poll(0):
                return None
            try:
                data = os.read(self.descriptor, PIPE_BLOCK_BYTES)
            except BlockingIOError:
                return None
        self.done_bytes += len(data)
        return data

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of a regular file without moving on; fewer when it ends before."""
        pieces = []
        while length > 0:
            piece = os.pread(self.descriptor, length, self.base + offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)

    def go_to(self, offset: int) -> None:
        """Go on reading a regular file at the offset."""
        os.lseek(self.descriptor, self.base + offset, os.SEEK_SET)
        self.done_bytes = offset

    def size(self) -> int:
        """Return the size of a regular file in bytes, as it is now."""
        return os.fstat(self.descriptor).st_size - self.base

    def replaced(self) -> bool:
        """Return whether the path has another file by now, or the file was cut."""
        if not self._owned:
            return self.size() < self.done_bytes
        ours = os.fstat(self.descriptor)
        try:
            there = Path(self._path).stat()
        except OSError:
            return False
        other = (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)
        return other or ours.st_size < self.done_bytes

    def close(self) -> None:
        """Close what was opened; standard input is left as it is."""
        if self._owned and self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def input_key(path: str) -> str:
    """Return the name under which an input's position is kept: its absolute path, or `-`."""
    return path if path == STDIN else os.path.normpath(Path(path).absolute())


def bare_name(path: str) -> str:
    """Return the path in small letters without a suffix for compression."""
    name = path.lower()
    for suffix in (*GZIP_SUFFIXES, *ZSTD_SUFFIXES):
        name = name.removesuffix(suffix)
    return name


def is_csv(path: str) -> bool:
    """Return whether an input holds comma-separated values, by its name."""
    return bare_name(path).endswith(CSV_SUFFIX)


def check_paths(paths: list[str], stdin: int) -> None:
    """Refuse inputs that cannot be read, before anything starts.

    Raises:
        UsageError: a path is missing, is a folder, cannot be read, has a compression that is not
            known, or was given twice.
    """
    seen: set[str] = set()
    for path in paths:
        key = input_key(path)
        if key in seen:
            raise UsageError(
                f"the input {path} was given twice",
                "Name every input once: its lines would be read twice at the same time.",
            )
        seen.add(key)
        if path == STDIN:
            _check_stdin(stdin)
        else:
            check_path(path)


def _check_stdin(stdin: int) -> None:
    try:
        os.fstat(stdin)
    except OSError as error:
        raise UsageError(
            "standard input is closed, so `-` cannot be read",
            "Pipe movements into the command, or name a file with --input.",
        ) from error


def check_path(path: str) -> None:
    """Refuse an input file that cannot be read, before anything starts.

    Raises:
        UsageError: it is missing, is a folder, cannot be read, or is packed in an unknown way.
    """
    file = Path(path)
    if not file.exists():
        raise UsageError(
            f"there is no input file {path}", "Check the name, and the folder it is relative to."
        )
    if file.is_dir():
        raise UsageError(
            f"the input {path} is a folder",
            "Name the files in it, one by one.",
        )
    if path.lower().endswith(_FOREIGN_SUFFIXES):
        raise UsageError(
            f"the input {path} is packed in a way that is not read",
            "Unpack it, or pack it with gzip (.gz) or zstd (.zst).",
        )
    if not os.access(file, os.R_OK):
        raise UsageError(
            f"the input {path} may not be read by this user", "Give this user the right to read it."
        )
    if file.is_socket() or file.is_block_device():
        raise UsageError(
            f"the input {path} is neither a file nor a pipe", "Name a file, a pipe, or `-`."
        )
