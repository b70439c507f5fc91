"""The movements of a generated load, one after the other, as a retailer's systems tell them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from engine.contracts.instants import format_instant
from engine.rehearsal.load import SECOND, Load

ORIGIN: Final = 1_780_000_000 * SECOND  # some instant: every time is moved before it is played

# Of a hundred movements; those that follow a reservation come in place of others.
MIX: Final = {
    "sale": 58,
    "reserve": 16,
    "receipt": 8,
    "return": 5,
    "count": 4,
    "adjustment": 4,
    "transfer": 3,
    "expect": 2,
}
# What follows a reservation, and seconds until then, at most.
STEPS: Final = (("confirm", 4.0), ("fulfil", 12.0), ("release", 6.0))
BASKET_SECONDS: Final = 8  # an unconfirmed reservation expires
UNITS: Final = (1, 1, 1, 2, 3)
FILL_UNITS: Final = (5, 40)
TRANSFER_SECONDS: Final = 15.0
UNALLOCATED_SHARE: Final = 0.7
WRONG_SHARE: Final = 0.1  # of the counts find another number than the book has
LATE_SHARE: Final = 0.03
LATE_SECONDS: Final = 5.0
COPY_SHARE: Final = 0.01
COPY_DELAY: Final = SECOND // 10

AT_TILLS: Final = frozenset({"sale", "return", "count"})
SYSTEMS: Final = {"receipt": "wms", "transfer": "wms", "adjustment": "wms", "expect": "erp"}

Movement = dict[str, Any]


class Shelf:
    """How much is where, so that nobody sells what is not there."""

    def __init__(self, opening: Mapping[tuple[str, str], int], stores: Sequence[str]) -> None:
        self.units = dict(opening)
        self.stores = stores

    def at(self, movement: Movement) -> int:
        """Return what is there of the movement's key."""
        return self.units.get((movement["sku"], movement["location"]), 0)

    def move(self, movement: Movement, units: int) -> None:
        """Add to the movement's key."""
        key = movement["sku"], movement["location"]
        self.units[key] = self.units.get(key, 0) + units


