"""Times as whole microseconds since 1970-01-01T00:00:00Z, and durations as microseconds."""

import re
from datetime import UTC, datetime, timedelta

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_RATE = re.compile(r"(\d+)/(s|second|m|min|minute|h|hour|d|day)", re.ASCII)


def parse_instant(text: str) -> int:
    """RFC 3339 with an offset; ValueError for anything else."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no RFC 3339 time with an offset")
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    leap = second == 60
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    fraction = 0 if leap else int((found[7] or "")[:6].ljust(6, "0"))
    offset = 0
    if found[8] is None:
        hours, minutes = int(found[10]), int(found[11])
        if hours > 23 or minutes > 59:
            raise ValueError(f"{text!r} has no valid offset")
        offset = (hours * HOUR + minutes * MINUTE) * (-1 if found[9] == "-" else 1)
    instant = instant_of(moment) + (SECOND if leap else 0) + fraction - offset
    try:
        _EPOCH + timedelta(microseconds=instant)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from error
    return instant


def instant_of(moment: datetime) -> int:
    """The instant of a datetime; one without a zone is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def datetime_of(instant: int) -> datetime:
    """The instant as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_instant(instant: int) -> str:
    """`2026-11-20T12:00:00Z`, with 3 or 6 digits of fraction only when it is not zero."""
    text = datetime_of(instant - instant % SECOND).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = instant % SECOND
    if fraction == 0:
        return f"{text}Z"
    if fraction % MILLISECOND == 0:
        return f"{text}.{fraction // MILLISECOND:03d}Z"
    return f"{text}.{fraction:06d}Z"


def duration(value: int | str) -> int:
    """`30s` and its like as microseconds; an integer is microseconds already."""
    if isinstance(value, int):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no duration")
    return int(found[1]) * _UNITS[found[2]]


def rate(value: str) -> tuple[int, int]:
    """`100/s` as (how many, per how many microseconds)."""
    found = _RATE.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no rate")
    return int(found[1]), _UNITS[found[2][0]]


def ceiling_to(instant: int, step: int) -> int:
    """The first whole multiple of `step` at or after the instant."""
    return -(-instant // step) * step
