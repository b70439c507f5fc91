"""What the engine foresees of a reserve is what it then decides."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from engine.contracts.movements import Movement
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Shape, generate, generate_timed, random_rules
from tests.oracle.scenarios import movement_line

CONFLICTING = Shape(conflicting=0.1, duplicate=0.2)


def foreseen(run: EngineRun, line: bytes) -> tuple[str, int] | None:
    """What the engine foresees of a line that is a reserve."""
    movement = run.engine.prepare([line], lambda _: "test").movements[0]
    if not isinstance(movement, Movement) or movement.type != "reserve":
        return None
    told = run.engine.foresee(movement)
    return told.outcome, told.quantity


def came(run: EngineRun, decisions: int) -> tuple[str, int]:
    """What came of the last line: the first decision since then, or its outcome."""
    outcome = run.raw_outcomes[-1].outcome
    if outcome in ("duplicate", "refused"):
        return outcome, 0
    decision = run.decisions[decisions]
    return decision["outcome"], decision["quantity"]


@pytest.mark.parametrize("seed", range(20))
def test_a_reserve_comes_to_what_was_foreseen(seed: int, tmp_path: Path) -> None:
    """Under random rules, by the wall clock, with early steps, claims, duplicates and conflicts."""
    rules = random_rules(seed)
    run = EngineRun(rules_folder(rules, tmp_path), "wall", random.Random(seed), restarts=0.05)
    seen = 0
    for arrival, line in generate_timed(
        seed, 150, channels=list(rules["channels"]), shape=CONFLICTING
    ):
        run.advance(arrival)
        expected = foreseen(run, line)
        decisions = len(run.decisions)
        run.feed(line)
        if expected is not None:
            assert came(run, decisions) == expected, line
            seen += 1
    assert seen > 5


def test_foreseeing_changes_nothing(tmp_path: Path) -> None:
    """A run in which every line is foreseen first gives the records of one without."""
    rules = random_rules(3)
    rules_folder(rules, tmp_path)
    lines = generate(3, 150, channels=list(rules["channels"]))
    plain, asked = (EngineRun(tmp_path, "event") for _ in range(2))
    for line in lines:
        plain.feed(line)
        foreseen(asked, line)
        asked.feed(line)
    plain.finish()
    asked.finish()
    assert asked.topics == plain.topics
    assert asked.counters() == plain.counters()


def test_asking_for_reservations_that_are_not_there_leaves_nothing_in_memory(
    tmp_path: Path,
) -> None:
    """The same SKU may be asked for any number of names."""
    run = EngineRun(rules_folder({"channels": {"web": {}}}, tmp_path), "event")
    reserve = {"id": "1", "source": "t", "type": "reserve", "sku": "A", "quantity": 1}
    told = {**reserve, "reservation": "r", "policy": "force", "occurred_at": "2026-11-20T09:00:00Z"}
    run.feed(msgspec.json.encode(told))
    for number in range(50):
        assert run.engine.reservation("A", f"missing-{number}") is None
    found = run.engine.reservation("A", "r")
    assert found is not None
    assert found.left == 1
    assert set(run.engine.parts.book.sku("A").reservations) == {"r"}


def test_what_was_told_since_the_last_commit_is_seen_before_the_next(tmp_path: Path) -> None:
    """Decisions and exceptions, so that an answer can carry them."""
    run = EngineRun(rules_folder({"channels": {"web": {}}}, tmp_path))
    line = movement_line("12:00:00 reserve A@L 1 reservation=r policy=force", 1)
    run.engine.take(run.engine.prepare([line, b"{"], str), 0)
    told = run.engine.told()
    assert [one.outcome for one in told.decisions] == ["accepted"]
    assert [one.code for one in told.exceptions] == ["oversold", "malformed"]
    run.finish()
    assert run.engine.told() == ([], [])
