"""The snapshot of one ledger partition: header, rows, trailer, as messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from engine.contracts import records
from engine.contracts.instants import format_instant
from engine.contracts.records import KeyRecord
from engine.contracts.snapshots import SnapshotHeader, SnapshotTrailer
from engine.core.cut import ledger_row
from engine.core.engine import Engine
from engine.kafka.ledger_record import Message
from engine.stores.base import StoreReader

ROWS_AT_ONCE: Final = 1_000


def ledger_snapshot(engine: Engine, table: StoreReader, partition: int) -> Iterator[list[Message]]:
    """Yield the messages of the snapshot that is due, some at a time; all have its name as key.

    Everything must be committed.
    """
    taken_at = format_instant(engine.standing.cut or 0)
    name = f"{taken_at}/ledger/{partition}"
    key = name.encode()
    encode = msgspec.json.Encoder().encode
    count = sum(1 for _ in table.scan(records.KEY))
    header = SnapshotHeader(
        snapshot=name,
        channel=None,
        ledger=True,
        taken_at=taken_at,
        rows=count,
        position=engine.standing.figures.received,
    )
    yield [(key, encode(header), [])]
    digest = hashlib.sha256()
    rows = _rows(table)
    while lines := list(islice(rows, ROWS_AT_ONCE)):
        for line in lines:
            digest.update(line)
            digest.update(b"\n")
        yield [(key, line, []) for line in lines]
    trailer = SnapshotTrailer(snapshot=name, rows=count, sha256=digest.hexdigest())
    yield [(key, encode(trailer), [])]


def _rows(table: StoreReader) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    decode = msgspec.msgpack.Decoder(KeyRecord).decode
    for name, stored in table.scan(records.KEY):
        sku, _, location = name[1:].decode().partition("|")
        yield encode(ledger_row(sku, location, decode(stored)))
