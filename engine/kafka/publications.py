"""Publications as messages of `availability.<channel>`, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from engine.contracts.availability import Availability
from engine.contracts.instants import parse_instant
from engine.kafka.channel_publisher import Publication, Standing
from engine.kafka.ledger_record import Headers, Message
from engine.kafka.messages import CORRELATION_ID

SOURCE: Final = "source"
CAUSE_ID: Final = "id"
STANDING: Final = "standing"
"""Header with what the throttle needs to be rebuilt; of no use to readers."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Availability).decode
_encode_standing = msgspec.msgpack.Encoder().encode
_decode_standing = msgspec.msgpack.Decoder(Standing).decode


def publication_message(publication: Publication) -> Message:
    """A publication as a message."""
    record = publication.record
    cause = record.cause
    headers: Headers = [
        (SOURCE, cause.source.encode()),
        (CAUSE_ID, cause.id.encode()),
        (STANDING, _encode_standing(publication.standing)),
    ]
    if cause.correlation_id:
        headers.append((CORRELATION_ID, cause.correlation_id.encode()))
    key = record.sku if record.location is None else f"{record.sku}|{record.location}"
    return key.encode(), _encode(record), headers


def read_publication(
    value: bytes, headers: Iterable[tuple[str, bytes]]
) -> tuple[Availability, int, Standing]:
    """A publication as it was sent, its tick, and its standing.

    One that somebody else wrote has none; versions go on after it all the same.
    """
    record = _decode(value)
    told = next((told for name, told in headers if name == STANDING), None)
    standing = Standing(0) if told is None else _decode_standing(told)
    return record, parse_instant(record.computed_at), standing
