"""Streams for simulations: wild ones, and calm ones in which nothing adverse ever happens."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.oracle import Shape, generate, random_rules
from tests.oracle.generate import DEFAULT_LOCATIONS, DEFAULT_SKUS, START
from tests.oracle.instants import MINUTE, SECOND, format_instant

LONGER_THAN_THE_DRAIN = "90d"
LONG_DRAIN = "60d"  # longer than any promise of random rules makes a key wait


def rules_for(seed: int, rests: bool, is_calm: bool) -> dict[str, Any]:
    """Random rules: under which all comes to rest at the end, and all is remembered so long."""
    rules = random_rules(seed)
    if rests:
        rules["settings"] = {**rules["settings"], "drain": LONG_DRAIN}
    if is_calm:
        rules["settings"]["dedupe_window"] = LONGER_THAN_THE_DRAIN
    return rules


def wild(seed: int, size: int, rules: Mapping[str, Any]) -> list[bytes]:
    """Whatever may come in."""
    return generate(seed, size, channels=list(rules["channels"]), shape=Shape(jump=0.0))


def calm(seed: int, size: int, rules: Mapping[str, Any]) -> list[bytes]:
    """Receipts, strict reservations and their steps, in order of time and where they were made.

    No goods leave, nothing is forced, counted or sent again. A reservation without a location has
    no channel either: claims on channels whose locations overlap may add up to more than is there.
    """
    return _Calm(random.Random(seed), list(rules["channels"])).lines(size)


class _Calm:
    def __init__(self, chance: random.Random, channels: Sequence[str]) -> None:
        self.chance = chance
        self.channels = channels
        self.number = 0
        self.now = START
        self.open: list[dict[str, Any]] = []

    def lines(self, size: int) -> list[bytes]:
        return [self._next() for _ in range(size)]

    def _next(self) -> bytes:
        chance = self.chance
        self.number += 1
        self.now += chance.choice((0, SECOND, SECOND // 4, 7 * SECOND, MINUTE))
        kind = chance.choice(("receipt", "reserve", "reserve", "reserve", "step"))
        told: dict[str, Any] = {"type": kind, "sku": chance.choice(DEFAULT_SKUS)}
        if kind == "step" and self.open:
            told = self._step(chance.choice(self.open))
        elif kind == "reserve":
            told |= self._reserve()
            self.open.append(told)
        else:
            place = chance.choice(DEFAULT_LOCATIONS)
            told |= {"type": "receipt", "location": place, "quantity": chance.randint(1, 9)}
        identity = {"id": f"c-{self.number}", "source": "calm"}
        return json.dumps({**identity, **told, "occurred_at": format_instant(self.now)}).encode()

    def _reserve(self) -> dict[str, Any]:
        chance = self.chance
        told: dict[str, Any] = {"reservation": f"r-{self.number}", "quantity": chance.randint(1, 6)}
        if chance.random() < 0.6:
            told["location"] = chance.choice(DEFAULT_LOCATIONS)
            if chance.random() < 0.5:
                told["channel"] = chance.choice(self.channels)
        if chance.random() < 0.4:
            told["allow_partial"] = True
        if chance.random() < 0.5:
            lives = chance.choice((SECOND, 30 * SECOND, 5 * MINUTE))
            told["expires_at"] = format_instant(self.now + lives)
        return told

    def _step(self, reserve: Mapping[str, Any]) -> dict[str, Any]:
        """A step that does not fail even if the reservation was rejected or has ended."""
        told = {"sku": reserve["sku"], "reservation": reserve["reservation"]}
        return {**told, "type": self.chance.choice(("release", "confirm"))}
