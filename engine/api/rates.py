"""How many calls a key may make: a token bucket of one second's worth, or of one call."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from engine.contracts.errors import UsageError

_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/(s|min|h)")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}


class CallRate(NamedTuple):
    """At most `calls` in `seconds`."""

    calls: int
    seconds: float


class CallBucket:
    """The calls that one key may still make; times in seconds of a clock that never goes back."""

    __slots__ = ("_calls", "_capacity", "_filled_at", "_per_second")

    def __init__(self, rate: CallRate, now: float) -> None:
        self._per_second = rate.calls / rate.seconds
        self._capacity = max(1.0, self._per_second)
        self._calls = self._capacity
        self._filled_at = now

    def take(self, now: float) -> float:
        """Take one call; returns 0.0, or in how many seconds there will be one."""
        gained = (now - self._filled_at) * self._per_second
        calls = self._calls = min(self._capacity, self._calls + gained)
        self._filled_at = now
        if calls < 1.0:
            return (1.0 - calls) / self._per_second
        self._calls = calls - 1.0
        return 0.0


def parse_rate(text: str) -> CallRate:
    """Read a rate of calls such as `100/s`.

    Raises:
        UsageError: it is none.
    """
    match = _RATE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is no rate", "Write a whole number per s, min or h, such as 100/s."
        )
    return CallRate(int(match[1]), _SECONDS[match[2]])


def whole_seconds(seconds: float) -> int:
    """A wait as `Retry-After` tells it: whole seconds, at least one."""
    return max(1, math.ceil(seconds))
