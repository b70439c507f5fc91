"""Many callers want the last units of one SKU, and the engine is killed while they do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.api.killable import Callers, KillableEngine
from tests.api.service_under_test import movement
from tests.api.wire import Wire

CLIENTS: Final = 64
UNITS: Final = 100
SEEDS: Final = 50
PLENTY: Final = 1_000_000


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableEngine]:
    """An engine that outlives its deaths."""
    made = KillableEngine(tmp_path_factory.mktemp("engine"))
    made.start()
    yield made
    made.kill()


@dataclass
class Run:
    """One seed: who asked for what, and what each was told in the end."""

    seed: int
    engine: KillableEngine
    kills: bool
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.sku, self.other = f"LAST-{self.seed}", f"PLENTY-{self.seed}"
        self.killed_after = self.chance.randrange(1, 120) if self.kills else -1
        self.callers = Callers(self.engine)

    async def play(self) -> None:
        """Let all clients ask until nothing is left."""
        wire = Wire(self.engine.port)
        stock = [
            movement("receipt", self.sku, location="DC", quantity=UNITS),
            movement("receipt", self.other, location="DC", quantity=PLENTY),
        ]
        status, _ = await wire.ask("POST", "/v1/movements", stock)
        assert status == 200
        wire.close()
        self.callers.begin()
        await asyncio.gather(*(self.client(number) for number in range(CLIENTS)))

    async def client(self, number: int) -> None:
        """Reserve unit after unit, each as often as its answer does not come."""
        wire = Wire(self.engine.port)
        for basket in range(UNITS):
            name = f"{self.seed}-{number}-{basket}"
            status = await self.reserve(wire, name)
            if status == 409:
                break
        wire.close()

    async def reserve(self, wire: Wire, name: str) -> int:
        """Reserve one unit, alone or together with something else."""
        body: dict[str, Any] = {"reservation": name, "sku": self.sku, "quantity": 1}
        if hash(name) % 3 == 0:
            lines = [{"sku": sku, "quantity": 1} for sku in (self.other, self.sku)]
            body = {"reservation": name, "lines": lines}
        answer = self.answers[name] = await self.callers.ask(wire, "/v1/reservations", body, name)
        if len(self.answers) == self.killed_after:
            self.callers.restart()
        return answer[0]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_of_the_last_units_exactly_those_are_taken_and_every_caller_is_told_the_truth(
    engine: KillableEngine, seed: int
) -> None:
    """64 callers, 100 units, every second time a kill -9 in the middle: none sold twice or lost."""
    run = Run(seed, engine, kills=seed % 2 == 1)
    asyncio.run(run.play())
    taken = {name for name, (status, _) in run.answers.items() if status == 201}
    assert {status for status, _ in run.answers.values()} == {201, 409}
    assert len(taken) == UNITS
    asyncio.run(check_truth(run, taken))
    told = Counter(
        (one["reservation"], one["outcome"])
        for one in engine.told("reservations.decisions")
        if one["sku"] == run.sku
    )
    assert set(told.values()) == {1}
    assert {name for name, outcome in told if outcome == "accepted"} == taken


async def check_truth(run: Run, taken: set[str]) -> None:
    """Ask the engine how it stands, and every caller's key again."""
    wire = Wire(run.engine.port)
    _, stock = await wire.ask("GET", f"/v1/stock/{run.sku}")
    assert stock["unallocated_reserved"] == UNITS
    assert stock["locations"][0]["sellable"] == UNITS
    _, other = await wire.ask("GET", f"/v1/stock/{run.other}")
    together = [name for name in taken if len(run.answers[name][1]["lines"]) > 1]
    assert other["unallocated_reserved"] == len(together)
    for name in run.chance.sample(sorted(run.answers), 10):
        status, state = await wire.ask("GET", f"/v1/reservations/{run.sku}/{name}")
        assert status == 200
        assert (state["status"], state["quantity"]) == (
            ("open", 1) if name in taken else ("ended", 0)
        )
    wire.close()
