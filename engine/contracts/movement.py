"""A movement of stock as the engine holds it, and its two digests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
import xxhash
from msgspec import Meta

from engine.contracts.limits import (
    MAX_ID_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_QUANTITY,
    MAX_RESERVATION_LENGTH,
    MIN_SIGNED_QUANTITY,
    MOVEMENT_SCHEMA,
)

SELLABLE: Final = "sellable"
INSPECTING: Final = "inspecting"
DAMAGED: Final = "damaged"
DISPOSITIONS: Final = (SELLABLE, INSPECTING, DAMAGED)

STRICT: Final = "strict"
FORCE: Final = "force"
POLICIES: Final = (STRICT, FORCE)

MOVEMENT_TYPES: Final = (
    "sale",
    "return",
    "receipt",
    "expect",
    "transfer",
    "adjustment",
    "count",
    "reclassify",
    "reserve",
    "confirm",
    "allocate",
    "release",
    "fulfil",
)

FIELD_OF_ATTRIBUTE: Final[Mapping[str, str]] = MappingProxyType({"from_": "from"})
"""Wire names that are no Python names; every other attribute is called as on the wire."""


class Movement(msgspec.Struct, gc=False, omit_defaults=True, rename={"from_": "from"}):
    """One movement, valid and normalised: equal content has equal attributes.

    What the wire's defaults say is kept as None: `disposition` sellable, `policy` strict,
    `allow_partial` false, `schema` 1. The two times are kept as the instants `at` and `expires`
    (microseconds), and their texts are emptied. Quantities are in base units.

    The limits that stand here are those that the JSON decoder checks at next to no cost; the
    others are checked by `MovementDecoder`.
    """

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
    source: str
    type: str
    sku: str
    occurred_at: str = ""
    location: str | None = None
    quantity: Annotated[int, Meta(ge=MIN_SIGNED_QUANTITY, le=MAX_QUANTITY)] | None = None
    disposition: str | None = None
    from_: str | None = None
    to: str | None = None
    to_location: str | None = None
    from_location: str | None = None
    reservation: Annotated[str, Meta(min_length=1, max_length=MAX_RESERVATION_LENGTH)] | None = None
    channel: str | None = None
    policy: str | None = None
    allow_partial: bool | None = None
    expires_at: str | None = None
    reason: Annotated[str, Meta(max_length=MAX_NOTE_LENGTH)] | None = None
    reference: Annotated[str, Meta(max_length=MAX_NOTE_LENGTH)] | None = None
    correlation_id: Annotated[str, Meta(max_length=MAX_NOTE_LENGTH)] | None = None
    schema: Annotated[int, Meta(ge=MOVEMENT_SCHEMA, le=MOVEMENT_SCHEMA)] | None = None
    at: int = 0
    expires: int | None = None
    identity: bytes = b""
    content: bytes = b""


encode_content = msgspec.msgpack.Encoder().encode
hash_identity = xxhash.xxh3_128_digest
hash_content = xxhash.xxh3_64_digest


def seal(movement: Movement) -> None:
    """Set what stands for the movement's identity and for its content, once all else is set.

    The identity is (`source`, `id`, `sku`) as 16 bytes of XXH3; the texts hold no control
    characters, so a NUL between them keeps their borders. The content is 8 bytes of XXH3 over all
    fields but `reason`, `reference` and `correlation_id`; unknown fields do not count, nor does
    the way in which times and defaults were written.
    """
    movement.identity = movement.content = b""
    reason, reference, correlation = movement.reason, movement.reference, movement.correlation_id
    movement.reason = movement.reference = movement.correlation_id = None
    content = encode_content(movement)
    movement.reason, movement.reference, movement.correlation_id = reason, reference, correlation
    movement.content = hash_content(content)
    movement.identity = hash_identity(f"{movement.source}\0{movement.id}\0{movement.sku}".encode())
