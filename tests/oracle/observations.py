"""What other systems believe, compared with the book: every question asked of the whole history."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .effects import Entry
from .instants import DAY, format_instant, parse_instant
from .world import World

Observation = dict[str, Any]
Place = tuple[str, str, str]
"""(sku, location, disposition)"""


def read_observation(line: bytes) -> Observation:
    """A valid observation with all its fields; `at` is when it was observed."""
    told = json.loads(line)
    told = {"disposition": "sellable", "correlation_id": None, **told}
    told["at"] = parse_instant(told["observed_at"])
    return told


@dataclass
class Reconciliation:
    """Everything that was observed so far, and what it came to."""

    world: World
    findings: list[dict[str, Any]] = field(default_factory=list)
    told: dict[tuple[Any, ...], int] = field(default_factory=dict)
    adjusted_at: dict[Place, int] = field(default_factory=dict)

    def conflicts(self, observation: Observation) -> bool:
        """Whether the source told another quantity of the same place and time before."""
        before = self.told.get(_identity(observation))
        return before is not None and before != observation["quantity"]

    def compare(
        self, observation: Observation, finding: str, by_event: bool
    ) -> tuple[str, dict[str, Any] | None]:
        """The outcome, and the movement that adjusts the book, if it is to be adjusted."""
        if _identity(observation) in self.told:
            return "duplicate", None
        self.told[_identity(observation)] = observation["quantity"]
        expected = self.book_at(_place(observation), observation["at"])
        difference = observation["quantity"] - expected
        if difference == 0:
            return "agrees", None
        kind = self.class_of(observation, expected)
        action = self.action_of(observation, kind, difference, expected)
        counted_at = self.world.book.counted_at(*_place(observation))
        at = self._adjusted_at(observation, by_event)
        if action == "adjusted" and counted_at is not None and at <= counted_at:
            action = "review"
        self.findings.append(
            {
                "finding": finding,
                "sku": observation["sku"],
                "location": observation["location"],
                "source": observation["source"],
                "expected": expected,
                "observed": observation["quantity"],
                "difference": difference,
                "class": kind,
                "action": action,
                "observed_at": format_instant(observation["at"]),
                "disposition": observation["disposition"],
            }
        )
        if action != "adjusted":
            return "differs", None
        self.adjusted_at[_place(observation)] = observation["at"]
        return "differs", self._adjustment(observation, finding, kind, difference, at)

    def _adjusted_at(self, observation: Observation, by_event: bool) -> int:
        at = int(observation["at"])
        return at if not by_event or self.world.clock is None else min(at, self.world.clock)

    def _adjustment(
        self, observation: Observation, finding: str, kind: str, difference: int, at: int
    ) -> dict[str, Any]:
        movement = {
            "id": finding,
            "source": "reconciliation",
            "type": "adjustment",
            "sku": observation["sku"],
            "location": observation["location"],
            "quantity": difference,
            "occurred_at": format_instant(at),
            "disposition": observation["disposition"],
            "reason": f"{kind}, observed by {observation['source']}",
        }
        if observation["correlation_id"] is not None:
            movement["correlation_id"] = observation["correlation_id"]
        return movement

    # --- the book as of a time -----------------------------------------------------------

    def book_at(self, place: Place, instant: int) -> int:
        """The newest count by then and what moved since; without one all that moved by then."""
        entries = [entry for entry in self._entries(place) if entry.at <= instant]
        counts = [entry for entry in entries if entry.kind == "counted"]
        if not counts:
            return sum(entry.quantity for entry in entries)
        newest = max(counts, key=lambda entry: entry.at)
        return newest.quantity + sum(
            entry.quantity for entry in entries if entry.kind == "moved" and entry.at > newest.at
        )

    def _entries(self, place: Place) -> list[Entry]:
        return self.world.book.history.get(place, [])

    # --- what explains a difference ------------------------------------------------------

    def class_of(self, observation: Observation, expected: int) -> str:
        """The first class whose sign is found."""
        difference = observation["quantity"] - expected
        if self._is_in_flight(observation, difference):
            return "in_flight"
        if self._is_missed(observation, difference):
            return "missed"
        if self._is_duplicate(observation, difference):
            return "duplicate"
        if self._is_leak(observation, -difference):
            return "reservation_leak"
        return "shrink" if difference < 0 <= observation["quantity"] else "unknown"

    def _is_in_flight(self, observation: Observation, difference: int) -> bool:
        place, at = _place(observation), observation["at"]
        window = self.world.rules.policy.in_flight
        for move in self._moves(place, at - window, at + window):
            if move.quantity == (-difference if move.at <= at else difference):
                return True
        first = max(at - window, self._window_begins())
        instants = {at - window} | {
            entry.at for entry in self._entries(place) if first < entry.at <= at + window
        }
        return any(self.book_at(place, instant) == observation["quantity"] for instant in instants)

    def _is_missed(self, observation: Observation, difference: int) -> bool:
        sku, location, disposition = _place(observation)
        book = self.world.book
        if difference > 0:
            never_touched = (sku, location) not in book.versions
            return never_touched or difference <= book.incoming.get((sku, location), 0)
        return disposition == "sellable" and any(
            incoming == difference
            for (other, elsewhere), incoming in book.incoming.items()
            if other == sku and elsewhere != location
        )

    def _is_duplicate(self, observation: Observation, difference: int) -> bool:
        at = observation["at"]
        same = [
            move.at
            for move in self._moves(_place(observation), self._looked_at_from(at), at)
            if move.quantity == -difference
        ]
        return len(same) > len(set(same))

    def _is_leak(self, observation: Observation, lacking: int) -> bool:
        sku, location, disposition = _place(observation)
        held = [
            one.left for one in self.world.reservations.open_ones(sku) if one.location == location
        ]
        return disposition == "sellable" and lacking > 0 and lacking in (sum(held), *held)

    def _moves(self, place: Place, after: int, until: int) -> Iterator[Entry]:
        """Movements of that time, without those at the very instant of a count."""
        entries = self._entries(place)
        counted = {entry.at for entry in entries if entry.kind == "counted"}
        after = max(after, self._window_begins())
        for entry in entries:
            if entry.kind == "moved" and after < entry.at <= until and entry.at not in counted:
                yield entry

    def _looked_at_from(self, at: int) -> int:
        return max(at - max(DAY, self.world.rules.policy.in_flight), self._window_begins())

    def _window_begins(self) -> int:
        clock = self.world.clock
        return -(1 << 62) if clock is None else clock - self.world.setting("count_window")

    # --- what is done --------------------------------------------------------------------

    def action_of(self, observation: Observation, kind: str, difference: int, expected: int) -> str:
        """What the policy has done about it."""
        policy, place = self.world.rules.policy, _place(observation)
        counted_at = self.world.book.counted_at(*place)
        newest = [at for at in (counted_at, self.adjusted_at.get(place)) if at is not None]
        at = int(observation["at"])
        if kind == "in_flight" or any(at <= settled_at for settled_at in newest):
            return "none"
        percent = policy.tolerance_percent
        tolerated = max(Fraction(policy.tolerance), abs(expected) * percent / 100)
        if abs(difference) <= tolerated:
            return "none"
        adjusts = kind in policy.adjust and abs(difference) <= policy.adjust_up_to
        return "adjusted" if adjusts else "review"


def _place(observation: Observation) -> Place:
    return observation["sku"], observation["location"], observation["disposition"]


def _identity(observation: Observation) -> tuple[Any, ...]:
    return observation["source"], *_place(observation), observation["at"]
