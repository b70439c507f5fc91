"""Observations while the engine is killed: each is compared once, and told once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.api.killable import Callers, KillableEngine
from tests.api.service_under_test import movement, now
from tests.api.wire import Wire

SKUS: Final = 8
SOURCES: Final = 25
UNITS: Final = 10
KILLS: Final = 3
KILLED_AFTER_SECONDS: Final = 0.001

Outcomes = dict[tuple[str, str], list[dict[str, Any]]]


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableEngine]:
    """An engine that outlives its deaths."""
    made = KillableEngine(tmp_path_factory.mktemp("engine"))
    made.start()
    yield made
    made.kill()


class Observers:
    """Many systems that observe every SKU."""

    def __init__(self, engine: KillableEngine, seed: int) -> None:
        self.engine = engine
        self.callers = Callers(engine)
        self.skus = [f"SKU-{number}" for number in range(SKUS)]
        chance = random.Random(seed)
        self.kills = sorted(chance.sample(range(1, SKUS * SOURCES), KILLS))
        self.answers: Outcomes = {}
        self.observed = 0

    async def play(self) -> None:
        """Let all of them observe one unit less than there is."""
        wire = Wire(self.engine.port)
        stock = [movement("receipt", sku, location="DC", quantity=UNITS) for sku in self.skus]
        status, _ = await wire.ask("POST", "/v1/movements", stock)
        assert status == 200
        wire.close()
        self.callers.begin()
        await asyncio.gather(*(self.observe_all(f"system-{n}") for n in range(SOURCES)))

    async def observe_all(self, source: str) -> None:
        """Observe SKU after SKU."""
        wire = Wire(self.engine.port)
        for sku in self.skus:
            fields = {"source": source, "sku": sku, "location": "DC", "quantity": UNITS - 1}
            outcome = await self.observe(wire, {**fields, "observed_at": now()})
            self.answers.setdefault((source, sku), []).append(outcome)
        wire.close()

    async def observe(self, wire: Wire, observation: dict[str, Any]) -> dict[str, Any]:
        """Send it until there is an answer; now and then the engine is killed before that."""
        self.observed += 1
        if self.kills and self.observed > self.kills[0]:
            self.kills.pop(0)
            asyncio.get_running_loop().call_later(KILLED_AFTER_SECONDS, self.callers.restart)
        status, told = await self.callers.ask(wire, "/v1/observations", [observation])
        assert status == 200
        outcome: dict[str, Any] = told["outcomes"][0]
        return outcome


@pytest.mark.parametrize("seed", range(4))
def test_a_finding_is_told_once_whenever_the_engine_is_killed(
    engine: KillableEngine, seed: int
) -> None:
    """Whoever was not answered sends it again: it is a duplicate if it was taken already."""
    observers = Observers(engine, seed)
    asyncio.run(observers.play())
    assert not observers.kills
    outcomes = Counter(one["outcome"] for [one] in observers.answers.values())
    assert outcomes.total() == SKUS * SOURCES
    assert set(outcomes) <= {"differs", "duplicate"}
    told = Counter((one["source"], one["sku"]) for one in engine.told("reconciliation.findings"))
    assert set(told) == set(observers.answers)
    assert set(told.values()) == {1}
