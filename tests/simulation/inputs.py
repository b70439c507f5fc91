"""Inputs that deliver a story's lines at their times, and its turns between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.embedded.inputs_position import Damage, Position
from tests.simulation.faults import MICROSECONDS, SimulatedTime
from tests.simulation.story import Event, Line, NewRules, Order

KEY = "log"


class Delivered:
    """Lines that were read together."""

    def __init__(self, lines: list[bytes], start: int) -> None:
        self.lines = lines
        self._start = start

    def origin(self, index: int) -> str:
        """Return where a line stands."""
        return f"{KEY}:{self._start + index + 1}"

    def positions(self, consumed: int) -> dict[str, Position]:
        """Return how far the log is read after the first lines."""
        return {KEY: Position(line=self._start + consumed)}


class Turns:
    """What is to happen between two lines, each once, whatever the process does meanwhile."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.waiting: list[tuple[int, NewRules | Order]] = []
        lines = 0
        for event in events:
            if isinstance(event, Line):
                lines += 1
            else:
                self.waiting.append((lines, event))

    def next_after(self) -> int | None:
        """Return after how many lines the next turn comes."""
        return self.waiting[0][0] if self.waiting else None


class SimulatedInputs:
    """Stands in for `Inputs`: one log, read from where the committed position says.

    With `time` a line is there when it has arrived; without, at once.
    """

    damages: Sequence[Damage] = ()

    def __init__(
        self,
        lines: Sequence[Line],
        turns: Turns,
        saved: Mapping[str, Position],
        time: SimulatedTime | None,
    ) -> None:
        self._lines = lines
        self._turns = turns
        self._time = time
        self.taken = saved[KEY].line if KEY in saved else 0

    @property
    def ended(self) -> bool:
        """Whether every line was given out, and every turn has come."""
        return self.taken >= len(self._lines) and not self._turns.waiting

    @property
    def turn_is_due(self) -> bool:
        """Whether the lines before the next turn were given out."""
        after = self._turns.next_after()
        return after is not None and self.taken >= after

    def read(
        self, limit: int, wait_seconds: float = 0.0, doorbell: int | None = None
    ) -> Delivered | None:
        """Return at most `limit` lines, as soon as there are any; never past a turn."""
        assert doorbell is None, "nobody rings in a simulation"
        after = self._turns.next_after()
        end = min(self.taken + limit, len(self._lines) if after is None else after)
        if self.taken >= end:
            return None
        if self._time is not None:
            end = self._arrived(self._time, end, wait_seconds)
        if self.taken >= end:
            return None
        start, self.taken = self.taken, end
        return Delivered([line.text for line in self._lines[start:end]], start)

    def _arrived(self, time: SimulatedTime, end: int, wait_seconds: float) -> int:
        """Wait for the next line, and return up to where lines have arrived."""
        wait = self._lines[self.taken].arrives - time.passed
        if wait > 0:
            time.sleep(min(wait_seconds, wait / MICROSECONDS))
        place = self.taken
        while place < end and self._lines[place].arrives <= time.passed:
            place += 1
        return place

    def positions(self) -> dict[str, Position]:
        """Return how far the log is read."""
        return {KEY: Position(line=self.taken)}

    def progress(self) -> tuple[int, int | None]:
        """Return how much was read, and of how much."""
        return self.taken, len(self._lines)
