"""Instants and durations as whole microseconds, and their texts.

An instant is an `int` of microseconds since 1970-01-01T00:00:00Z (negative before it); a duration
is an `int` of microseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from engine.contracts.limits import MAX_CACHED_INSTANTS

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_SECONDS_PER_DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_FIRST_INSTANT: Final = -62_135_596_800 * SECOND
_LAST_INSTANT: Final = 253_402_300_800 * SECOND - 1
_FIRST_DAY: Final = _FIRST_INSTANT // DAY
_LAST_DAY: Final = _LAST_INSTANT // DAY
_GREGORIAN_CYCLE_YEARS: Final = 400
_GREGORIAN_CYCLE: Final = 146_097 * DAY

_RFC_3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_LENGTH_IN_SECONDS: Final = len("2026-11-20T12:00:00Z")
_LENGTH_WITH_OFFSET: Final = len("2026-11-20T12:00:00+01:00")
_MARKS_WITH_OFFSET: Final = ("--T::+", "--T::-")
_LENGTHS_WITH_FRACTION: Final = range(
    len("2026-11-20T12:00:00.0Z"), len("2026-11-20T12:00:00.000000Z") + 1
)
_LAST_HOUR: Final = 23
_LAST_MINUTE: Final = 59
_LEAP_SECOND: Final = 60
_MICROSECOND_DIGITS: Final = 6

_DURATION: Final = re.compile(r"([0-9]{1,18})(us|ms|s|m|h|d)")
_UNITS: Final = {
    "us": 1,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_DAYS_FROM: Final = 7 * DAY
MAX_DURATION: Final = 100 * 366 * DAY


def parse_instant(text: str) -> int:
    """The instant that an RFC 3339 date-time with offset names.

    Strict (RFC 3339 section 5.6): `T` and `Z` in either case, a colon in the offset, no space in
    place of the `T`. A leap second (`23:59:60` in UTC) is the start of the next second, whatever
    its fraction. Digits beyond the microsecond are cut.

    Raises:
        ValueError: the text is no such date-time, or lies outside the years 1 to 9999 in UTC.
    """
    # The usual shapes are taken without a regular expression; between the marks that are looked
    # at, fromisoformat takes nothing but digits, up to the sixth of a fraction.
    marks = text[4:20:3]
    if (
        (marks == "--T::Z" and len(text) == _LENGTH_IN_SECONDS)
        or (
            marks == "--T::."
            and text[-1] == "Z"
            and len(text) in _LENGTHS_WITH_FRACTION
            and text[20:-1].isdecimal()
        )
        or (
            marks in _MARKS_WITH_OFFSET
            and len(text) == _LENGTH_WITH_OFFSET
            and text[22] == ":"
            and text[23] < "6"
        )
    ):
        try:
            since = datetime.fromisoformat(text) - _EPOCH
        except ValueError:
            return _parse_any_instant(text)  # a leap second, or wrong
        # Newer Pythons take 24:00 for the start of the next day.
        if text[11:13] != "24" and _FIRST_DAY <= since.days <= _LAST_DAY:
            return (since.days * _SECONDS_PER_DAY + since.seconds) * SECOND + since.microseconds
    return _parse_any_instant(text)


def _instant_of(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * _SECONDS_PER_DAY + since.seconds) * SECOND + since.microseconds


def _parse_any_instant(text: str) -> int:
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time with offset, such as 2026-11-20T12:00:00Z")
    day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    if int(hour) > _LAST_HOUR or int(minute) > _LAST_MINUTE or int(second) > _LEAP_SECOND:
        raise ValueError("there is no such time of day")
    offset = _offset(sign, int(offset_hours or 0), int(offset_minutes or 0))
    start_of_minute = _instant_of(datetime.fromisoformat(f"{day}T{hour}:{minute}:00+00:00"))
    instant = start_of_minute - offset + int(second) * SECOND
    if int(second) == _LEAP_SECOND:
        if instant % DAY != 0:
            raise ValueError("a second 60 exists at 23:59:60 UTC only")
    else:
        instant += int((fraction or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0"))
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        raise ValueError("outside the years 0001 to 9999 in UTC")
    return instant


def _offset(sign: str | None, hours: int, minutes: int) -> int:
    if hours > _LAST_HOUR or minutes > _LAST_MINUTE:
        raise ValueError("there is no such offset from UTC")
    size = hours * HOUR + minutes * MINUTE
    return -size if sign == "-" else size


def format_instant(instant: int) -> str:
    """The instant in RFC 3339, in UTC with `Z`: `2026-11-20T12:00:00Z`.

    A fraction has 3 digits when these say all, otherwise 6, and is left out when it is zero.
    Years beyond 1 to 9999, which only the engine's own arithmetic can reach, are written with a
    sign and six digits as in ISO 8601.
    """
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        return _format_far_instant(instant)
    seconds, fraction = divmod(instant, SECOND)
    if not fraction:
        return f"{_format_second(seconds)}Z"
    if fraction % MILLISECOND:
        return f"{_format_second(seconds)}.{fraction:06}Z"
    return f"{_format_second(seconds)}.{fraction // MILLISECOND:03}Z"


@lru_cache(MAX_CACHED_INSTANTS)
def _format_second(seconds: int) -> str:
    """The text of a whole second, without an offset."""
    return (_NAIVE_EPOCH + timedelta(0, seconds)).isoformat()


def _format_far_instant(instant: int) -> str:
    cycles = (instant - _FIRST_INSTANT) // _GREGORIAN_CYCLE
    near = format_instant(instant - cycles * _GREGORIAN_CYCLE)
    year = int(near[:4]) + cycles * _GREGORIAN_CYCLE_YEARS
    return f"{year:+07d}{near[4:]}"


def parse_duration(text: str) -> int:
    """The microseconds that a text such as `500ms`, `30s`, `15m`, `72h` or `7d` names.

    A whole number followed by one unit: `us`, `ms`, `s`, `m`, `h` or `d` (24 hours).

    Raises:
        ValueError: the text is no such duration, or is longer than a hundred years.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            "a duration is a whole number and a unit (ms, s, m, h or d), such as 500ms, 30s or 72h"
        )
    duration = int(match[1]) * _UNITS[match[2]]
    if duration > MAX_DURATION:
        raise ValueError("a duration is at most 36600d")
    return duration


def format_duration(duration: int) -> str:
    """The shortest text that `parse_duration` reads back; days are used from a week on.

    `duration` is in microseconds, from 0.
    """
    if duration == 0:
        return "0s"
    if duration >= _DAYS_FROM and duration % DAY == 0:
        return f"{duration // DAY}d"
    for unit in ("h", "m", "s", "ms"):
        if duration % _UNITS[unit] == 0:
            return f"{duration // _UNITS[unit]}{unit}"
    return f"{duration}us"
