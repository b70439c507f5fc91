"""From the bytes of a line to a movement, or to the code of its first fault.

The fast way is one decode by msgspec and a few checks. What does not pass goes the slow way, which
looks at everything in the order of the contract and names the fault.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import msgspec
import xxhash
from msgspec import Meta

from benchmarks.peers.plain.instants import parse_instant

CHANNELS: Final = ("marketplace-a", "marketplace-b", "web-shop")
DISPOSITIONS: Final = ("sellable", "inspecting", "damaged")
NUMBER_OF: Final = {name: number for number, name in enumerate(DISPOSITIONS)}
PLACED: Final = frozenset(
    {"sale", "return", "receipt", "expect", "transfer", "adjustment", "count", "reclassify"}
    | {"allocate", "fulfil"}
)
COUNTED: Final = PLACED - {"allocate"} | {"reserve"}
RESERVING: Final = frozenset({"reserve", "confirm", "allocate", "release", "fulfil"})
SIGNED: Final = frozenset({"expect", "adjustment"})
TYPES: Final = frozenset(PLACED | RESERVING)
MOST_UNITS: Final = 10**9
MOST_BYTES: Final = 64 * 1024
LONGEST_SKU: Final = 100
LONGEST_LOCATION: Final = 64
LONGEST_SOURCE: Final = 64

Note = Annotated[str, Meta(max_length=256)]


class Movement(msgspec.Struct, gc=False, omit_defaults=True, rename={"from_": "from"}):
    """One movement; `at` and `expires` are microseconds since the epoch."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    source: str
    type: str
    sku: str
    occurred_at: str = ""
    location: str | None = None
    quantity: Annotated[int, Meta(ge=-MOST_UNITS, le=MOST_UNITS)] | None = None
    disposition: str | None = None
    from_: str | None = None
    to: str | None = None
    to_location: str | None = None
    from_location: str | None = None
    reservation: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    channel: str | None = None
    policy: str | None = None
    allow_partial: bool | None = None
    expires_at: str | None = None
    reason: Note | None = None
    reference: Note | None = None
    correlation_id: Note | None = None
    schema: int | None = None
    at: int = 0
    expires: int | None = None


class Faulty(Exception):
    """A movement is refused; the message is the code."""


_decode = msgspec.json.Decoder(Movement).decode
_encode = msgspec.msgpack.Encoder().encode


def read_movement(line: bytes) -> Movement:
    """The movement that a line tells.

    Raises:
        Faulty: it is refused.
    """
    try:
        if len(line) > MOST_BYTES:
            raise Faulty("oversize")
        movement = _decode(line)
        if not line.isascii():
            line.decode()
        if _is_right(movement):
            return movement
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    raise Faulty(_fault(line))


def identity(movement: Movement) -> bytes:
    """The hash of what makes two movements one."""
    return xxhash.xxh3_128_digest(f"{movement.source}\0{movement.id}\0{movement.sku}".encode())


def content(movement: Movement) -> bytes:
    """The hash of what two movements of one identity must have in common."""
    kept = movement.reason, movement.reference, movement.correlation_id
    movement.reason = movement.reference = movement.correlation_id = None
    told = xxhash.xxh3_64_digest(_encode(movement))
    movement.reason, movement.reference, movement.correlation_id = kept
    return told


def _is_right(m: Movement) -> bool:
    """Whether all fields are right; fills the instants and what is left out."""
    kind, quantity, location = m.type, m.quantity, m.location
    m.at = parse_instant(m.occurred_at)
    m.occurred_at = ""
    return (
        m.id.isprintable()
        and 0 < len(m.source) <= LONGEST_SOURCE
        and m.source.isprintable()
        and _is_identifier(m.sku, LONGEST_SKU)
        and (kind not in PLACED if location is None else _is_identifier(location, LONGEST_LOCATION))
        and (
            (kind not in COUNTED and kind in TYPES)
            if quantity is None
            else quantity > 0 or (quantity < 0 and kind in SIGNED) or (quantity == 0 == _least(m))
        )
        and kind in TYPES
        and m.schema in (None, 1)
        and _is_more_right(m)
    )


def _least(m: Movement) -> int:
    return 0 if m.type == "count" else 1


def _is_more_right(m: Movement) -> bool:
    """The same for the fields that few movements have."""
    m.schema = None
    if m.disposition == "sellable":
        m.disposition = None
    if m.policy == "strict":
        m.policy = None
    if m.allow_partial is False:
        m.allow_partial = None
    if m.expires_at is not None:
        m.expires = parse_instant(m.expires_at)
        m.expires_at = None
    return (
        (m.disposition is None or m.disposition in NUMBER_OF)
        and (m.from_ is None or m.from_ in NUMBER_OF)
        and (m.to is None or m.to in NUMBER_OF)
        and (m.type != "reclassify" or (m.from_ != m.to and None not in (m.from_, m.to)))
        and (m.to_location is None or _is_identifier(m.to_location, LONGEST_LOCATION))
        and (m.type != "transfer" or m.to_location not in (None, m.location))
        and (m.from_location is None or _is_identifier(m.from_location, LONGEST_LOCATION))
        and (m.type != "receipt" or m.from_location != m.location)
        and (m.type not in RESERVING if m.reservation is None else m.reservation.isprintable())
        and (m.channel is None or m.channel in CHANNELS)
        and m.policy in (None, "force")
        and all(note is None or note.isprintable() for note in (m.reason, m.reference))
        and (m.correlation_id is None or m.correlation_id.isprintable())
    )


def _is_identifier(text: str, longest: int) -> bool:
    return (
        0 < len(text) <= longest
        and text.isprintable()
        and "|" not in text
        and text[0] != " "
        and text[-1] != " "
    )


def _fault(line: bytes) -> str:
    """The first fault of a line that was found wrong, in the order of the contract."""
    try:
        told: Any = json.loads(line.decode())
    except (ValueError, RecursionError):
        return "malformed"
    if not isinstance(told, dict):
        return "malformed"
    schema = told.get("schema")
    if schema is not None and (type(schema) is not int or schema != 1):
        return "unsupported_schema"
    if told.get("type") not in TYPES:
        return "unknown_type"
    if told["type"] == "reserve" and isinstance(told.get("channel"), str):
        try:
            channel = told.pop("channel")
            if _is_right(_decode(msgspec.json.encode(told))) and channel not in CHANNELS:
                return "unknown_channel"
        except (msgspec.MsgspecError, ValueError):
            pass
    return "invalid_field"
