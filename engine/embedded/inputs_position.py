"""How far an input has been read: what is kept of it between two runs."""

from __future__ import annotations

from typing import Final

import msgspec
import xxhash

HEAD_BYTES: Final = 64 * 1024  # by so many bytes an input is known again at most


class Position(msgspec.Struct, array_like=True, frozen=True):
    """The state of one input after its last movement that was committed.

    `offset` counts bytes as they are after decompression, `line` physical lines. `head_digest` is
    `head_digest(first min(offset, HEAD_BYTES) bytes)`: other content under the same name is
    noticed by it. `completed` says that the end was reached, and `stored_bytes` how large the
    file was then, as it lies on the disk.
    """

    offset: int = 0
    line: int = 0
    head_digest: int = 0
    completed: bool = False
    stored_bytes: int = 0

    @property
    def head_length(self) -> int:
        """How many bytes `head_digest` is over."""
        return min(self.offset, HEAD_BYTES)


class Damage(msgspec.Struct, frozen=True):
    """An input could not be read to its end.

    `path` is the input as it was given, `offset` counts bytes of the file as it lies on the disk
    up to where the damage was noticed. All whole lines before it were delivered.
    """

    path: str
    offset: int
    message: str


def head_digest(head: bytes) -> int:
    """Return the digest of an input's first bytes."""
    return xxhash.xxh3_64_intdigest(head)


class Head:
    """The first bytes of one input, at most HEAD_BYTES, and their digests."""

    __slots__ = ("_known", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self._known = (0, head_digest(b""))

    def take(self, piece: bytes) -> None:
        """Add the bytes that follow, as far as they are wanted."""
        if len(self.data) < HEAD_BYTES:
            self.data += piece[: HEAD_BYTES - len(self.data)]

    def digest(self, offset: int) -> int:
        """Return the digest that a position at the offset holds."""
        length = min(offset, HEAD_BYTES)
        assert length <= len(self.data), "a position lies beyond what was read"
        if self._known[0] != length:
            self._known = (length, head_digest(bytes(self.data[:length])))
        return self._known[1]
