"""What is examined alike of everything that comes in: size, JSON, and the values of fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final, TypeGuard

import msgspec

from engine.contracts import exceptions as codes
from engine.contracts.instants import parse_instant
from engine.contracts.limits import MAX_MOVEMENT_BYTES, MAX_NESTING_DEPTH, MOVEMENT_SCHEMA
from engine.contracts.movement_fault import FarNumber, FaultError, shown, shown_bytes
from engine.contracts.movement_fields import FieldRule, Kind

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""May stand at the very start of an input, a message or a body, and is taken off there."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_SURROGATE_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


# ---------------------------------------------------------------------------------- size and JSON


def read_object(line: bytes, fields: Collection[str], noun: str) -> dict[str, object]:
    """The values of those fields that are known; `noun` is what the line should be.

    Raises:
        FaultError: it is too long, or no JSON object.
    """
    if len(line) > MAX_MOVEMENT_BYTES:
        raise FaultError(
            codes.OVERSIZE,
            f"the {noun} has {len(line):,} bytes or more, at most {MAX_MOVEMENT_BYTES:,} are taken",
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
        return {name: _read_value(bytes(raw)) for name, raw in raws.items() if name in fields}
    except msgspec.ValidationError:
        raise FaultError(
            codes.MALFORMED,
            f"{_with_article(noun)} is one JSON object, this is {shown_bytes(line)}",
        ) from None
    except msgspec.DecodeError as error:
        raise FaultError(codes.MALFORMED, _json_fault(line, noun, error)) from None
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


def _json_fault(line: bytes, noun: str, error: msgspec.DecodeError) -> str:
    if not line.strip(b" \t\r\n"):
        return f"the line is empty, {_with_article(noun)} is one JSON object"
    half = _SURROGATE.search(_SURROGATE_PAIR.sub(b"", line))
    if half is not None:
        return (
            f"{half[0].decode()} is one half of a character: write both halves one after the "
            "other, or the character itself in UTF-8"
        )
    told = f"this is not JSON: {error}; it begins {shown_bytes(line)}"
    if b"," in line and line.lstrip()[:1] not in (b"{", b"[", b'"'):
        told += "; a row of a CSV file has as many cells as its header, and closes its quotes"
    return told


# ------------------------------------------------------------------------------------------ fields


def check_schema(schema: object) -> None:
    """Check the number of the schema, which may be left out.

    Raises:
        FaultError: it is another than the one that is understood.
    """
    if schema is None:
        return
    if not is_integer(schema) or schema != MOVEMENT_SCHEMA:
        raise FaultError(
            codes.UNSUPPORTED_SCHEMA,
            f"schema is {shown(schema)}, only {MOVEMENT_SCHEMA} is understood here",
            "schema",
        )


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number: true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def value_fault(rule: FieldRule, value: object, times: dict[str, int]) -> str | None:
    """What is wrong with a text, a choice or a time; None: nothing, and `times` has its instant."""
    if not isinstance(value, str):
        return f"is {shown(value)}, expected a text"
    if rule.kind is Kind.CHOICE:
        if value in rule.choices:
            return None
        return f"is {shown(value)}, expected {', '.join(rule.choices[:-1])} or {rule.choices[-1]}"
    if rule.kind is Kind.TIME:
        return _time_fault(rule.name, value, times)
    return _text_fault(rule, value)


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


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
