"""Valid movements for every type, and a decoder that knows two channels."""

from __future__ import annotations

import json

from engine.contracts.exceptions import Refusal
from engine.contracts.movements import MOVEMENT_TYPES, Movement, MovementDecoder

CHANNELS = ("amazon-us", "größe|42")

Wire = dict[str, object]

_MORE: dict[str, Wire] = {
    "transfer": {"to_location": "dc-1"},
    "reclassify": {"from": "inspecting", "to": "sellable"},
    "reserve": {"reservation": "order-1"},
    "confirm": {"reservation": "order-1"},
    "allocate": {"reservation": "order-1"},
    "release": {"reservation": "order-1"},
    "fulfil": {"reservation": "order-1"},
}


def wire(movement_type: str = "sale", **changes: object) -> Wire:
    """A valid movement of the type as on the wire, with changes; a trailing _ of a name is cut."""
    values: Wire = {
        "id": "m-1",
        "source": "pos-0042",
        "type": movement_type,
        "sku": "5012345678900",
        "location": "store-0042",
        "quantity": 2,
        "occurred_at": "2026-11-20T12:00:00Z",
        **_MORE.get(movement_type, {}),
    }
    values.update({name.rstrip("_"): value for name, value in changes.items()})
    return values


def without(values: Wire, name: str) -> Wire:
    """The movement without one field."""
    return {key: value for key, value in values.items() if key != name}


def line_of(values: object) -> bytes:
    """The line that says the values; characters beyond ASCII are written as they are."""
    return json.dumps(values, ensure_ascii=False).encode()


def decoder() -> MovementDecoder:
    """A decoder with nothing in its caches."""
    return MovementDecoder(CHANNELS)


def accepted(values: object) -> Movement:
    """The movement that the values make; fails when it is refused."""
    movement = decoder().decode(line_of(values))
    assert isinstance(movement, Movement), movement
    return movement


def refused(values: object) -> Refusal:
    """The refusal that the values meet; fails when they are taken."""
    result = decoder().decode(line_of(values))
    assert isinstance(result, Refusal), result
    return result


ALL_TYPES = MOVEMENT_TYPES
