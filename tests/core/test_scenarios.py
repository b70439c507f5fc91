"""The engine tells every scenario as it was worked out by hand, whatever interrupts it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import Scenario, differences, load_scenarios

SCENARIOS = load_scenarios()


def play(scenario: Scenario, folder: Path, seed: int, restarts: float) -> EngineRun:
    """The engine after all steps of a scenario."""
    run = EngineRun(
        rules_folder(scenario.rules, folder), scenario.clock, random.Random(seed), restarts
    )
    for step in scenario.steps:
        if step.line is not None:
            run.feed(step.line, step.now if scenario.clock == "wall" else None)
        elif step.now is not None:
            run.advance(step.now)
    if scenario.finish:
        run.finish()
    return run


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_the_engine_tells_the_scenario_as_expected(scenario: Scenario, tmp_path: Path) -> None:
    """Every expectation holds for a run without any interruption."""
    assert differences(scenario, play(scenario, tmp_path, 0, restarts=0.0)) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_the_engine_tells_the_scenario_as_expected_when_it_restarts_after_every_commit(
    scenario: Scenario, tmp_path: Path
) -> None:
    """Every expectation holds when nothing but the store carries over from line to line."""
    assert differences(scenario, play(scenario, tmp_path, 1, restarts=1.0)) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_the_engine_tells_the_scenario_as_expected_when_it_restarts_now_and_then(
    scenario: Scenario, tmp_path: Path
) -> None:
    """Every expectation holds when memory and store take turns."""
    assert differences(scenario, play(scenario, tmp_path, 2, restarts=0.3)) == []
