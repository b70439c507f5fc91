"""The JSON Schema of a movement, derived from the rules that the decoder follows.

JSON Schema cannot say everything: that a number is written without a fraction, that two fields
differ, that a character is printable, that a channel is configured. The decoder has the last word.
"""

from __future__ import annotations

from typing import Final

from engine.contracts.limits import MAX_QUANTITY, MIN_SIGNED_QUANTITY, MOVEMENT_SCHEMA
from engine.contracts.movement import DISPOSITIONS, MOVEMENT_TYPES
from engine.contracts.movement_fields import (
    ALWAYS_NEEDED,
    FIELD_RULES,
    NEEDS,
    FieldRule,
    Kind,
    TypeNeeds,
)

JsonSchema = dict[str, object]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_CONTROL: Final = r"\u0000-\u001f\u007f-\u009f"
_INVISIBLE: Final = (
    r"\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
)
_TIME: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)

_DESCRIPTIONS: Final = {
    "id": "With `source` and `sku` the identity: the lines of one receipt may share an id.",
    "source": "Publishing system, such as pos-0042, wms-east, returns, oms.",
    "sku": "The item.",
    "location": "The store or warehouse.",
    "quantity": "Base units, a whole number written without fraction or exponent.",
    "occurred_at": "When it happened in the store or warehouse, RFC 3339 with offset.",
    "disposition": "Which stock it concerns; left out: sellable. For receipt, return, adjustment"
    " and count.",
    "from": "Reclassify: the stock that shrinks.",
    "to": "Reclassify: the stock that grows.",
    "to_location": "Transfer: where the goods go; another than `location`.",
    "from_location": "Receipt: it is the arrival of a transfer from there; another than"
    " `location`.",
    "reservation": "Unique per SKU.",
    "channel": "Reserve: the configured channel whose availability it may use.",
    "policy": "Reserve: `force` is already sold elsewhere and always taken; left out: strict.",
    "allow_partial": "Reserve: take what is there when it is less; left out: false.",
    "expires_at": "Reserve: when it ends by itself unless confirmed, RFC 3339 with offset.",
    "reason": "Carried through to the audit trail and outputs.",
    "reference": "Carried through to the audit trail and outputs.",
    "correlation_id": "Carried through to the audit trail and outputs.",
}


def movement_schema() -> JsonSchema:
    """The JSON Schema (draft 2020-12) of one movement."""
    properties: JsonSchema = {
        "type": {"description": "What happened.", "enum": list(MOVEMENT_TYPES)},
        "schema": {
            "description": "Version of this contract; left out: 1. Another number is refused.",
            "enum": [MOVEMENT_SCHEMA, None],
        },
    }
    for rule in FIELD_RULES:
        properties[rule.name] = _property(rule)
    return {
        "$schema": DRAFT,
        "$id": "urn:sellable:topics:movements",
        "title": "Movement",
        "description": "One movement of stock, or one step of a reservation. Unknown fields are"
        " ignored; null in an optional field means that it is absent.",
        "type": "object",
        "required": ["type", *(rule.name for rule in FIELD_RULES if rule.name in ALWAYS_NEEDED)],
        "properties": properties,
        "allOf": [_condition(name, needs) for name, needs in NEEDS.items()],
    }


def _property(rule: FieldRule) -> JsonSchema:
    described: JsonSchema = {"description": _DESCRIPTIONS[rule.name]}
    nullable = rule.name not in ALWAYS_NEEDED
    if rule.kind is Kind.CHOICE:
        return {**described, "enum": [*rule.choices, *([None] if nullable else [])]}
    if rule.kind is Kind.QUANTITY:
        types, limits = "integer", _range(MIN_SIGNED_QUANTITY)
    elif rule.kind is Kind.FLAG:
        types, limits = "boolean", {}
    else:
        types, limits = "string", _text_limits(rule)
    return {**described, "type": [types, "null"] if nullable else types, **limits}


def _range(least: int) -> JsonSchema:
    return {"minimum": least, "maximum": MAX_QUANTITY}


def _text_limits(rule: FieldRule) -> JsonSchema:
    if rule.kind is Kind.TIME:
        return {"format": "date-time", "pattern": _TIME}
    lengths: JsonSchema = {}
    if rule.shortest:
        lengths["minLength"] = rule.shortest
    if rule.longest:
        lengths["maxLength"] = rule.longest
    if rule.kind is Kind.IDENTIFIER:
        return {
            **lengths,
            "not": {"type": "string", "pattern": rf"^ | $|[|{_CONTROL}{_INVISIBLE}]"},
        }
    return {**lengths, "not": {"type": "string", "pattern": f"[{_CONTROL}]"}}


def _condition(movement_type: str, needs: TypeNeeds) -> JsonSchema:
    """What holds for one type: the fields it needs are there and not null, its quantity fits."""
    needed = [rule for rule in FIELD_RULES if rule.name in needs.needed]
    properties: JsonSchema = {
        rule.name: {"not": {"type": "null"}} for rule in needed if rule.kind is not Kind.QUANTITY
    }
    properties["quantity"] = _quantity(movement_type, needs)
    then: JsonSchema = {"required": [rule.name for rule in needed], "properties": properties}
    if needs.differs == ("to", "from"):
        then["not"] = {"anyOf": [_same_disposition(name) for name in DISPOSITIONS]}
    return {
        "if": {"properties": {"type": {"const": movement_type}}, "required": ["type"]},
        "then": then,
    }


def _quantity(movement_type: str, needs: TypeNeeds) -> JsonSchema:
    needed = "quantity" in NEEDS[movement_type].needed
    quantity: JsonSchema = {
        "type": "integer" if needed else ["integer", "null"],
        **_range(0 if needs.zero else needs.least),
    }
    if needs.least < 0:
        quantity["not"] = {"const": 0}
    return quantity


def _same_disposition(name: str) -> JsonSchema:
    return {
        "properties": {"from": {"const": name}, "to": {"const": name}},
        "required": ["from", "to"],
    }
