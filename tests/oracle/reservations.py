"""Reservations: taken, confirmed, allocated, given back, fulfilled, expired; also out of order.

`left` of a reservation is what is still promised. An ended one is remembered, so that what comes
after its end can be told apart from what comes before its beginning (an *early* step).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .decoding import Movement
from .instants import format_instant

Name = tuple[str, str]
"""(sku, reservation)"""


@dataclass
class Reservation:
    """One reservation from its `reserve` on, open while `left` is above zero."""

    sku: str
    name: str
    location: str | None
    channel: str | None
    expires_at: int | None
    correlation_id: str | None
    left: int = 0
    confirmed: bool = False
    ended_by: str | None = None
    """rejected, released, fulfilled or expired"""
    ended_at: int | None = None
    expired: int = 0
    """What had expired."""
    fulfilled_since: int = 0
    """What was fulfilled since the expiry."""

    def take_off(self, quantity: int, why: str, clock: int) -> int:
        """Resolves at most `quantity`; the quantity really resolved."""
        taken = min(quantity, self.left)
        self.left -= taken
        if self.left == 0:
            self.ended_by, self.ended_at = why, clock
        return taken


@dataclass(frozen=True)
class EarlyStep:
    """A step of a reservation whose `reserve` has not come yet."""

    movement: Movement
    arrived_at: int


@dataclass
class StepResult:
    """What a step of a reservation brought about beside the change of the reservation."""

    outcome: str = "applied"
    touched: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    expired_at_once: bool = False


class ReservationBook:
    """All reservations ever made, the early steps, and the decisions."""

    def __init__(self, remember_ended: int, remember_early: int) -> None:
        self.remember_ended = remember_ended
        self.remember_early = remember_early
        self.reservations: dict[Name, Reservation] = {}
        self.early: dict[Name, list[EarlyStep]] = {}
        self.decisions: list[dict[str, Any]] = []

    def find(self, sku: str, name: str, clock: int) -> Reservation | None:
        """The reservation, unless it ended so long ago that it is forgotten."""
        found = self.reservations.get((sku, name))
        if found is None or found.ended_at is None:
            return found
        return None if clock - found.ended_at > self.remember_ended else found

    def open_ones(self, sku: str) -> list[Reservation]:
        """Every reservation of the SKU with something left."""
        return [one for one in self.reservations.values() if one.sku == sku and one.left > 0]

    def reserved(self, sku: str, location: str) -> int:
        """The sum of the open reservations at a location."""
        return sum(one.left for one in self.open_ones(sku) if one.location == location)

    def claims(self, sku: str) -> list[tuple[str | None, int]]:
        """(channel, quantity) of every open reservation that has no location yet."""
        return [(one.channel, one.left) for one in self.open_ones(sku) if one.location is None]

    def next_expiry(self) -> tuple[int, str, str] | None:
        """(when, sku, reservation) of the next one to expire."""
        running = [
            (one.expires_at, one.sku, one.name)
            for one in self.reservations.values()
            if one.left > 0 and not one.confirmed and one.expires_at is not None
        ]
        return min(running) if running else None

    def step(self, movement: Movement, clock: int, available: Callable[[], int]) -> StepResult:
        """What a movement that names a reservation does to it."""
        kind = movement["type"]
        if kind == "reserve":
            return self._reserve(movement, clock, available)
        reservation = self.find(movement["sku"], movement["reservation"], clock)
        if reservation is None:
            name = (movement["sku"], movement["reservation"])
            self.early.setdefault(name, []).append(EarlyStep(movement, clock))
            return StepResult()
        result = StepResult()
        if kind != "allocate" and reservation.left > 0 and reservation.location is not None:
            result.touched.add(reservation.location)
        if kind == "confirm":
            self._confirm(reservation, movement, clock, result)
        elif kind == "allocate":
            self._allocate(reservation, movement["location"], result)
        elif kind == "release":
            self._release(reservation, movement, clock, result)
        else:
            self._fulfil(reservation, movement, clock, result)
        return result

    def expire(self, reservation: Reservation, clock: int) -> None:
        """What is left is free again, and remembered for a confirmation that is on its way."""
        reservation.expired, reservation.fulfilled_since = reservation.left, 0
        quantity = reservation.take_off(reservation.left, "expired", clock)
        self._decide(
            reservation, "expired", quantity, quantity, None, clock, reservation.correlation_id
        )

    def _reserve(self, movement: Movement, clock: int, available: Callable[[], int]) -> StepResult:
        result = StepResult()
        name = (movement["sku"], movement["reservation"])
        reservation = Reservation(
            sku=movement["sku"],
            name=movement["reservation"],
            location=movement["location"],
            channel=movement["channel"],
            expires_at=movement["expires_at"],
            correlation_id=movement["correlation_id"],
        )
        steps = [
            step.movement
            for step in self.early.pop(name, [])
            if clock - step.arrived_at <= self.remember_early
        ]
        self.reservations[name] = reservation
        requested = movement["quantity"]
        ends, asked, excess = _early_ends(steps, requested)
        taken, there = asked, 0
        if movement["policy"] == "strict":
            there = available()
            if there < asked:
                taken = there if movement["allow_partial"] and there > 0 else 0
                result.outcome = "applied" if taken > 0 else "rejected"
        if result.outcome == "rejected":
            why, decided = str(there), "rejected"
        else:
            why, decided = movement["reason"], "accepted" if taken == asked else "partial"
        self._decide(reservation, decided, taken, requested, why, clock, movement["correlation_id"])
        if excess:
            result.warnings.append("excess_release")
        if taken > 0:
            reservation.left = taken
            reservation.confirmed = any(step["type"] == "confirm" for step in steps)
        else:
            reservation.ended_by, reservation.ended_at = decided, clock
        self._follow_early_steps(reservation, steps, ends, clock)
        if taken > 0 and reservation.location is not None:
            result.touched.add(reservation.location)
        expires_at = reservation.expires_at
        running = reservation.left > 0 and not reservation.confirmed
        if running and expires_at is not None and expires_at <= clock:
            self.expire(reservation, clock)
            result.expired_at_once = True
        return result

    def _follow_early_steps(
        self, reservation: Reservation, steps: list[Movement], ends: list[int], clock: int
    ) -> None:
        """The ends that came early, in their order of arrival, and the first allocation."""
        for step, quantity in zip(steps, ends, strict=True):
            if step["type"] == "allocate" and reservation.location is None:
                reservation.location = step["location"]
            if quantity > 0:
                asked = step["quantity"] if step["quantity"] is not None else quantity
                outcome = "released" if step["type"] == "release" else "fulfilled"
                self._decide(
                    reservation, outcome, quantity, asked, step["reason"], clock,
                    step["correlation_id"],
                )  # fmt: skip
                if reservation.left == 0:
                    reservation.ended_by = outcome

    def _confirm(
        self, reservation: Reservation, movement: Movement, clock: int, result: StepResult
    ) -> None:
        if reservation.left > 0:
            reservation.confirmed = True
            return
        if reservation.ended_by != "expired":
            return
        result.warnings.append("confirmed_after_end")
        again = max(0, reservation.expired - reservation.fulfilled_since)
        assert reservation.expires_at is not None
        if movement["occurred_at"] >= reservation.expires_at or again == 0:
            return
        reservation.left, reservation.confirmed = again, True
        reservation.ended_by = reservation.ended_at = None
        reservation.expired = reservation.fulfilled_since = 0
        if reservation.location is not None:
            result.touched.add(reservation.location)
        self._decide(
            reservation, "accepted", again, again, "reinstated", clock, movement["correlation_id"]
        )

    def _allocate(self, reservation: Reservation, location: str, result: StepResult) -> None:
        if reservation.left > 0 and reservation.location is None:
            reservation.location = location
            result.touched.add(location)

    def _release(
        self, reservation: Reservation, movement: Movement, clock: int, result: StepResult
    ) -> None:
        quantity = movement["quantity"]
        if quantity is None:
            quantity = reservation.left
        if quantity > reservation.left:
            result.warnings.append("excess_release")
        self._resolve(reservation, "released", quantity, movement, clock)

    def _fulfil(
        self, reservation: Reservation, movement: Movement, clock: int, result: StepResult
    ) -> None:
        quantity = movement["quantity"]
        if reservation.left == 0:
            result.warnings.append("fulfilled_after_end")
            reservation.fulfilled_since += quantity
            return
        if quantity > reservation.left:
            result.warnings.append("excess_release")
        self._resolve(reservation, "fulfilled", quantity, movement, clock)

    def _resolve(
        self, reservation: Reservation, why: str, quantity: int, movement: Movement, clock: int
    ) -> None:
        if reservation.left > 0:
            taken = reservation.take_off(quantity, why, clock)
            self._decide(
                reservation, why, taken, quantity, movement["reason"], clock,
                movement["correlation_id"],
            )  # fmt: skip

    def _decide(
        self,
        reservation: Reservation,
        outcome: str,
        quantity: int,
        requested: int,
        reason: str | None,
        clock: int,
        correlation_id: str | None,
    ) -> None:
        self.decisions.append(
            {
                "reservation": reservation.name,
                "sku": reservation.sku,
                "location": reservation.location,
                "channel": reservation.channel,
                "outcome": outcome,
                "quantity": quantity,
                "requested": requested,
                "reason": reason,
                "decided_at": format_instant(clock),
                "correlation_id": correlation_id,
            }
        )


def _early_ends(steps: list[Movement], requested: int) -> tuple[list[int], int, bool]:
    """What the early steps leave of the quantity asked for.

    What each of them resolves, what is left to ask for, and whether they exceed it.
    """
    left, excess, ends = requested, False, []
    for step in steps:
        wanted = 0
        if step["type"] in ("release", "fulfil", "sale"):
            wanted = left if step["quantity"] is None else step["quantity"]
        excess = excess or wanted > left
        ends.append(min(wanted, left))
        left -= min(wanted, left)
    return ends, left, excess
