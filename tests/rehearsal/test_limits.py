"""Limits: how they are written, and what exceeds them."""

from __future__ import annotations

import pytest

from engine.contracts.errors import UsageError
from engine.rehearsal.limits import BY_NAME, judge, parse_limits

SECOND = 1_000_000


def test_without_a_word_the_usual_limits_stand() -> None:
    """Nothing may be lost, urgent publications must not take long, and the load must fit."""
    limits = parse_limits([])
    assert limits["lost"] == 0
    assert limits["urgent-p99"] == 5 * SECOND
    assert limits["headroom"] == 1
    assert "oversells" not in limits


def test_limits_are_set_and_taken_away() -> None:
    """Times as durations, the others as numbers, and `none` for no limit."""
    limits = parse_limits(["urgent-p99=500ms", "oversells=3", "drain=none"])
    assert (limits["urgent-p99"], limits["oversells"]) == (SECOND // 2, 3)
    assert "drain" not in limits


@pytest.mark.parametrize("text", ["speed=9", "drain", "drain=", "drain=9", "lost=few", "lost=-1"])
def test_what_is_no_limit_is_refused_with_the_names_of_those_that_are(text: str) -> None:
    """A rehearsal that kept to nothing would be worth nothing."""
    with pytest.raises(UsageError) as error:
        parse_limits([text])
    assert all(name in str(error.value.advice) for name in BY_NAME)


def test_a_figure_holds_at_its_limit_and_not_beyond() -> None:
    """Headroom the other way round; what was not measured, or has no limit, is not judged."""
    limits = {"lost": 0.0, "headroom": 2.0, "urgent-p50": 2.0 * SECOND, "drain": 1.0 * SECOND}
    measured = {"lost": 0, "headroom": 1.9, "urgent-p50": 2.1 * SECOND, "backlog": 9}
    holds = {each.name: each.holds for each in judge(measured, limits)}
    assert (holds["lost"], holds["headroom"], holds["urgent-p50"]) == (True, False, False)
    assert (holds["drain"], holds["backlog"]) == (None, None)
