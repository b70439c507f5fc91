"""Every worked example of docs/concepts.md is true, for the engine and for the oracle."""

import random
from pathlib import Path

import pytest

from tests.core.harness import EngineRun
from tests.oracle import Oracle, write_rules_folder
from tests.oracle.scenarios import Scenario, differences, load_scenarios

EXAMPLES = load_scenarios(Path(__file__).parent / "concepts")


def play(scenario: Scenario, player: Oracle | EngineRun) -> list[str]:
    """Plays an example; returns what is not as the page tells it."""
    for step in scenario.steps:
        if step.line is not None:
            player.feed(step.line, step.now)
    player.finish()
    return differences(scenario, player)


@pytest.mark.parametrize("scenario", EXAMPLES, ids=lambda scenario: str(scenario.name))
def test_an_example_is_what_the_oracle_tells(scenario: Scenario) -> None:
    """Every number of the page is the model's."""
    assert play(scenario, Oracle(scenario.rules, scenario.clock)) == []


@pytest.mark.parametrize("scenario", EXAMPLES, ids=lambda scenario: str(scenario.name))
def test_an_example_is_what_the_engine_does(scenario: Scenario, tmp_path: Path) -> None:
    """Every number of the page is the engine's, with restarts between the movements."""
    write_rules_folder(scenario.rules, tmp_path)
    engine = EngineRun(tmp_path, scenario.clock, random.Random(1), restarts=0.3)
    assert play(scenario, engine) == []
