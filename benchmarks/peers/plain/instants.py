"""RFC 3339 times and microseconds since the Unix epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECONDS_LENGTH: Final = len("2026-11-27T08:00:00")
_MILLISECONDS: Final = {f".{count:03}Z": count * MILLISECOND for count in range(1_000)}
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_LEAP_SECOND: Final = 60


def parse_instant(text: str) -> int:
    """The instant that a text names.

    Raises:
        ValueError: it is no time with an offset.
    """
    milliseconds = _MILLISECONDS.get(text[_SECONDS_LENGTH:])
    if milliseconds is None or text.endswith(":60", 0, _SECONDS_LENGTH):
        return _parse(text)
    return _whole_second(text[:_SECONDS_LENGTH]) + milliseconds


@lru_cache(4_096)
def _whole_second(text: str) -> int:
    return _parse(text + "Z")


def _parse(text: str) -> int:
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no RFC 3339 time with an offset")
    date, minute, seconds, fraction, offset = found.groups()
    leap = int(seconds) == _LEAP_SECOND
    whole = f"{date}T{minute}:{'59' if leap else seconds}{offset.upper()}"
    instant = (datetime.fromisoformat(whole) - _EPOCH) // _MICROSECOND
    if leap:
        return instant + SECOND
    return instant + int((fraction or "0")[:6].ljust(6, "0"))


@lru_cache(4_096)
def format_instant(instant: int) -> str:
    """The text of an instant, in UTC, with as many digits as it needs."""
    moment = _EPOCH + timedelta(microseconds=instant)
    text = moment.replace(microsecond=0, tzinfo=None).isoformat()
    if moment.microsecond == 0:
        return f"{text}Z"
    if moment.microsecond % MILLISECOND == 0:
        return f"{text}.{moment.microsecond // MILLISECOND:03}Z"
    return f"{text}.{moment.microsecond:06}Z"