class Stream:
    """One load in the making. 3% come up to 5 s late, 1% twice."""

    def __init__(
        self,
        chance: random.Random,
        keys: Iterator[tuple[str, str]],
        shelf: Shelf,
        channels: Sequence[str | None],
    ) -> None:
        self._chance = chance
        self._keys = keys
        self._shelf = shelf
        self._channels = channels
        self._steps: list[tuple[int, int, Movement]] = []
        self._told: list[tuple[int, int, bytes]] = []

    def load(self, count: int, duration: int) -> Load:
        """Return about `count` movements, evenly over the duration, in order of their arrival."""
        kinds = self._chance.choices(list(MIX), list(MIX.values()), k=count)
        for number, kind in enumerate(kinds):
            at = duration * number // count
            if self._steps and self._steps[0][0] <= at:
                self._tell(self._as_it_can_be(heapq.heappop(self._steps)[2]), at)
            else:
                sku, location = next(self._keys)
                self._begin(kind, sku, location, at)
        # What is late beyond the end is not offered.
        told = sorted(each for each in self._told if each[0] < duration)
        offsets = np.array([arrives for arrives, _, _ in told], dtype=np.int64)
        return Load([line for _, _, line in told], offsets, ORIGIN, 1.0)

    # --- what happens --------------------------------------------------------------------------

    def _begin(self, kind: str, sku: str, location: str, at: int) -> None:
        movement: Movement = {"type": kind, "sku": sku, "location": location}
        movement["quantity"] = self._chance.choice(UNITS)
        if kind == "reserve":
            self._reserve(movement, at)
        elif kind == "transfer":
            movement = self._transfer(movement, at)
        else:
            movement = self._plain(movement)
        self._tell(movement, at)

    def _plain(self, movement: Movement) -> Movement:
        chance, shelf, kind = self._chance, self._shelf, movement["type"]
        if kind in AT_TILLS:
            movement["location"] = chance.choice(shelf.stores)
        if kind == "sale":
            if shelf.at(movement) < movement["quantity"]:
                return self._fill(movement)
            shelf.move(movement, -movement["quantity"])
        elif kind == "receipt":
            return self._fill(movement)
        elif kind == "return":
            shelf.move(movement, movement["quantity"])
        elif kind == "count":
            wrong = chance.choice((-1, 1, 2)) if chance.random() < WRONG_SHARE else 0
            movement["quantity"] = max(0, shelf.at(movement) + wrong)
            shelf.move(movement, movement["quantity"] - shelf.at(movement))
        elif kind == "adjustment":
            if chance.random() < 0.5 and shelf.at(movement) >= movement["quantity"]:
                movement["quantity"] = -movement["quantity"]
            shelf.move(movement, movement["quantity"])
        return movement

    def _fill(self, movement: Movement) -> Movement:
        """Goods arrive, in place of a sale where there is nothing to sell."""
        movement["type"] = "receipt"
        movement["quantity"] = self._chance.randint(*FILL_UNITS)
        self._shelf.move(movement, movement["quantity"])
        return movement

    def _transfer(self, movement: Movement, at: int) -> Movement:
        others = [name for name in self._shelf.stores if name != movement["location"]]
        if not others or self._shelf.at(movement) < movement["quantity"]:
            return self._fill(movement)
        self._shelf.move(movement, -movement["quantity"])
        target = self._chance.choice(others)
        arrival = {**movement, "type": "receipt", "location": target}
        arrival["from_location"] = movement["location"]
        self._later(arrival, at, TRANSFER_SECONDS)
        return {**movement, "to_location": target}

    def _reserve(self, movement: Movement, at: int) -> None:
        """A basket: with a location or without, and one step that follows."""
        chance = self._chance
        movement["reservation"] = f"basket-{len(self._told)}"
        kind, seconds = chance.choice(STEPS)
        self._later({**movement, "type": kind}, at, seconds)
        channel = chance.choice(self._channels)
        if channel is not None:
            movement["channel"] = channel
        if chance.random() < UNALLOCATED_SHARE:
            del movement["location"]
        movement["expires_at"] = format_instant(ORIGIN + at + BASKET_SECONDS * SECOND)

    def _as_it_can_be(self, step: Movement) -> Movement:
        """Return the step as it happens now: goods leave only where there are some."""
        if step["type"] == "receipt":
            self._shelf.move(step, step["quantity"])
            return step
        if step["type"] == "fulfil" and self._shelf.at(step) >= step["quantity"]:
            self._shelf.move(step, -step["quantity"])
            return step
        kind = "release" if step["type"] == "fulfil" else step["type"]
        return {"type": kind, "sku": step["sku"], "reservation": step["reservation"]}

    # --- how it is told ------------------------------------------------------------------------

    def _later(self, movement: Movement, at: int, seconds: float) -> None:
        due = at + round(self._chance.uniform(0.1, seconds) * SECOND)
        heapq.heappush(self._steps, (due, len(self._told), movement))

    def _tell(self, movement: Movement, at: int) -> None:
        chance = self._chance
        number = len(self._told)
        told = {"id": f"m-{number}", "source": _source_of(movement), **movement}
        told["occurred_at"] = format_instant(ORIGIN + at)
        line = msgspec.json.encode(told)
        arrives = at
        if chance.random() < LATE_SHARE:
            arrives += round(chance.random() * LATE_SECONDS * SECOND)
        self._told.append((arrives, number, line))
        if chance.random() < COPY_SHARE:
            self._told.append((arrives + COPY_DELAY, number, line))


def _source_of(movement: Movement) -> str:
    """Return the system that tells such a movement: every store has tills of its own."""
    kind = movement["type"]
    return f"pos-{movement['location']}" if kind in AT_TILLS else SYSTEMS.get(kind, "oms")
