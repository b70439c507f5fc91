"""Exceptions (dead letters): their codes, how bad each is for the business, and what to do.

A refused movement changed nothing and waits here to be mended and replayed; a warning is about a
movement that was applied.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

# Refused: the movement was not applied. In the order in which a movement is examined.
OVERSIZE: Final = "oversize"
MALFORMED: Final = "malformed"
UNSUPPORTED_SCHEMA: Final = "unsupported_schema"
UNKNOWN_TYPE: Final = "unknown_type"
INVALID_FIELD: Final = "invalid_field"
UNKNOWN_CHANNEL: Final = "unknown_channel"
FUTURE_DATED: Final = "future_dated"
TOO_OLD: Final = "too_old"
COUNT_TOO_OLD: Final = "count_too_old"
CONFLICTING_DUPLICATE: Final = "conflicting_duplicate"
RESERVATION_EXISTS: Final = "reservation_exists"

# Warnings: the movement was applied.
NEGATIVE_STOCK: Final = "negative_stock"
OVERSOLD: Final = "oversold"
EXCESS_RELEASE: Final = "excess_release"
FULFILLED_AFTER_END: Final = "fulfilled_after_end"
CONFIRMED_AFTER_END: Final = "confirmed_after_end"
CLOCK_SKEW: Final = "clock_skew"

REFUSED_CODES: Final = (
    OVERSIZE,
    MALFORMED,
    UNSUPPORTED_SCHEMA,
    UNKNOWN_TYPE,
    INVALID_FIELD,
    UNKNOWN_CHANNEL,
    FUTURE_DATED,
    TOO_OLD,
    COUNT_TOO_OLD,
    CONFLICTING_DUPLICATE,
    RESERVATION_EXISTS,
)
WARNING_CODES: Final = (
    NEGATIVE_STOCK,
    OVERSOLD,
    EXCESS_RELEASE,
    FULFILLED_AFTER_END,
    CONFIRMED_AFTER_END,
    CLOCK_SKEW,
)
CODES: Final = REFUSED_CODES + WARNING_CODES

CRITICAL: Final = "critical"
HIGH: Final = "high"
MEDIUM: Final = "medium"
LOW: Final = "low"
SEVERITIES: Final = (CRITICAL, HIGH, MEDIUM, LOW)

_TAKES_STOCK_AWAY: Final = frozenset(
    {"sale", "fulfil", "transfer", "reserve", "confirm", "count", "reclassify"}
)
"""Left out, these let stock be sold twice. A `confirm` belongs here because without it the
reservation expires and its goods are offered again; a `count` because it may lower the book."""

_BY_TYPE: Final = frozenset(
    {INVALID_FIELD, UNKNOWN_CHANNEL, FUTURE_DATED, UNSUPPORTED_SCHEMA, CONFLICTING_DUPLICATE}
)
"""Codes whose severity follows from what the refused movement would have done."""

_SEVERITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        OVERSIZE: HIGH,
        MALFORMED: HIGH,
        UNSUPPORTED_SCHEMA: HIGH,
        UNKNOWN_TYPE: HIGH,
        INVALID_FIELD: HIGH,
        UNKNOWN_CHANNEL: HIGH,
        FUTURE_DATED: MEDIUM,
        TOO_OLD: MEDIUM,
        COUNT_TOO_OLD: MEDIUM,
        CONFLICTING_DUPLICATE: HIGH,
        RESERVATION_EXISTS: HIGH,
        NEGATIVE_STOCK: HIGH,
        OVERSOLD: CRITICAL,
        EXCESS_RELEASE: LOW,
        FULFILLED_AFTER_END: HIGH,
        CONFIRMED_AFTER_END: HIGH,
        CLOCK_SKEW: LOW,
    }
)

ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        OVERSIZE: "Send less: unknown fields are ignored anyway. The limit is 64 KiB a movement.",
        MALFORMED: "Send one JSON object in UTF-8 per line or message, in CSV a row with as many "
        "cells as the first one. This one has no fields to mend: send what was meant as a new "
        "movement, then dismiss it.",
        UNSUPPORTED_SCHEMA: "Send schema 1, or upgrade the engine to one that knows this schema.",
        UNKNOWN_TYPE: "Mend the type at its source, then replay with --set type=...",
        INVALID_FIELD: "Mend the field at its source, then replay with --set FIELD=VALUE.",
        UNKNOWN_CHANNEL: "Add the channel to channels.yaml or mend its name, then replay.",
        FUTURE_DATED: "Check the clock of the source; replay when the time has come, or mended.",
        TOO_OLD: "Nobody can tell whether it was seen before. If it was not, replay it with "
        "--accept-old; otherwise dismiss it.",
        COUNT_TOO_OLD: "Count again, or dismiss it: newer movements cannot be told apart any more.",
        CONFLICTING_DUPLICATE: "Two movements share source, id and sku. The first one counts: "
        "give the second an id of its own if it is another movement, otherwise dismiss it.",
        RESERVATION_EXISTS: "A reservation's name serves once per SKU: reserve under a new one.",
        NEGATIVE_STOCK: "The shelf proved the book wrong: count this SKU at this location.",
        OVERSOLD: "More is promised than is there: move stock, fulfil elsewhere, or cancel orders.",
        EXCESS_RELEASE: "More was given back than was left: check the order system's quantities.",
        FULFILLED_AFTER_END: "Goods left for a reservation that had ended: check its expiry time.",
        CONFIRMED_AFTER_END: "The customer paid after the reservation ended: check that the order "
        "can be met, and whether reservations expire too soon.",
        CLOCK_SKEW: "Set the clock of the source: its movements come from the future.",
    }
)


def severity_of(code: str, movement_type: str | None = None, quantity: int | None = None) -> str:
    """How bad an exception is for the business: `critical`, `high`, `medium` or `low`.

    A refused movement that would have taken stock away leaves goods on offer that are gone, so it
    is `critical`; one that would have brought stock back only sells too little, `medium`. Without
    a readable type it might be either: `high`. Of a movement that may well have been seen before
    (`too_old`) both are one step milder.

    Raises:
        KeyError: there is no such code.
    """
    severity = _SEVERITY[code]
    if movement_type is None:
        return severity
    takes_away = movement_type in _TAKES_STOCK_AWAY or (
        movement_type == "adjustment" and (quantity is None or quantity < 0)
    )
    if code in _BY_TYPE:
        return CRITICAL if takes_away else MEDIUM
    if code == TOO_OLD and takes_away:
        return HIGH
    return severity


class Refusal(msgspec.Struct, gc=False, frozen=True):
    """Why a movement is refused: the first fault that was found, and nothing was changed."""

    code: str
    message: str
    field: str | None = None
    severity: str = HIGH
    correlation_id: str | None = None


def refusal(
    code: str,
    message: str,
    field: str | None = None,
    movement_type: str | None = None,
    quantity: int | None = None,
    correlation_id: str | None = None,
) -> Refusal:
    """A refusal with the severity that its code and the kind of movement give."""
    severity = severity_of(code, movement_type, quantity)
    return Refusal(code, message, field, severity, correlation_id)


class ExceptionRecord(msgspec.Struct, gc=False, kw_only=True):
    """One record of the topic `exceptions`. Exactly one of the two payloads is written."""

    exception: Annotated[str, Meta(description="Identity of this exception, unique for ever.")]
    code: Annotated[str, Meta(extra_json_schema={"enum": list(CODES)})]
    severity: Annotated[
        str,
        Meta(
            description="By business effect; critical: an oversell is possible.",
            extra_json_schema={"enum": list(SEVERITIES)},
        ),
    ]
    message: Annotated[str, Meta(description="For people: what was found, what was expected.")]
    outcome: Annotated[
        str,
        Meta(
            description="What became of the movement: `refused`, or for a warning how it ended.",
            extra_json_schema={"enum": ["applied", "absorbed", "rejected", "refused"]},
        ),
    ]
    payload: Annotated[str, Meta(description="The movement as it came.")] | UnsetType = UNSET
    payload_base64: (
        Annotated[
            str,
            Meta(
                description="The movement as it came, in base64 because it is not UTF-8.",
                extra_json_schema={"contentEncoding": "base64"},
            ),
        ]
        | UnsetType
    ) = UNSET
    origin: Annotated[str, Meta(description="Where it came from, such as `path:line`.")]
    first_seen: Annotated[
        str | None,
        Meta(
            description="The engine's clock when it was met, RFC 3339; null before an event clock"
            " has begun to run.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    correlation_id: Annotated[
        str | None, Meta(description="The movement's own, where it could be read.")
    ]


def exception_record(
    *,
    exception: str,
    code: str,
    severity: str,
    message: str,
    outcome: str,
    payload: bytes,
    origin: str,
    first_seen: str | None,
    correlation_id: str | None,
) -> ExceptionRecord:
    """The record of one exception, with the payload as text, or in base64 when it is not UTF-8."""
    record = ExceptionRecord(
        exception=exception,
        code=code,
        severity=severity,
        message=message,
        outcome=outcome,
        origin=origin,
        first_seen=first_seen,
        correlation_id=correlation_id,
    )
    try:
        record.payload = payload.decode()
    except UnicodeDecodeError:
        record.payload_base64 = base64.b64encode(payload).decode("ascii")
    return record


def payload_bytes(record: ExceptionRecord) -> bytes:
    """The movement as it came, byte for byte.

    Raises:
        ValueError: the record has no payload, or its base64 is damaged.
    """
    if isinstance(record.payload, str):
        return record.payload.encode()
    if isinstance(record.payload_base64, str):
        return base64.b64decode(record.payload_base64, validate=True)
    raise ValueError(f"the exception {record.exception} has no payload")
