"""From a line to a movement (a plain dict with every known field), or the first fault.

The line is examined in this order: size, JSON, schema, type, fields, channel. Each stage has one
code, so a missing type is `unknown_type` and a schema that is no integer `unsupported_schema`.
"""

import json
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from .instants import parse_instant

MAXIMUM_BYTES = 64 * 1024
MAXIMUM_QUANTITY = 10**9
DISPOSITIONS = ("sellable", "inspecting", "damaged")
TYPES = (
    "sale", "return", "receipt", "expect", "transfer", "adjustment", "count", "reclassify",
    "reserve", "confirm", "allocate", "release", "fulfil",
)  # fmt: skip
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Movement = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """Why a line is refused."""

    code: str
    message: str
    correlation_id: str | None = None


class _InvalidFieldError(Exception):
    pass


def decode(line: bytes, channels: Collection[str]) -> Movement | Fault:
    """The movement a line tells, or the first fault found in it."""
    if len(line) > MAXIMUM_BYTES:
        return Fault("oversize", f"{len(line)} bytes, at most {MAXIMUM_BYTES}")
    try:
        told = json.loads(line.decode("utf-8"), parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Fault("malformed", str(error))
    if not isinstance(told, dict):
        return Fault("malformed", "not an object")
    given = {name: value for name, value in told.items() if value is not None}
    correlation_id = given.get("correlation_id")
    if not isinstance(correlation_id, str):
        correlation_id = None
    schema = given.get("schema", 1)
    if not _is_integer(schema) or schema != 1:
        return Fault("unsupported_schema", f"schema {schema!r}", correlation_id)
    if given.get("type") not in TYPES:
        return Fault("unknown_type", f"type {given.get('type')!r}", correlation_id)
    try:
        movement = _fields(given)
    except _InvalidFieldError as error:
        return Fault("invalid_field", str(error), correlation_id)
    channel = movement["channel"]
    if movement["type"] == "reserve" and channel is not None and channel not in channels:
        return Fault("unknown_channel", f"channel {channel!r}", correlation_id)
    return movement


def content(movement: Movement) -> Movement:
    """What two movements of one identity must have in common to be duplicates."""
    ignored = ("reason", "reference", "correlation_id")
    return {name: value for name, value in movement.items() if name not in ignored}


def _fields(given: Movement) -> Movement:
    kind: str = given["type"]
    movement: Movement = {"type": kind}

    def take(name: str, check: Callable[[Any], Any], needed: bool, default: Any = None) -> None:
        if name in given:
            try:
                movement[name] = check(given[name])
            except ValueError as error:
                raise _InvalidFieldError(f"{name}: {error}") from error
        elif needed:
            raise _InvalidFieldError(f"{name} is missing")
        else:
            movement[name] = default

    take("id", _text(1, 128), needed=True)
    take("source", _text(1, 64), needed=True)
    take("sku", _identifier(100), needed=True)
    take("location", _identifier(64), needed=kind not in ("reserve", "confirm", "release"))
    take("quantity", _quantity(kind), needed=kind not in ("confirm", "release", "allocate"))
    take("occurred_at", _instant, needed=True)
    take("disposition", _one_of(DISPOSITIONS), needed=False, default="sellable")
    take("from", _one_of(DISPOSITIONS), needed=kind == "reclassify")
    take("to", _one_of(DISPOSITIONS), needed=kind == "reclassify")
    take("to_location", _identifier(64), needed=kind == "transfer")
    take("from_location", _identifier(64), needed=False)
    reserving = kind in ("reserve", "confirm", "allocate", "release", "fulfil")
    take("reservation", _text(1, 128), needed=reserving)
    take("channel", _text(0, None), needed=False)
    take("policy", _one_of(("strict", "force")), needed=False, default="strict")
    take("allow_partial", _boolean, needed=False, default=False)
    take("expires_at", _instant, needed=False)
    for name in ("reason", "reference", "correlation_id"):
        take(name, _text(0, 256), needed=False)
    if kind == "reclassify" and movement["from"] == movement["to"]:
        raise _InvalidFieldError("from and to are the same")
    if kind == "transfer" and movement["to_location"] == movement["location"]:
        raise _InvalidFieldError("to_location is the location")
    if kind == "receipt" and movement["from_location"] == movement["location"]:
        raise _InvalidFieldError("from_location is the location")
    return movement


def _integer(digits: str) -> int:
    longest = 30
    if len(digits) <= longest:
        return int(digits)
    huge = int("9" * longest)
    return -huge if digits.startswith("-") else huge


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(shortest: int, longest: int | None) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("not a text")
        if len(value) < shortest or (longest is not None and len(value) > longest):
            raise ValueError(f"{len(value)} characters")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise ValueError("holds a control character")
        return value

    return check


def _identifier(longest: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        text = _text(1, longest)(value)
        if not text.isprintable() or "|" in text or text != text.strip(" "):
            raise ValueError("not printable, or holds | or a space at an end")
        return text

    return check


def _quantity(kind: str) -> Callable[[Any], int]:
    smallest = {"count": 0, "adjustment": -MAXIMUM_QUANTITY, "expect": -MAXIMUM_QUANTITY}

    def check(value: Any) -> int:
        if not _is_integer(value):
            raise ValueError("not an integer")
        if not smallest.get(kind, 1) <= value <= MAXIMUM_QUANTITY:
            raise ValueError("out of range")
        if value == 0 and kind != "count":
            raise ValueError("is 0")
        return int(value)

    return check


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"not one of {', '.join(allowed)}")
        return value

    return check


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _instant(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return parse_instant(value)
