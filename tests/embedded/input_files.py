"""Making input files, and reading them in all manners."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard

from engine.embedded.inputs import Inputs, Position


def packed(path: Path, data: bytes) -> bytes:
    """Return the data packed as the file's suffix says."""
    if path.suffix == ".gz":
        return gzip.compress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdCompressor().compress(data)
    return data


def write(path: Path, data: bytes) -> str:
    """Write a file, packed as its suffix says, and return its path."""
    path.write_bytes(packed(path, data))
    return str(path)


def all_lines(inputs: Inputs, limit: int = 3) -> list[bytes]:
    """Read to the end, in batches of at most `limit` lines, and close."""
    lines: list[bytes] = []
    with inputs:
        while not inputs.ended:
            batch = inputs.read(limit)
            if batch is not None:
                assert 0 < len(batch.lines) <= limit
                lines += batch.lines
    return lines


def lines_of(
    paths: Sequence[str],
    saved: Mapping[str, Position] | None = None,
    merge: bool = False,
    limit: int = 3,
) -> list[bytes]:
    """Read inputs from their saved positions to their ends."""
    return all_lines(Inputs(paths, merge=merge, saved=saved), limit)


def read_some(paths: Sequence[str], count: int, limit: int = 3) -> dict[str, Position]:
    """Read the first `count` lines and return the positions after them."""
    positions: dict[str, Position] = {}
    with Inputs(paths) as inputs:
        while count > 0:
            batch = inputs.read(limit)
            assert batch is not None
            taken = min(count, len(batch.lines))
            positions |= batch.positions(taken)
            count -= taken
    return positions


def read_whole(paths: Sequence[str]) -> dict[str, Position]:
    """Read to the end and return the positions then."""
    inputs = Inputs(paths)
    all_lines(inputs)
    return inputs.positions()


def numbered(count: int, prefix: str = "line") -> list[bytes]:
    """Return so many different lines."""
    return [f'{{"id":"{prefix} {number}"}}'.encode() for number in range(count)]
