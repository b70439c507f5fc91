"""The rows of a snapshot: one consistent cut of every channel's keys and of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from engine.contracts import records
from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import KeyRecord, PublishedRecord
from engine.contracts.snapshots import ChannelRow, CountedAt, LedgerRow
from engine.core.outlets import Outlet
from engine.core.parts import Parts
from engine.ledger.book import Sku
from engine.publication.throttle import STATUS_NAMES

Row = ChannelRow | LedgerRow

INSTANTS_KEPT = 50_000  # texts of instants that are kept


def cut_rows(parts: Parts) -> Iterator[tuple[str | None, Row]]:
    """Yield the rows of the cut, each with its channel's name, None for the ledger.

    Everything must be committed; the rows of one channel come in order of their keys.
    """
    faces = parts.publisher.faces
    for name, stored in parts.reader.scan(records.SKU):
        sku = _sku(parts, name[1:].decode(), stored)
        published = sku.record.published
        for face in faces.of(sku):
            last = published[face.slot] if face.slot < len(published) else None
            if last is not None and last.version:
                value, _ = faces.value(sku, face)
                yield face.outlet.name, _channel_row(face.outlet, sku.name, None, last, value)
    decode = msgspec.msgpack.Decoder(KeyRecord).decode
    current: Sku | None = None
    for name, stored in parts.reader.scan(records.KEY):
        sku_name, _, location = name[1:].decode().partition("|")
        key = decode(stored)
        yield None, ledger_row(sku_name, location, key)
        if not key.published:
            continue
        if current is None or current.name != sku_name:
            found = parts.reader.get(records.sku_name(sku_name))
            current = _sku(parts, sku_name, found or b"")
        for face in faces.at(current, location):
            last = key.published.get(face.slot)
            if last is not None and last.version:
                value, _ = faces.value_at(current, face, location, key)
                yield face.outlet.name, _channel_row(face.outlet, sku_name, location, last, value)


def _sku(parts: Parts, name: str, stored: bytes) -> Sku:
    """Return the SKU with sums that are valid for the rules in force."""
    sku = Sku(name, msgspec.msgpack.decode(stored, type=records.SkuRecord))
    if sku.record.epoch == parts.standing.epoch:
        return sku
    sku = parts.book.sku(name)
    parts.sums.fold(parts.book, sku)
    return sku


def _channel_row(
    outlet: Outlet, sku: str, location: str | None, last: PublishedRecord, value: int
) -> ChannelRow:
    cause = last.cause
    return ChannelRow(
        sku,
        outlet.name,
        location,
        last.value,
        STATUS_NAMES[last.status],
        last.version,
        _text_of(last.at),
        None if cause is None else Cause(*cause),
        value,
    )


def ledger_row(sku: str, location: str, key: KeyRecord) -> LedgerRow:
    """Return the stock of a key as users see it."""
    return LedgerRow(
        sku,
        location,
        key.sellable,
        key.inspecting,
        key.damaged,
        key.reserved,
        max(0, key.incoming),
        key.version,
        counted_at(key),
    )


def counted_at(key: KeyRecord) -> CountedAt:
    """Return when each disposition of a key was last counted."""
    sellable = _instant_or_none(key.counted_sellable)
    if key.counted_inspecting == key.counted_damaged == records.NEVER:
        return CountedAt(sellable)
    return CountedAt(
        sellable, _instant_or_none(key.counted_inspecting), _instant_or_none(key.counted_damaged)
    )


def _instant_or_none(instant: int) -> str | None:
    return None if instant == records.NEVER else _text_of(instant)


@lru_cache(INSTANTS_KEPT)
def _text_of(instant: int) -> str:
    """Return an instant's text; a whole store is counted, or told, at the same one."""
    return format_instant(instant)
