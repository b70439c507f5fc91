"""A time of day that tests let pass, and what happens in the meantime."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from engine.contracts.instants import parse_instant
from engine.embedded import loop, orders, rules_watch
from engine.embedded.inputs import Batch, Inputs
from tests.oracle.scenarios import time_of

LOOK = 100_000  # microseconds that pass between two looks at the clock


class TownClock:
    """Moves on by a tenth of a second with each look, and by as long as somebody sleeps.

    An input is waited for as long as a look takes.
    """

    def __init__(self, start: str) -> None:
        self.now = parse_instant(time_of(start))
        self._number = itertools.count()
        self._plans: list[tuple[int, int, Callable[[], object]]] = []

    def at(self, time: str, happens: Callable[[], object]) -> None:
        """Plan something for a time of the day."""
        plan = (parse_instant(time_of(time)), next(self._number), happens)
        heapq.heappush(self._plans, plan)

    def look(self) -> int:
        """What `wall_clock` tells."""
        self.now += LOOK
        while self._plans and self._plans[0][0] <= self.now:
            heapq.heappop(self._plans)[2]()
        return self.now

    def sleep(self, seconds: float) -> None:
        """What `time.sleep` does."""
        self.now += round(seconds * 1_000_000)

    def monotonic(self) -> float:
        """What `time.monotonic` tells."""
        return self.now / 1_000_000

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Let the loop, and what it serves, go by this clock."""
        time = SimpleNamespace(
            sleep=self.sleep, monotonic=self.monotonic, perf_counter=self.monotonic
        )
        for place in (loop, orders):
            patch.setattr(place, "wall_clock", self.look)
            patch.setattr(place, "time", time)
        read = Inputs.read

        def wait_and_read(inputs: Inputs, limit: int, *_: object) -> Batch | None:
            self.look()
            return read(inputs, limit)

        patch.setattr(Inputs, "read", wait_and_read)
        patch.setattr(orders, "LOOK_EVERY_SECONDS", 0.0)
        patch.setattr(rules_watch, "LOOK_EVERY_SECONDS", 0.0)
