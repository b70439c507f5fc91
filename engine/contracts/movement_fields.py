"""What each field of a movement must be, as data: for the messages of refusals and for the schema.

The rules per field hold for every type of movement; `NEEDS` says which fields a type needs and
how large its quantity may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from engine.contracts import limits
from engine.contracts.movement import DISPOSITIONS, POLICIES


class Kind(Enum):
    """What the value of a field is."""

    TEXT = "text without control characters"
    IDENTIFIER = "printable text without | and without a space at either end"
    CHANNEL = "the name of a configured channel"
    QUANTITY = "whole number"
    CHOICE = "one of a few words"
    TIME = "RFC 3339 time with offset"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field: its wire name, its kind, and the limits of that kind."""

    name: str
    kind: Kind
    shortest: int = 0
    longest: int = 0
    choices: tuple[str, ...] = ()


FIELD_RULES: Final = (
    FieldRule("id", Kind.TEXT, 1, limits.MAX_ID_LENGTH),
    FieldRule("source", Kind.TEXT, 1, limits.MAX_SOURCE_LENGTH),
    FieldRule("sku", Kind.IDENTIFIER, 1, limits.MAX_SKU_LENGTH),
    FieldRule("location", Kind.IDENTIFIER, 1, limits.MAX_LOCATION_LENGTH),
    FieldRule("quantity", Kind.QUANTITY),
    FieldRule("occurred_at", Kind.TIME),
    FieldRule("disposition", Kind.CHOICE, choices=DISPOSITIONS),
    FieldRule("from", Kind.CHOICE, choices=DISPOSITIONS),
    FieldRule("to", Kind.CHOICE, choices=DISPOSITIONS),
    FieldRule("to_location", Kind.IDENTIFIER, 1, limits.MAX_LOCATION_LENGTH),
    FieldRule("from_location", Kind.IDENTIFIER, 1, limits.MAX_LOCATION_LENGTH),
    FieldRule("reservation", Kind.TEXT, 1, limits.MAX_RESERVATION_LENGTH),
    FieldRule("channel", Kind.CHANNEL),
    FieldRule("policy", Kind.CHOICE, choices=POLICIES),
    FieldRule("allow_partial", Kind.FLAG),
    FieldRule("expires_at", Kind.TIME),
    FieldRule("reason", Kind.TEXT, 0, limits.MAX_NOTE_LENGTH),
    FieldRule("reference", Kind.TEXT, 0, limits.MAX_NOTE_LENGTH),
    FieldRule("correlation_id", Kind.TEXT, 0, limits.MAX_NOTE_LENGTH),
)
"""In the order in which they are examined, after `schema` and `type`."""

KNOWN_FIELDS: Final = frozenset({"schema", "type", *(rule.name for rule in FIELD_RULES)})

ALWAYS_NEEDED: Final = frozenset({"id", "source", "sku", "occurred_at"})


@dataclass(frozen=True, slots=True)
class TypeNeeds:
    """What one type of movement needs beside `ALWAYS_NEEDED`, and the range of its quantity.

    `zero` says whether 0 is a quantity; `differs` names the field that must differ from another.
    """

    needed: frozenset[str]
    least: int = 1
    zero: bool = False
    differs: tuple[str, str] | None = None

    def allows(self, quantity: int) -> bool:
        """Whether the quantity, in base units, is in the range of this type."""
        if quantity == 0:
            return self.zero
        return self.least <= quantity <= limits.MAX_QUANTITY


def _needs(*needed: str) -> frozenset[str]:
    return frozenset(needed)


_STOCK: Final = ("location", "quantity")

NEEDS: Final[Mapping[str, TypeNeeds]] = MappingProxyType(
    {
        "sale": TypeNeeds(_needs(*_STOCK)),
        "return": TypeNeeds(_needs(*_STOCK)),
        "receipt": TypeNeeds(_needs(*_STOCK), differs=("from_location", "location")),
        "expect": TypeNeeds(_needs(*_STOCK), least=limits.MIN_SIGNED_QUANTITY),
        "transfer": TypeNeeds(_needs(*_STOCK, "to_location"), differs=("to_location", "location")),
        "adjustment": TypeNeeds(_needs(*_STOCK), least=limits.MIN_SIGNED_QUANTITY),
        "count": TypeNeeds(_needs(*_STOCK), zero=True),
        "reclassify": TypeNeeds(_needs(*_STOCK, "from", "to"), differs=("to", "from")),
        "reserve": TypeNeeds(_needs("quantity", "reservation")),
        "confirm": TypeNeeds(_needs("reservation")),
        "allocate": TypeNeeds(_needs("location", "reservation")),
        "release": TypeNeeds(_needs("reservation")),
        "fulfil": TypeNeeds(_needs(*_STOCK, "reservation")),
    }
)
