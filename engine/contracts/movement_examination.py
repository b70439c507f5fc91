"""The slow, exact way from bytes to a movement: it finds the first fault and names it.

Everything that the fast way in `movements` cannot take at a glance comes here. The order is that
of the promise: size, JSON, schema, type, fields, channel.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Final, TypeGuard

import msgspec

from engine.contracts import exceptions as codes
from engine.contracts.exceptions import Refusal, refusal
from engine.contracts.instants import parse_instant
from engine.contracts.limits import (
    MAX_MOVEMENT_BYTES,
    MAX_NESTING_DEPTH,
    MAX_NOTE_LENGTH,
    MAX_QUANTITY,
    MOVEMENT_SCHEMA,
)
from engine.contracts.movement import MOVEMENT_TYPES, SELLABLE, STRICT, Movement, seal
from engine.contracts.movement_fault import FarNumber, FaultError, shortened, shown, shown_bytes
from engine.contracts.movement_fields import (
    ALWAYS_NEEDED,
    FIELD_RULES,
    KNOWN_FIELDS,
    NEEDS,
    FieldRule,
    Kind,
    TypeNeeds,
)

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_INTEGER: Final = re.compile(r"-?[0-9]+")


def examine_line(line: bytes, channels: Collection[str]) -> Movement | Refusal:
    """The movement that the line says, or why it is refused. Never raises, whatever the bytes."""
    values: Mapping[str, object] = {}
    try:
        values = _read_object(line)
        return _examine(values, channels)
    except FaultError as fault:
        return _refuse(fault, values)


def examine_mapping(values: Mapping[str, object], channels: Collection[str]) -> Movement | Refusal:
    """The movement that wire names and typed values say, or why it is refused."""
    try:
        return _examine(values, channels)
    except FaultError as fault:
        return _refuse(fault, values)


def _refuse(fault: FaultError, values: Mapping[str, object]) -> Refusal:
    movement_type = values.get("type")
    quantity = values.get("quantity")
    correlation_id = values.get("correlation_id")
    return refusal(
        fault.code,
        fault.message,
        fault.field,
        movement_type=movement_type
        if isinstance(movement_type, str) and movement_type in NEEDS
        else None,
        quantity=quantity if _is_integer(quantity) else None,
        correlation_id=correlation_id
        if isinstance(correlation_id, str) and len(correlation_id) <= MAX_NOTE_LENGTH
        else None,
    )


# ---------------------------------------------------------------------------------- size and JSON


def _read_object(line: bytes) -> dict[str, object]:
    if len(line) > MAX_MOVEMENT_BYTES:
        raise FaultError(
            codes.OVERSIZE,
            f"the movement has {len(line):,} bytes, at most {MAX_MOVEMENT_BYTES:,} are taken",
        )
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise FaultError(
            codes.MALFORMED, f"byte {error.start + 1} is not UTF-8 ({error.reason})"
        ) from None
    if nests_too_deep(line):
        raise FaultError(
            codes.MALFORMED,
            f"arrays and objects are nested deeper than {MAX_NESTING_DEPTH} levels",
        )
    try:
        raws = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        return {name: _read_value(bytes(raw)) for name, raw in raws.items() if name in KNOWN_FIELDS}
    except msgspec.ValidationError:
        raise FaultError(
            codes.MALFORMED, f"a movement is one JSON object, this is {shown_bytes(line)}"
        ) from None
    except msgspec.DecodeError as error:
        raise FaultError(codes.MALFORMED, _json_fault(line, error)) from None
    except RecursionError:
        raise FaultError(
            codes.MALFORMED, "arrays and objects are nested too deep to be read"
        ) from None


def nests_too_deep(line: bytes) -> bool:
    """Whether arrays and objects lie inside one another beyond the limit."""
    if line.count(b"[") + line.count(b"{") <= MAX_NESTING_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(line):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_NESTING_DEPTH:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def _read_value(raw: bytes) -> object:
    try:
        value: object = msgspec.json.decode(raw)
    except msgspec.ValidationError:
        # The only values that are JSON and not readable: numbers beyond the range of a double.
        return FarNumber(raw.decode())
    return value


def _json_fault(line: bytes, error: msgspec.DecodeError) -> str:
    if not line.strip(b" \t\r\n"):
        return "the line is empty, a movement is one JSON object"
    return f"this is not JSON: {error}; it begins {shown_bytes(line)}"


# ------------------------------------------------------------------------- schema, type and fields


def _examine(values: Mapping[str, object], channels: Collection[str]) -> Movement:
    _check_schema(values.get("schema"))
    movement_type, needs = _check_type(values.get("type"))
    times: dict[str, int] = {}
    for rule in FIELD_RULES:
        value = values.get(rule.name)
        if value is None:
            _check_absence(rule.name, movement_type, needs)
            continue
        fault = _fault_of(rule, value, movement_type, needs, times)
        if fault is not None:
            raise FaultError(codes.INVALID_FIELD, f"{rule.name} {fault}", rule.name)
    _check_difference(values, movement_type, needs)
    channel = values.get("channel")
    if channel is not None and movement_type == "reserve" and channel not in channels:
        raise FaultError(
            codes.UNKNOWN_CHANNEL,
            f"channel {shown(channel)} is not configured; {_known_channels(channels)}",
            "channel",
        )
    return _build(values, movement_type, times)


def _check_schema(schema: object) -> None:
    if schema is None:
        return
    if not _is_integer(schema) or schema != MOVEMENT_SCHEMA:
        raise FaultError(
            codes.UNSUPPORTED_SCHEMA,
            f"schema is {shown(schema)}, only {MOVEMENT_SCHEMA} is understood here",
            "schema",
        )


def _check_type(movement_type: object) -> tuple[str, TypeNeeds]:
    if movement_type is None:
        raise FaultError(
            codes.UNKNOWN_TYPE,
            f"type is missing, expected one of {', '.join(MOVEMENT_TYPES)}",
            "type",
        )
    if not isinstance(movement_type, str):
        raise FaultError(
            codes.UNKNOWN_TYPE,
            f"type is {shown(movement_type)}, expected a text such as sale",
            "type",
        )
    needs = NEEDS.get(movement_type)
    if needs is None:
        raise FaultError(
            codes.UNKNOWN_TYPE,
            f"type is {shown(movement_type)}, expected one of {', '.join(MOVEMENT_TYPES)}",
            "type",
        )
    return movement_type, needs


def _check_absence(name: str, movement_type: str, needs: TypeNeeds) -> None:
    if name in ALWAYS_NEEDED:
        raise FaultError(codes.INVALID_FIELD, f"{name} is missing, every movement has it", name)
    if name in needs.needed:
        raise FaultError(
            codes.INVALID_FIELD, f"{name} is missing, a {movement_type} needs it", name
        )


def _fault_of(
    rule: FieldRule,
    value: object,
    movement_type: str,
    needs: TypeNeeds,
    times: dict[str, int],
) -> str | None:
    """What is wrong with a value, to be said after the name of its field; or None."""
    if rule.kind is Kind.QUANTITY:
        return _quantity_fault(value, movement_type, needs)
    if rule.kind is Kind.FLAG:
        return None if isinstance(value, bool) else f"is {shown(value)}, expected true or false"
    if not isinstance(value, str):
        return f"is {shown(value)}, expected a text"
    if rule.kind is Kind.CHOICE:
        if value in rule.choices:
            return None
        return f"is {shown(value)}, expected {', '.join(rule.choices[:-1])} or {rule.choices[-1]}"
    if rule.kind is Kind.TIME:
        return _time_fault(rule.name, value, times)
    return _text_fault(rule, value)


def _quantity_fault(value: object, movement_type: str, needs: TypeNeeds) -> str | None:
    lowest = 0 if needs.zero else needs.least
    expected = f"a whole number from {lowest:,} to {MAX_QUANTITY:,}"
    if lowest < 0:
        expected += " but 0"
    if _is_integer(value) and needs.allows(value):
        return None
    return f"is {shown(value)}, expected for {movement_type} {expected}"


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _time_fault(name: str, value: str, times: dict[str, int]) -> str | None:
    try:
        times[name] = parse_instant(value)
    except ValueError as error:
        return f"is {shown(value)}: {error}"
    return None


def _text_fault(rule: FieldRule, value: str) -> str | None:
    if rule.kind is not Kind.CHANNEL and not rule.shortest <= len(value) <= rule.longest:
        return (
            f"has {len(value):,} characters, expected {rule.shortest} to {rule.longest}: "
            f"{shown(value)}"
        )
    if rule.kind is Kind.IDENTIFIER:
        return _identifier_fault(value)
    for place, character in enumerate(value, start=1):
        if unicodedata.category(character) == "Cc":
            return f"is {shown(value)}: character {place} is a control character"
        if unicodedata.category(character) == "Cs":
            return f"is {shown(value)}: character {place} is half of a surrogate pair"
    return None


def _identifier_fault(value: str) -> str | None:
    if value[0] == " " or value[-1] == " ":
        return f"is {shown(value)}: it begins or ends with a space"
    if "|" in value:
        return f"is {shown(value)}: it holds a |"
    for place, character in enumerate(value, start=1):
        if not character.isprintable():
            return f"is {shown(value)}: character {place} is not printable"
    return None


def _check_difference(values: Mapping[str, object], movement_type: str, needs: TypeNeeds) -> None:
    if needs.differs is None:
        return
    name, other = needs.differs
    value = values.get(name)
    if value is not None and value == values.get(other):
        raise FaultError(
            codes.INVALID_FIELD,
            f"{name} and {other} are both {shown(value)}, a {movement_type} needs two that differ",
            name,
        )


def _build(values: Mapping[str, object], movement_type: str, times: Mapping[str, int]) -> Movement:
    """The movement of values that were all found to be right."""

    def text(name: str) -> str | None:
        value = values.get(name)
        return value if isinstance(value, str) else None

    quantity = values.get("quantity")
    disposition, policy = text("disposition"), text("policy")
    movement = Movement(
        id=text("id") or "",
        source=text("source") or "",
        type=movement_type,
        sku=text("sku") or "",
        location=text("location"),
        quantity=quantity if _is_integer(quantity) else None,
        disposition=None if disposition == SELLABLE else disposition,
        from_=text("from"),
        to=text("to"),
        to_location=text("to_location"),
        from_location=text("from_location"),
        reservation=text("reservation"),
        channel=text("channel"),
        policy=None if policy == STRICT else policy,
        allow_partial=True if values.get("allow_partial") is True else None,
        reason=text("reason"),
        reference=text("reference"),
        correlation_id=text("correlation_id"),
        at=times["occurred_at"],
        expires=times.get("expires_at"),
    )
    seal(movement)
    return movement


# ------------------------------------------------------------------------------------- for people


def _known_channels(channels: Collection[str]) -> str:
    if not channels:
        return "no channel is"
    return f"known are {shortened(', '.join(sorted(channels)))}"
