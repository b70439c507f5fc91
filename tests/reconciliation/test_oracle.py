"""What the engine makes of observations is what the oracle makes of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.observations import Observation, decode_observation
from engine.reconciliation.comparing import finding_id
from tests.core.agreement import differences_between, differences_from_oracle
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Oracle, Shape, generate, generate_timed, random_rules
from tests.oracle.instants import DAY, HOUR, MINUTE, SECOND, format_instant

MANY_COUNTS = Shape(counts=0.2, late=0.5, duplicate=0.1)
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"adjust": ["shrink", "unknown"], "adjust_up_to": 1000},
    {"adjust": ["missed", "duplicate", "shrink", "unknown"], "tolerance": 1},
    {"in_flight": "0s", "tolerance_percent": 12.5, "adjust": ["shrink"], "adjust_up_to": 5},
    {"in_flight": "2h", "adjust": ["unknown"], "adjust_up_to": 1000},
)
DISPOSITIONS = ("sellable", "sellable", "inspecting", "damaged")


class Observers:
    """Systems that believe what the book says, or not quite, of random places and times."""

    def __init__(self, oracle: Oracle, seed: int) -> None:
        self._oracle = oracle
        self._chance = random.Random(seed)
        self._told: list[bytes] = []

    def next(self) -> bytes:
        """One observation: a new one, or one that came before, as it was or with a new number."""
        chance = self._chance
        if self._told and chance.random() < 0.1:
            line = chance.choice(self._told)
            if chance.random() < 0.5:
                told = json.loads(line)
                line = json.dumps({**told, "quantity": told["quantity"] + 1}).encode()
            return line
        line = json.dumps(self._new()).encode()
        self._told.append(line)
        return line

    def _new(self) -> dict[str, Any]:
        chance, world = self._chance, self._oracle.world
        places = sorted(world.book.versions) or [("A", "L")]
        sku, location = chance.choice(places)
        disposition = chance.choice(DISPOSITIONS)
        back = chance.choice((0, SECOND, MINUTE, HOUR, 3 * HOUR, 4 * DAY))
        at = (world.clock or 0) + chance.randint(-back, SECOND)
        place = (sku, location, disposition)
        expected = self._oracle.reconciliation.book_at(place, at)
        return {
            "source": chance.choice(("wms", "erp")),
            "sku": sku,
            "location": location if chance.random() < 0.95 else "nowhere-yet",
            "disposition": disposition,
            "quantity": expected + chance.choice(list(self._slips(place, at))),
            "observed_at": format_instant(at),
            **({"correlation_id": "walk-1"} if chance.random() < 0.2 else {}),
        }

    def _slips(self, place: tuple[str, str, str], at: int) -> Iterator[int]:
        """By how much another system may be wrong, or the book."""
        yield from (0, 0, 1, -1, 2, -2, 7, -7, -10_000)
        world = self._oracle.world
        for entry in world.book.history.get(place, ())[-6:]:
            if entry.kind == "moved":
                yield from (entry.quantity, -entry.quantity)
        yield -world.reservations.reserved(*place[:2])
        yield from (-one.left for one in world.reservations.open_ones(place[0]))
        yield from (units for (sku, _), units in world.book.incoming.items() if sku == place[0])


def rules_of(seed: int) -> dict[str, Any]:
    """Random rules with one of the policies."""
    rules = random_rules(seed)
    policy = POLICIES[seed % len(POLICIES)]
    return {**rules, "settings": {**rules["settings"], "reconciliation": policy}}


def name_of(line: bytes) -> str:
    """How the engine calls the finding of an observation."""
    observation = decode_observation(line)
    assert isinstance(observation, Observation)
    return finding_id(observation)


def disagreements(oracle: Oracle, run: EngineRun, rules: dict[str, Any]) -> list[str]:
    """Where findings or anything else differ."""
    mine, told = oracle.reconciliation.findings, run.findings
    found = [
        f"finding {place}: {one} or {other}"
        for place, (one, other) in enumerate(zip(mine, told, strict=False))
        if one != other
    ]
    if len(mine) != len(told):
        found.append(f"{len(mine)} findings or {len(told)}")
    return found + differences_from_oracle(oracle, run, rules)


@pytest.mark.parametrize("seed", range(40))
def test_random_observations_in_a_random_stream_come_to_what_the_oracle_tells(
    seed: int, tmp_path: Path
) -> None:
    """With the event clock, cut and restarted at random: findings and all that follows."""
    rules = rules_of(seed)
    oracle = Oracle(rules)
    observers = Observers(oracle, seed)
    run = EngineRun(rules_folder(rules, tmp_path), "event", random.Random(seed), restarts=0.1)
    for line in generate(seed, 120, channels=list(rules["channels"]), shape=MANY_COUNTS):
        oracle.feed(line)
        run.feed(line)
        for observation in (observers.next() for _ in range(run.chance.randint(0, 2))):
            told = oracle.observe(observation, name_of(observation))
            assert run.observe(observation)[0].outcome == told
    oracle.finish()
    run.finish()
    assert disagreements(oracle, run, rules) == []


@pytest.mark.parametrize("seed", range(10))
def test_random_observations_by_the_wall_clock_come_to_what_the_oracle_tells(
    seed: int, tmp_path: Path
) -> None:
    """Fed when they arrive, with restarts at random."""
    rules = rules_of(seed)
    oracle = Oracle(rules, "wall")
    observers = Observers(oracle, seed)
    run = EngineRun(rules_folder(rules, tmp_path), "wall", random.Random(seed), restarts=0.1)
    for arrival, line in generate_timed(seed, 80, channels=list(rules["channels"])):
        oracle.feed(line, arrival)
        run.feed(line, arrival)
        observation = observers.next()
        told = oracle.observe(observation, name_of(observation), arrival)
        assert run.observe(observation, now=arrival)[0].outcome == told
    oracle.finish()
    run.finish()
    assert disagreements(oracle, run, rules) == []


@pytest.mark.parametrize("seed", range(10))
def test_neither_batches_nor_restarts_change_any_finding(seed: int, tmp_path: Path) -> None:
    """The same stream in one piece and in many, with and without restarts."""
    rules = rules_of(seed)
    folder = rules_folder(rules, tmp_path)
    lines = generate(seed, 100, channels=list(rules["channels"]), shape=MANY_COUNTS)
    oracle = Oracle(rules)
    observers = Observers(oracle, seed)
    for line in lines:
        oracle.feed(line)
    observations = [observers.next() for _ in range(60)]
    runs = [
        EngineRun(folder, "event", random.Random(seed), restarts, longest_batch)
        for restarts, longest_batch in ((0.0, 1000), (0.4, 3))
    ]
    for run in runs:
        run.feed_all(lines[:50])
        run.observe(*observations[:30])
        run.feed_all(lines[50:])
    runs[0].observe(*observations[30:])
    for observation in observations[30:]:
        runs[1].observe(observation)
    for run in runs:
        run.finish()
    assert runs[0].findings
    assert differences_between(*runs) == []
