"""What the text of a field means: one reader per type, each with a message and a remedy.

Readers take what stands in the file (text, list, mapping or None) and raise a pydantic error that
carries the message and the remedy, so that all fields of an entry are examined in one go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from engine.contracts.instants import DAY, HOUR, MINUTE, SECOND, parse_duration, parse_instant
from engine.contracts.limits import (
    MAX_LOCATION_LENGTH,
    MAX_QUANTITY,
    MAX_SHOWN_LENGTH,
    MAX_SKU_LENGTH,
)
from engine.rules.mistakes import did_you_mean
from engine.rules.model import Rate

MAX_NAME_LENGTH = 200
"""Longest name of a rule, a category, a brand, a type, a region or a tag, in characters."""
MAX_CHANNEL_LENGTH = 64
"""Longest name of a channel, in characters; it is part of file and topic names."""
MAX_NOTE_LENGTH = 10_000
"""Longest note, in characters."""
MAX_PRIORITY = 10**9
MAX_RATE_COUNT = 10**9
CHANNELS = "channels"
"""Key of the validation context under which the configured channels' names are found."""

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_PERCENT = re.compile(
    r"\+?((0|[1-9][0-9]{0,8})(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?"
)
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_RATE_UNITS = {
    "s": SECOND,
    "sec": SECOND,
    "second": SECOND,
    "m": MINUTE,
    "min": MINUTE,
    "minute": MINUTE,
    "h": HOUR,
    "hour": HOUR,
    "d": DAY,
    "day": DAY,
}
_RATE = re.compile(r"([0-9]{1,10}) ?/ ?([a-z]+)")
_HUNDRED = 100


def fault(message: str, remedy: str) -> PydanticCustomError:
    """The error a reader raises: what was found, and how to mend it."""
    return PydanticCustomError("field", "{message}", {"message": message, "remedy": remedy})


def describe(found: object) -> str:
    """What stands in the file, in a few words for a message."""
    if found is None:
        return "nothing"
    if isinstance(found, Mapping):
        return "a block of settings"
    if isinstance(found, str):
        return repr(found if len(found) <= MAX_SHOWN_LENGTH else found[:MAX_SHOWN_LENGTH] + "…")
    return "a list" if isinstance(found, Sequence) else repr(found)


def name_fault(text: str, longest: int) -> str | None:
    """Why a text is no identifier of at most `longest` characters; None when it is one."""
    if not text:
        return "is empty"
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if text[0] == " " or text[-1] == " ":
        return "has a space at its beginning or end"
    if "|" in text:
        return "holds a '|'"
    return None if text.isprintable() else "holds a character that cannot be printed"


def _identifier(longest: int) -> Callable[[object], str]:
    def read(found: object) -> str:
        if not isinstance(found, str):
            raise fault(f"a name is expected, {describe(found)} was found", "Write one name.")
        why = name_fault(found, longest)
        if why:
            raise fault(f"the name {describe(found)} {why}", "Correct the name.")
        return found

    return read


def _whole(lowest: int, highest: int) -> Callable[[object], int]:
    def read(found: object) -> int:
        if not isinstance(found, str) or not _WHOLE.fullmatch(found):
            message = f"a whole number is expected, {describe(found)} was found"
            raise fault(message, f"Write a whole number from {lowest} to {highest}.")
        number = int(found)
        if not lowest <= number <= highest:
            remedy = f"Write a whole number from {lowest} to {highest}."
            raise fault(f"{number} is out of range", remedy)
        return number

    return read


def read_percent(found: object) -> Fraction:
    """An exact percentage from 0 to 100, as a fraction of 1."""
    if not isinstance(found, str) or not _PERCENT.fullmatch(found):
        message = f"a percentage is expected, {describe(found)} was found"
        raise fault(message, "Write a number from 0 to 100 without a % sign, such as 2.5.")
    percent = Fraction(Decimal(found))
    if not 0 <= percent <= _HUNDRED:
        raise fault(f"{found} percent is out of range", "Write a number from 0 to 100.")
    return percent / _HUNDRED


def read_duration(found: object) -> int:
    """A duration of 0 or more, in microseconds."""
    remedy = "Write a whole number and its unit, such as 500ms, 30s, 15m, 72h or 7d."
    if not isinstance(found, str):
        raise fault(f"a duration is expected, {describe(found)} was found", remedy)
    try:
        return parse_duration(found)
    except ValueError as error:
        raise fault(f"{describe(found)} is no duration", remedy) from error


