"""Streams for simulations: wild, calm and orderless ones, each line with its time of arrival."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.oracle import Shape, generate_timed
from tests.oracle.generate import DEFAULT_LOCATIONS, DEFAULT_SKUS, START
from tests.oracle.instants import MILLISECOND, MINUTE, SECOND, format_instant

Timed = tuple[int, bytes]  # when it is sent, and the line
DISPOSITIONS = ("sellable", "inspecting", "damaged")


def wild(seed: int, size: int, channels: Sequence[str]) -> list[Timed]:
    """Whatever may come in."""
    return generate_timed(seed, size, channels=channels, shape=Shape(jump=0.0))


def calm(seed: int, size: int, channels: Sequence[str]) -> list[Timed]:
    """Receipts, strict reservations and their steps, in order of time and where they were made.

    No goods leave, nothing is forced or counted. A reservation without a location has no channel
    either: claims on channels whose locations overlap may add up to more than is there.
    """
    return _Calm(random.Random(seed), channels).lines(size)


def orderless(seed: int, size: int, channels: Sequence[str]) -> list[Timed]:
    """What ends in the same stock in every order: sales, counts, forced reservations, and such."""
    del channels
    return _Orderless(random.Random(seed)).lines(size)


class _Source:
    """Tells one movement after the other; no two at the same instant."""

    def __init__(self, chance: random.Random, name: str) -> None:
        self.chance = chance
        self.name = name
        self.number = 0
        self.now = START
        self.told: list[Timed] = []

    def pass_time(self, *steps: int) -> None:
        self.now += MILLISECOND + self.chance.choice(steps)
        self.number += 1

    def tell(self, movement: Mapping[str, Any]) -> None:
        identity = {"id": f"{self.name[0]}-{self.number}-{len(self.told)}", "source": self.name}
        told = {**identity, **movement, "occurred_at": format_instant(self.now)}
        self.told.append((self.now, json.dumps(told).encode()))

    def place(self) -> str:
        return self.chance.choice(DEFAULT_LOCATIONS)

    def item(self) -> str:
        return self.chance.choice(DEFAULT_SKUS)


class _Calm:
    def __init__(self, chance: random.Random, channels: Sequence[str]) -> None:
        self.chance = chance
        self.channels = channels
        self.source = _Source(chance, "calm")
        self.open: list[dict[str, Any]] = []

    def lines(self, size: int) -> list[Timed]:
        while len(self.source.told) < size:
            self._next()
        return self.source.told

    def _next(self) -> None:
        chance, source = self.chance, self.source
        source.pass_time(0, SECOND, SECOND // 4, 7 * SECOND, MINUTE)
        kind = chance.choice(("receipt", "reserve", "reserve", "reserve", "step"))
        told: dict[str, Any] = {"type": kind, "sku": source.item()}
        if kind == "step" and self.open:
            told = self._step(chance.choice(self.open))
        elif kind == "reserve":
            told |= self._reserve()
            self.open.append(told)
        else:
            place, quantity = source.place(), chance.randint(1, 9)
            told |= {"type": "receipt", "location": place, "quantity": quantity}
        source.tell(told)

    def _reserve(self) -> dict[str, Any]:
        chance, source = self.chance, self.source
        told: dict[str, Any] = {"reservation": f"r-{source.number}"}
        told["quantity"] = chance.randint(1, 6)
        if chance.random() < 0.6:
            told["location"] = source.place()
            if chance.random() < 0.5:
                told["channel"] = chance.choice(self.channels)
        if chance.random() < 0.4:
            told["allow_partial"] = True
        if chance.random() < 0.5:
            lives = chance.choice((SECOND, 30 * SECOND, 5 * MINUTE))
            told["expires_at"] = format_instant(source.now + lives)
        return told

    def _step(self, reserve: Mapping[str, Any]) -> dict[str, Any]:
        """A step that does no harm even if the reservation was rejected or has ended."""
        told = {"sku": reserve["sku"], "reservation": reserve["reservation"]}
        kind = self.chance.choice(("release", "release", "confirm"))
        # Who confirms after the end takes the stock by force: that would be adverse.
        if kind == "confirm" and "expires_at" in reserve:
            kind = "release"
        return {**told, "type": kind}


class _Orderless:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.source = _Source(chance, "orderless")

    def lines(self, size: int) -> list[Timed]:
        while len(self.source.told) < size:
            self.source.pass_time(0, SECOND, SECOND // 4, 7 * SECOND, MINUTE)
            kinds = (self._plain, self._plain, self._count, self._transfer, self._reservation)
            self.chance.choice(kinds)()
        return self.source.told

    def _plain(self) -> None:
        chance, source = self.chance, self.source
        kind = chance.choice(("sale", "sale", "return", "receipt", "adjustment", "reclassify"))
        told: dict[str, Any] = {"type": kind, "sku": source.item(), "location": source.place()}
        told["quantity"] = chance.randint(1, 9)
        if kind in ("return", "receipt", "adjustment"):
            told["disposition"] = chance.choice(DISPOSITIONS)
        if kind == "adjustment":
            told["quantity"] *= chance.choice((-1, 1))
        if kind == "reclassify":
            told["from"], told["to"] = chance.sample(DISPOSITIONS, 2)
        source.tell(told)

    def _count(self) -> None:
        source = self.source
        told: dict[str, Any] = {"type": "count", "sku": source.item(), "location": source.place()}
        told["disposition"] = self.chance.choice(("sellable", "sellable", *DISPOSITIONS))
        source.tell({**told, "quantity": self.chance.randint(0, 20)})

    def _transfer(self) -> None:
        chance, source = self.chance, self.source
        start, end = chance.sample(DEFAULT_LOCATIONS, 2)
        goods = {"sku": source.item(), "quantity": chance.randint(1, 9)}
        source.tell({**goods, "type": "transfer", "location": start, "to_location": end})
        source.pass_time(SECOND, MINUTE)
        source.tell({**goods, "type": "receipt", "location": end, "from_location": start})

    def _reservation(self) -> None:
        """Forced, and what follows; also more of it than there is."""
        chance, source = self.chance, self.source
        common = {"sku": source.item(), "reservation": f"o-{source.number}"}
        place, quantity = source.place(), chance.randint(1, 9)
        reserve = {"type": "reserve", "location": place, "quantity": quantity, "policy": "force"}
        source.tell({**common, **reserve})
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            source.pass_time(0, SECOND, MINUTE)
            step: dict[str, Any] = {**common, "type": chance.choice(("release", "fulfil", "sale"))}
            if step["type"] == "release" and chance.random() < 0.3:
                source.tell(step)
                continue
            step["quantity"] = chance.randint(1, quantity)
            if step["type"] != "release":
                step["location"] = place if chance.random() < 0.8 else source.place()
            source.tell(step)
