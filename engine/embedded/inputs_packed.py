"""Unpacking gzip and zstd as the bytes come, in bounded memory, with all that can be saved."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

import zstandard

from engine.embedded.inputs_files import GZIP_SUFFIXES, ZSTD_SUFFIXES

PIECE_BYTES: Final = 1024 * 1024  # size of the pieces that come out, about
_GZIP_WINDOW: Final = 31  # zlib's number for: the largest window, with gzip's header and trailer
# A piece of zstd this small unpacks to 32 MiB at the very most (128 KiB for every 4 bytes).
_ZSTD_STEP_BYTES: Final = 1024


class DamagedError(Exception):
    """The packed bytes are not what was packed; what could be read was given out before."""


class Unpacker(Protocol):
    """Takes packed bytes, gives unpacked ones."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to. Raises DamagedError after the last good piece."""
        ...

    def finish(self) -> None:
        """Tell that the input has ended. Raises DamagedError if something is missing."""
        ...


class Plain:
    """Bytes that are not packed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the data."""
        yield data

    def finish(self) -> None:
        """Nothing can be missing."""


class Gzip:
    """One gzip member after another; zeros after the last one are padding."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to. Raises DamagedError after the last good piece."""
        full = False  # more may come out though nothing goes in
        while data or full:
            if self._member is None:
                data = data.lstrip(b"\0") if self._members else data
                if not data:
                    return
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            before = self._member.copy()
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                yield from _saved(before.decompress, data, zlib.error)
                raise DamagedError(self._told(error)) from error
            if piece:
                yield piece
            data = self._member.unconsumed_tail
            full = len(piece) >= PIECE_BYTES
            if self._member.eof:
                data = self._member.unused_data
                full = False
                self._member = None
                self._members += 1

    def finish(self) -> None:
        """Tell that the input has ended. Raises DamagedError if a member is cut short."""
        if self._member is not None:
            raise DamagedError("it ends in the middle of a gzip member")

    def _told(self, error: zlib.error) -> str:
        if self._members:
            return f"after {self._members} whole gzip members: {error}"
        return f"gzip: {error}"


class Zstd:
    """One zstd frame after another.

    `read_at(offset, length)` reads the packed file again at a place; with it all blocks before a
    damage are saved, without it (pipes) the last block before it may be lost.
    """

    def __init__(self, read_at: Callable[[int, int], bytes] | None) -> None:
        self._unpack = zstandard.ZstdDecompressor()
        self._read_at = read_at
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._frame_start = 0
        self._taken = 0  # bytes of packed data so far

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to. Raises DamagedError after the last good piece."""
        pieces: list[bytes] = []
        size = 0
        for place in range(0, len(data), _ZSTD_STEP_BYTES):
            step = data[place : place + _ZSTD_STEP_BYTES]
            try:
                size += self._step(step, pieces)
            except zstandard.ZstdError as error:
                yield from _sliced(b"".join(pieces))
                yield from self._saved(step)
                raise DamagedError(str(error)) from error
            if size >= PIECE_BYTES:
                yield from _sliced(b"".join(pieces))
                pieces.clear()
                size = 0
        if size:
            yield b"".join(pieces)

    def finish(self) -> None:
        """Tell that the input has ended. Raises DamagedError if a frame is cut short."""
        if self._frame is not None:
            raise DamagedError("it ends in the middle of a zstd frame")

    def _step(self, step: bytes, pieces: list[bytes]) -> int:
        """Unpack a little, add it to the pieces, return its length."""
        size = 0
        rest = step
        while rest:
            if self._frame is None:
                self._frame = self._unpack.decompressobj()
                self._frame_start = self._taken + len(step) - len(rest)
            pieces.append(self._frame.decompress(rest))
            size += len(pieces[-1])
            rest = b""
            if self._frame.eof:
                rest = self._frame.unused_data
                self._frame = None
        self._taken += len(step)
        return size

    def _saved(self, step: bytes) -> Iterator[bytes]:
        """Unpack the damaged frame once more, and byte by byte where it broke."""
        if self._read_at is None:
            return
        frame = self._unpack.decompressobj()
        place = self._frame_start
        while place < self._taken:
            packed = self._read_at(place, min(_ZSTD_STEP_BYTES, self._taken - place))
            frame.decompress(packed)
            place += len(packed)
        yield from _saved(
            frame.decompress, step[max(0, place - self._taken) :], zstandard.ZstdError
        )


def _saved(unpack: Callable[[bytes], bytes], data: bytes, kind: type[Exception]) -> Iterator[bytes]:
    """Yield what can be unpacked before the error, byte by byte."""
    with suppress(kind):
        for place in range(len(data)):
            yield unpack(data[place : place + 1])


def _sliced(data: bytes) -> Iterator[bytes]:
    for place in range(0, len(data), PIECE_BYTES):
        yield data[place : place + PIECE_BYTES]


def unpacker(path: str, read_at: Callable[[int, int], bytes] | None) -> Unpacker:
    """Return what unpacks an input, by the suffix of its name."""
    name = path.lower()
    if name.endswith(GZIP_SUFFIXES):
        return Gzip()
    if name.endswith(ZSTD_SUFFIXES):
        return Zstd(read_at)
    return Plain()
