"""Keys to be looked at on later ticks: setting one costs the same however many wait."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

# A channel key: SKU, and location or "" for granularity sku.
Ref = tuple[str, str]


class Timers:
    """Keys by the tick on which they are due.

    Nothing is ever taken out before its tick: whoever is told of a key has to know whether it
    still waits.
    """

    def __init__(self) -> None:
        self._due: dict[int, list[Ref]] = {}
        self._ticks: list[int] = []

    def set(self, tick: int, ref: Ref) -> None:
        """Let the key be due on the tick."""
        refs = self._due.get(tick)
        if refs is None:
            self._due[tick] = [ref]
            heapq.heappush(self._ticks, tick)
        else:
            refs.append(ref)

    def fire(self, now: int) -> list[Ref]:
        """Return the keys due on ticks up to `now`, and forget them."""
        found: list[Ref] = []
        while self._ticks and self._ticks[0] <= now:
            found += self._due.pop(heapq.heappop(self._ticks))
        return found

    def are_due(self, now: int) -> bool:
        """Return whether a tick up to `now` has keys, be it that none of them waits any more."""
        return bool(self._ticks) and self._ticks[0] <= now

    def first(self, waiting_for: Mapping[Ref, int]) -> int | None:
        """Return the first tick for which one of its keys waits; forget those before it."""
        while self._ticks:
            tick = self._ticks[0]
            refs = self._due[tick]
            while refs and waiting_for.get(refs[-1]) != tick:
                refs.pop()
            if refs:
                return tick
            del self._due[heapq.heappop(self._ticks)]
        return None
