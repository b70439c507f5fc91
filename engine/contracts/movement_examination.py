"""The slow, exact way from bytes to a movement: it finds the first fault and names it.

Everything that the fast way in `movements` cannot take at a glance comes here. The order is that
of the promise: size, JSON, schema, type, fields, channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.contracts import exceptions as codes
from engine.contracts.examination import check_schema, is_integer, read_object, value_fault
from engine.contracts.exceptions import Refusal, refusal
from engine.contracts.limits import MAX_NOTE_LENGTH, MAX_QUANTITY
from engine.contracts.movement import MOVEMENT_TYPES, SELLABLE, STRICT, Movement, seal
from engine.contracts.movement_fault import FaultError, shortened, shown
from engine.contracts.movement_fields import (
    ALWAYS_NEEDED,
    FIELD_RULES,
    KNOWN_FIELDS,
    NEEDS,
    FieldRule,
    Kind,
    TypeNeeds,
)


def examine_line(line: bytes, channels: Collection[str]) -> Movement | Refusal:
    """The movement that the line says, or why it is refused. Never raises, whatever the bytes."""
    values: Mapping[str, object] = {}
    try:
        values = read_object(line, KNOWN_FIELDS, "movement")
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
        quantity=quantity if is_integer(quantity) else None,
        correlation_id=correlation_id
        if isinstance(correlation_id, str) and len(correlation_id) <= MAX_NOTE_LENGTH
        else None,
    )


# ------------------------------------------------------------------------- schema, type and fields


def _examine(values: Mapping[str, object], channels: Collection[str]) -> Movement:
    check_schema(values.get("schema"))
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
    return value_fault(rule, value, times)


def _quantity_fault(value: object, movement_type: str, needs: TypeNeeds) -> str | None:
    lowest = 0 if needs.zero else needs.least
    expected = f"a whole number from {lowest:,} to {MAX_QUANTITY:,}"
    if lowest < 0:
        expected += " but 0"
    if is_integer(value) and needs.allows(value):
        return None
    return f"is {shown(value)}, expected for {movement_type} {expected}"


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
        quantity=quantity if is_integer(quantity) else None,
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
