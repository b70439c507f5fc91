"""The rate of one channel: a token bucket in exact integers.

In any window of length w at most rate x w, and one bucket more, are let through (J. Turner, "New
directions in communications", 1986).
"""

from __future__ import annotations

from engine.contracts.instants import SECOND
from engine.rules.model import Rate


class Bucket:
    """The tokens: one publication costs `rate.period` tokens, a microsecond brings `count`."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.capacity = max(rate.count * SECOND, rate.period)
        self.tokens = self.capacity
        self.filled_at: int | None = None

    def restore(self, tokens: int, filled_at: int) -> None:
        """Go on from where a bucket of the channel stood, perhaps of another rate."""
        self.tokens = min(self.capacity, tokens)
        self.filled_at = filled_at

    def fill(self, now: int) -> None:
        """Add what time has brought."""
        if self.filled_at is not None and now > self.filled_at:
            gained = (now - self.filled_at) * self.rate.count
            self.tokens = min(self.capacity, self.tokens + gained)
        if self.filled_at is None or now > self.filled_at:
            self.filled_at = now

    def holds(self, publications: int) -> bool:
        """Return whether the tokens of so many publications are there."""
        return self.tokens >= publications * self.rate.period

    def take(self) -> bool:
        """Take the tokens of one publication if they are there."""
        if self.tokens < self.rate.period:
            return False
        self.tokens -= self.rate.period
        return True

    def ready_at(self, now: int) -> int:
        """Return when the next publication is allowed, not before `now`."""
        missing = self.rate.period - self.tokens
        if missing <= 0 or self.filled_at is None:
            return now
        return max(now, self.filled_at - (-missing // self.rate.count))
