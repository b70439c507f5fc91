"""The oracle tells every scenario as it was worked out by hand."""

import pytest

from tests.oracle import Oracle
from tests.oracle.scenarios import Scenario, differences, load_scenarios


def play(scenario: Scenario) -> Oracle:
    """The oracle after all steps of a scenario."""
    oracle = Oracle(scenario.rules, scenario.clock)
    for step in scenario.steps:
        if step.line is not None:
            oracle.feed(step.line, step.now)
        elif step.now is not None:
            oracle.advance(step.now)
    if scenario.finish:
        oracle.finish()
    return oracle


@pytest.mark.parametrize("scenario", load_scenarios(), ids=lambda scenario: str(scenario.name))
def test_the_oracle_tells_the_scenario_as_expected(scenario: Scenario) -> None:
    """Every expectation of the scenario holds for the oracle."""
    assert differences(scenario, play(scenario)) == []
