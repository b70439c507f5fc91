"""What goes out: availability in the record of the contract, dead letters, and the final state."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

import msgspec

from benchmarks.peers.plain.instants import format_instant
from benchmarks.peers.plain.ledger import available
from benchmarks.peers.plain.movements import CHANNELS
from benchmarks.peers.plain.state import NEVER, Sku


class Cause(msgspec.Struct, gc=False):
    """What changed the number last."""

    source: str
    id: str
    correlation_id: str | None


class Availability(msgspec.Struct, gc=False):
    """One publication."""

    sku: str
    channel: str
    location: None
    available: int
    status: str
    version: int
    computed_at: str
    cause: Cause


_encode = msgspec.json.Encoder().encode


def publish(name: str, sku: Sku, instant: int) -> list[tuple[str, bytes]]:
    """Channel and record of every number that differs from what the channel was told."""
    told = sku.told
    records: list[tuple[str, bytes]] = []
    for channel in range(len(CHANNELS)):
        number = available(sku, channel)
        if number == told[channel]:
            continue
        told[channel] = number
        sku.versions[channel] += 1
        assert sku.cause is not None
        record = Availability(
            name,
            CHANNELS[channel],
            None,
            number,
            "in_stock" if number else "out_of_stock",
            sku.versions[channel],
            format_instant(instant),
            Cause(*sku.cause),
        )
        records.append((CHANNELS[channel], _encode(record)))
    return records


def dead_letter(code: str, line: bytes) -> bytes:
    """What is refused goes out with the code of its fault."""
    try:
        payload = {"payload": line.decode()}
    except UnicodeDecodeError:
        payload = {"payload_base64": base64.b64encode(line).decode()}
    return json.dumps({"code": code, "outcome": "refused", **payload}).encode()


def state_rows(skus: Mapping[str, Sku]) -> Iterator[bytes]:
    """The final state, one line a key and one a SKU."""
    for name, sku in skus.items():
        if sku.cause is None:
            continue
        yield _encode(["sku", name, sku.claims, *sku.told]) + b"\n"
        for location, place in sku.places.items():
            counted = [None if at == NEVER else at for at in place.counted]
            amounts = [*place.quantities, place.reserved, max(0, place.incoming), place.version]
            yield _encode(["key", name, location, *amounts, *counted]) + b"\n"
