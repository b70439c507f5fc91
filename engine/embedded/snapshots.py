"""Writing a snapshot: header, rows, trailer, for each channel and for the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO

import msgspec

from engine.contracts.instants import format_instant
from engine.contracts.snapshots import SnapshotHeader, SnapshotTrailer
from engine.core.cut import Row
from engine.core.engine import Engine

TOPIC = "reconciliation.snapshots"
LEDGER = "ledger"

SPOOL_MEMORY = 32 << 20  # bytes of one snapshot's rows held in memory before they go to a file
PIECE = 1 << 20  # bytes copied at a time
ROWS_AT_ONCE = 1_000  # rows encoded in one go

_encode_lines = msgspec.json.Encoder().encode_lines


class _Section:
    """The rows of one snapshot, on their way: how many, and their digest."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.rows = 0
        self.digest = hashlib.sha256()
        self.spool = spool
        self.waiting: list[Row] = []

    def finish(self) -> None:
        """Encode the rows that wait."""
        lines = _encode_lines(self.waiting)
        self.rows += len(self.waiting)
        self.digest.update(lines)
        self.spool.write(lines)
        self.waiting.clear()

    def pieces(self) -> Iterator[bytes]:
        self.spool.seek(0)
        while piece := self.spool.read(PIECE):
            yield piece


def snapshot_count(engine: Engine) -> int:
    """Return how many snapshots one cut gives: one for each channel, and the ledger's."""
    return len(engine.rules.channels) + 1


def snapshot_lines(engine: Engine) -> Iterator[bytes]:
    """Yield the bytes of the snapshots that are due, in pieces.

    The header tells how many rows follow, so the rows are made first; large ones wait in a
    temporary file.
    """
    channels = [channel.name for channel in engine.rules.channels]
    with ExitStack() as closing:
        sections: dict[str | None, _Section] = {
            name: _Section(closing.enter_context(SpooledTemporaryFile(max_size=SPOOL_MEMORY)))
            for name in [*channels, None]
        }
        for channel, row in engine.cut_rows():
            section = sections[channel]
            section.waiting.append(row)
            if len(section.waiting) == ROWS_AT_ONCE:
                section.finish()
        for channel, section in sections.items():
            section.finish()
            yield from _framed(engine, channel, section)


def _framed(engine: Engine, channel: str | None, section: _Section) -> Iterator[bytes]:
    """Yield one snapshot: its header, its rows, its trailer."""
    taken_at = format_instant(engine.standing.cut or 0)
    name = f"{taken_at}/{LEDGER if channel is None else channel}"
    encode = msgspec.json.Encoder().encode
    header = SnapshotHeader(
        snapshot=name,
        channel=channel,
        ledger=channel is None,
        taken_at=taken_at,
        rows=section.rows,
        position=engine.standing.figures.received,
    )
    trailer = SnapshotTrailer(snapshot=name, rows=section.rows, sha256=section.digest.hexdigest())
    yield encode(header) + b"\n"
    yield from section.pieces()
    yield encode(trailer) + b"\n"