def read_instant(found: object) -> int | None:
    """An instant in microseconds since the epoch; None when nothing is written."""
    if found is None:
        return None
    remedy = (
        "Write date, time and offset, such as 2026-11-20T00:00:00Z or "
        "2026-11-20T00:00:00-05:00 for New York in winter."
    )
    if not isinstance(found, str):
        raise fault(f"a date and time is expected, {describe(found)} was found", remedy)
    try:
        return parse_instant(found)
    except ValueError as error:
        raise fault(f"{describe(found)} is no instant: {error}", remedy) from error


def read_flag(found: object) -> bool:
    """True or false, in any of the spellings of YAML."""
    word = found.lower() if isinstance(found, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise fault(f"true or false is expected, {describe(found)} was found", "Write true or false.")


def read_rate(found: object) -> Rate:
    """A rate such as `100/s` or `250/day`; the period may be s, min, h or day."""
    match = _RATE.fullmatch(found) if isinstance(found, str) else None
    if match is None or match[2] not in _RATE_UNITS:
        message = f"a rate is expected, {describe(found)} was found"
        raise fault(message, "Write a whole number per s, min, h or day, such as 100/s or 250/day.")
    count = int(match[1])
    if not 1 <= count <= MAX_RATE_COUNT:
        raise fault(f"the rate {match[0]} is out of range", "Write 1 or more, such as 1/day.")
    return Rate(count, _RATE_UNITS[match[2]])


def _one_of(*words: str) -> Callable[[object], str]:
    def read(found: object) -> str:
        if isinstance(found, str) and found in words:
            return found
        expected = " or ".join(words)
        raise fault(f"{expected} is expected, {describe(found)} was found", f"Write {expected}.")

    return read


def _read_text(found: object) -> str:
    if found is None:
        return ""
    if not isinstance(found, str):
        raise fault(f"a text is expected, {describe(found)} was found", "Write it in quotes.")
    if len(found) > MAX_NOTE_LENGTH:
        raise fault(f"the text has {len(found)} characters", f"Keep it below {MAX_NOTE_LENGTH}.")
    return found


def read_channel_name(found: object) -> str:
    """The name of a channel, fit to be part of file and topic names."""
    remedy = f"Use letters, digits, '.', '_' and '-', at most {MAX_CHANNEL_LENGTH} characters."
    if not isinstance(found, str) or not _CHANNEL.fullmatch(found):
        raise fault(f"{describe(found)} cannot be the name of a channel", remedy)
    if len(found) > MAX_CHANNEL_LENGTH:
        raise fault(f"the channel name {describe(found)} is too long", remedy)
    return found


def _read_known_channel(found: object, info: ValidationInfo) -> str:
    name = _identifier(MAX_NAME_LENGTH)(found)
    known = (info.context or {}).get(CHANNELS)
    if known is not None and name not in known:
        raise fault(f"the channel {name!r} is not in channels.yaml", did_you_mean(name, known))
    return name


Name: TypeAlias = Annotated[str, BeforeValidator(_identifier(MAX_NAME_LENGTH))]
Sku: TypeAlias = Annotated[str, BeforeValidator(_identifier(MAX_SKU_LENGTH))]
LocationId: TypeAlias = Annotated[str, BeforeValidator(_identifier(MAX_LOCATION_LENGTH))]
KnownChannel: TypeAlias = Annotated[str, BeforeValidator(_read_known_channel)]
Quantity: TypeAlias = Annotated[int, BeforeValidator(_whole(0, MAX_QUANTITY))]
SignedQuantity: TypeAlias = Annotated[int, BeforeValidator(_whole(-MAX_QUANTITY, MAX_QUANTITY))]
OptionalQuantity: TypeAlias = Annotated[int | None, BeforeValidator(_whole(0, MAX_QUANTITY))]
Change: TypeAlias = Annotated[int, BeforeValidator(_whole(1, MAX_QUANTITY))]
Priority: TypeAlias = Annotated[int, BeforeValidator(_whole(-MAX_PRIORITY, MAX_PRIORITY))]
Percent: TypeAlias = Annotated[Fraction | None, BeforeValidator(read_percent)]
Duration: TypeAlias = Annotated[int, BeforeValidator(read_duration)]
OptionalDuration: TypeAlias = Annotated[int | None, BeforeValidator(read_duration)]
Instant: TypeAlias = Annotated[int | None, BeforeValidator(read_instant)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(read_flag)]
OptionalFlag: TypeAlias = Annotated[bool | None, BeforeValidator(read_flag)]
OptionalRate: TypeAlias = Annotated[Rate | None, BeforeValidator(read_rate)]
Granularity: TypeAlias = Annotated[str, BeforeValidator(_one_of("sku", "location"))]
Scope: TypeAlias = Annotated[str, BeforeValidator(_one_of("location", "channel"))]
Round: TypeAlias = Annotated[str, BeforeValidator(_one_of("up", "down"))]
Text: TypeAlias = Annotated[str, BeforeValidator(_read_text)]
