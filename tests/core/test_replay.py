"""Exceptions that are mended and taken again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.core.dead_letters import OPEN, REPLAYED
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line, time_of

RULE = {"name": "b", "buffer": {"units": 1}, "from": "2026-11-20T13:00:00Z"}


@pytest.fixture
def run(tmp_path: Path) -> EngineRun:
    """An engine that has taken a receipt, and refused a line that is no movement."""
    rules: dict[str, Any] = {"channels": {"web": {}}, "rules": [RULE]}
    run = EngineRun(rules_folder(rules, tmp_path))
    run.feed_all([movement_line("12:00:00 receipt A@L 10", 0), b"{"])
    return run


def replayed(run: EngineRun, line: bytes, accept_old: bool = False) -> tuple[str, str | None]:
    """The outcome and code of a replay of the first exception."""
    outcome = run.replay("x-00000001", line, accept_old)
    return outcome.outcome, None if outcome.refusal is None else outcome.refusal.code


def status(run: EngineRun) -> str:
    """What became of the first exception."""
    return run.view().exception("x-00000001").status


def test_a_mended_movement_is_applied_and_its_exception_closed(run: EngineRun) -> None:
    """It counts as received once more, and as what it became."""
    assert replayed(run, movement_line("12:00:01 sale A@L 3", 1)) == ("applied", None)
    assert status(run) == REPLAYED
    assert run.state("A", "L")["sellable"] == 7
    assert (run.counters()["received"], run.counters()["refused"]) == (3, 1)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[", "malformed"),
        (movement_line("19/12:00:00 expect A@L 0", 1), "invalid_field"),
        (movement_line("10/12:00:00 sale A@L 1", 1), "too_old"),
        (movement_line("10/12:00:00 count A@L 1", 1), "count_too_old"),
        (movement_line("12:00:00 receipt A@L 11", 0), "conflicting_duplicate"),
        (movement_line("12:00:00 reserve A@L 1 reservation=r", 7), "reservation_exists"),
        (
            json.dumps({**json.loads(movement_line("12:00:00 expect A@L 1", 1)),
                        "occurred_at": "2027-11-20T12:00:00Z"}).encode(),
            "future_dated",
        ),
    ],
)  # fmt: skip
def test_a_movement_that_is_refused_again_leaves_nothing_behind(
    run: EngineRun, line: bytes, code: str
) -> None:
    """No second exception, no outcome; the first exception stays open."""
    run.feed_all([movement_line("12:00:00 reserve A@L 1 reservation=r", 5)])
    before = run.counters()
    assert replayed(run, line) == ("refused", code)
    assert run.counters() == before
    assert status(run) == OPEN


def test_an_old_movement_is_taken_when_the_operator_says_so(run: EngineRun) -> None:
    """A count that is too old is not, since nobody knows what has moved since."""
    old = movement_line("10/12:00:00 sale A@L 1", 1)
    assert replayed(run, old, accept_old=True) == ("applied", None)
    assert run.state("A", "L")["sellable"] == 9
    count = movement_line("10/12:00:00 count A@L 1", 2)
    assert replayed(run, count, accept_old=True) == ("refused", "count_too_old")


def test_what_was_applied_meanwhile_is_a_duplicate(run: EngineRun) -> None:
    """The exception is closed all the same: its movement has had its effect."""
    assert replayed(run, movement_line("12:00:00 receipt A@L 10", 0)) == ("duplicate", None)
    assert status(run) == REPLAYED


def test_a_replay_that_takes_the_clock_past_a_rule_waits_for_the_commits_on_the_way(
    run: EngineRun,
) -> None:
    """The rule begins, the tick publishes under it, and then the movement is applied."""
    line = movement_line("13:00:00 sale A@L 1", 1)
    assert run.engine.replay(run.view().exception("x-00000001"), line, False, None) is None
    assert replayed(run, line) == ("applied", None)
    run.finish()
    told = [(each["available"], each["computed_at"][11:19]) for each in run.publications["web"]]
    assert told == [(10, "12:00:01"), (9, "13:00:00"), (8, "13:00:01")]
    assert run.exceptions[0]["first_seen"] == time_of("12:00:00")


def test_movements_may_be_taken_without_telling_their_outcomes(run: EngineRun) -> None:
    """A file replay needs the counts only."""
    lines = [
        b"{",
        movement_line("12:00:00 receipt A@L 10", 0),
        movement_line("12:00:05 sale A@L 1", 8),
    ]
    batch = run.engine.prepare(lines, lambda index: f"line {index}")
    assert run.engine.take(batch, 0) == 3
    figures = run.engine.standing.figures
    assert (figures.applied, figures.duplicate, figures.refused) == (2, 1, 2)


def test_a_dismissed_exception_is_kept_as_the_operator_left_it(run: EngineRun) -> None:
    """With the next commit."""
    letter = run.view().exception("x-00000001")
    letter.status, letter.note = "dismissed", "noise"
    run.engine.keep_letter(letter)
    run.restart()
    assert run.view().exception("x-00000001").note == "noise"
