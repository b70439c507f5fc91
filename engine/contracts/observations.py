"""The topic `observations`: what another system believes the stock is.

Examined in the order of movements, as far as it applies: size, JSON, schema, fields; the clock and
the identity come later. An observation needs no id: a system believes one thing of one disposition
at one place and time, so source, SKU, location, disposition and time are its identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts import exceptions as codes
from engine.contracts.examination import check_schema, is_integer, read_object, value_fault
from engine.contracts.exceptions import MEDIUM, Refusal
from engine.contracts.limits import (
    MAX_LOCATION_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_QUANTITY,
    MAX_SKU_LENGTH,
    MAX_SOURCE_LENGTH,
    MIN_SIGNED_QUANTITY,
    MOVEMENT_SCHEMA,
)
from engine.contracts.movement import DISPOSITIONS, SELLABLE, hash_content, hash_identity
from engine.contracts.movement_fault import FaultError, shown
from engine.contracts.movement_fields import FieldRule, Kind

FIELD_RULES: Final = (
    FieldRule("source", Kind.TEXT, 1, MAX_SOURCE_LENGTH),
    FieldRule("sku", Kind.IDENTIFIER, 1, MAX_SKU_LENGTH),
    FieldRule("location", Kind.IDENTIFIER, 1, MAX_LOCATION_LENGTH),
    FieldRule("quantity", Kind.QUANTITY),
    FieldRule("observed_at", Kind.TIME),
    FieldRule("disposition", Kind.CHOICE, choices=DISPOSITIONS),
    FieldRule("correlation_id", Kind.TEXT, 0, MAX_NOTE_LENGTH),
)
"""In the order in which they are examined, after `schema`."""

KNOWN_FIELDS: Final = frozenset({"schema", *(rule.name for rule in FIELD_RULES)})
NEEDED: Final = frozenset({"source", "sku", "location", "quantity", "observed_at"})
COLUMNS: Final = ("source", "sku", "location", "quantity", "observed_at")
"""The columns that a CSV file of observations has at least, in the usual order."""


class ObservationRecord(msgspec.Struct, gc=False):
    """One quantity that a system holds for true; never applied blindly."""

    source: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_SOURCE_LENGTH, description="The system that observed."),
    ]
    sku: Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH)]
    location: Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_LENGTH)]
    quantity: Annotated[int, Meta(ge=MIN_SIGNED_QUANTITY, le=MAX_QUANTITY)]
    observed_at: Annotated[
        str, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
    ]
    disposition: Annotated[str, Meta(extra_json_schema={"enum": list(DISPOSITIONS)})] = SELLABLE
    correlation_id: Annotated[str, Meta(max_length=MAX_NOTE_LENGTH)] | None = None
    schema: Annotated[int, Meta(ge=MOVEMENT_SCHEMA, le=MOVEMENT_SCHEMA)] = MOVEMENT_SCHEMA


class Observation(msgspec.Struct, gc=False, frozen=True):
    """One observation, valid and normalised.

    `quantity` is in base units, `at` the instant of `observed_at`. `identity` is 16 bytes of XXH3
    over what it is about, `content` 8 bytes over what it says.
    """

    source: str
    sku: str
    location: str
    disposition: str
    quantity: int
    at: int
    correlation_id: str | None
    identity: bytes
    content: bytes


def decode_observation(line: bytes) -> Observation | Refusal:
    """The observation that the line says, or why it is refused. Never raises.

    `line` has no byte order mark and need not end with a newline.
    """
    values: Mapping[str, object] = {}
    try:
        values = read_object(line, KNOWN_FIELDS, "observation")
        return _examine(values)
    except FaultError as fault:
        return refuse_observation(fault.code, fault.message, fault.field, _correlation_in(values))


def refuse_observation(
    code: str, message: str, field: str | None = None, correlation_id: str | None = None
) -> Refusal:
    """A refusal: `medium`, since nothing is oversold because a comparison was not made."""
    return Refusal(code, message, field, MEDIUM, correlation_id)


def _correlation_in(values: Mapping[str, object]) -> str | None:
    found = values.get("correlation_id")
    return found if isinstance(found, str) and len(found) <= MAX_NOTE_LENGTH else None


def _examine(values: Mapping[str, object]) -> Observation:
    check_schema(values.get("schema"))
    times: dict[str, int] = {}
    for rule in FIELD_RULES:
        value = values.get(rule.name)
        fault = _fault_of(rule, value, times)
        if fault is not None:
            raise FaultError(codes.INVALID_FIELD, f"{rule.name} {fault}", rule.name)
    return _build(values, times["observed_at"])


def _fault_of(rule: FieldRule, value: object, times: dict[str, int]) -> str | None:
    if value is None:
        return "is missing, every observation has it" if rule.name in NEEDED else None
    if rule.kind is not Kind.QUANTITY:
        return value_fault(rule, value, times)
    if is_integer(value) and MIN_SIGNED_QUANTITY <= value <= MAX_QUANTITY:
        return None
    return (
        f"is {shown(value)}, expected a whole number from {MIN_SIGNED_QUANTITY:,} to "
        f"{MAX_QUANTITY:,}"
    )


def _build(values: Mapping[str, object], at: int) -> Observation:
    """The observation of values that were all found to be right."""

    def text(name: str) -> str:
        value = values.get(name)
        return value if isinstance(value, str) else ""

    quantity = values.get("quantity")
    assert is_integer(quantity), "it was examined"
    source, sku, location = text("source"), text("sku"), text("location")
    disposition = text("disposition") or SELLABLE
    # The identity of a movement holds two NULs, this one five: neither is taken for the other.
    about = ("observation", source, sku, location, disposition, str(at))
    return Observation(
        source=source,
        sku=sku,
        location=location,
        disposition=disposition,
        quantity=quantity,
        at=at,
        correlation_id=text("correlation_id") or None,
        identity=hash_identity("\0".join(about).encode()),
        content=hash_content(str(quantity).encode()),
    )
