"""The search for headroom closes in on where the load holds no more."""

from __future__ import annotations

import math

import pytest

from engine.rehearsal.headroom import CLOSE_ENOUGH, MOST_TRIALS, search
from engine.rehearsal.result import Headroom, Trial


def searched(most: float, cpu: float | None) -> Headroom:
    """A search with an engine that holds up to so many times the load."""

    def trial_of(times: float) -> Trial:
        return Trial(times, times, None, None, times <= most, "" if times <= most else "too much")

    return search(trial_of, cpu)


@pytest.mark.parametrize("cpu", [None, 0.02, 0.3, 5.0])
@pytest.mark.parametrize("most", [0.6, 3.0, 17.0, 40.0])
def test_it_finds_about_what_holds(most: float, cpu: float | None) -> None:
    """Wherever it begins: never more than what held, and within a few tries."""
    found = searched(most, cpu)
    failed = min((each.times for each in found.trials if not each.holds), default=math.inf)
    assert found.times <= most < failed
    assert found.open == (failed == math.inf)
    assert len(found.trials) <= MOST_TRIALS
    assert len(found.trials) == MOST_TRIALS or failed <= found.times * CLOSE_ENOUGH * 1.01


def test_what_always_holds_is_open() -> None:
    """It does not go on for ever."""
    found = searched(1e9, 0.01)
    assert found.open
    assert found.times == 1_000


def test_what_never_holds_has_none() -> None:
    """Not even a small part of the load."""
    found = searched(0.0, None)
    assert (found.times, found.open) == (0, False)
