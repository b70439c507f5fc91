"""Windows that become longer or shorter: what was forgotten is never taken for what never was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contracts.instants import format_instant
from engine.ledger import counts, identities
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line

SHORT, LONG = {"1h": 3_600, "72h": 259_200}.items()


def rules(**windows: str) -> dict[str, Any]:
    """One channel, and windows that differ from their defaults."""
    return {"channels": {"web": {}}, "settings": windows}


@pytest.fixture(params=["while it runs", "at a restart"])
def change(request: pytest.FixtureRequest) -> Any:
    """Puts other rules in force, in one way or the other."""
    return EngineRun.change_rules if request.param == "while it runs" else EngineRun.restart


def tell(run: EngineRun, *story: str) -> list[str]:
    """Feed movements, and return their outcomes, those that are refused by their codes."""
    first = len(run.raw_outcomes)
    run.feed_all([movement_line(text, run.taken + place) for place, text in enumerate(story)])
    fresh = run.raw_outcomes[first:]
    return [one.refusal.code if one.refusal else one.outcome for one in fresh]


def sold(run: EngineRun, first_hour: int, last_hour: int) -> None:
    """A sale every ten minutes, more of them than a key remembers in one record."""
    tell(
        run,
        *(
            f"{hour:02d}:{minute:02d}:00 sale A@L 1"
            for hour in range(first_hour, last_hour)
            for minute in range(0, 60, 10)
        ),
    )


def test_a_count_from_before_a_shorter_window_is_refused_though_the_window_is_long_now(
    tmp_path: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The movements since are not all remembered: nobody can say what the book would be."""
    monkeypatch.setattr(counts, "RECENT_LENGTH", 16)
    run = EngineRun(rules_folder(rules(count_window="1h"), tmp_path))
    tell(run, "00:00:00 receipt A@L 1000")
    sold(run, 1, 12)
    change(run, rules(count_window="72h"))
    assert tell(run, "02:00:00 count A@L 500") == ["count_too_old"]
    assert "a shorter count_window" in run.topics["exceptions"][-1]["message"]
    assert tell(run, "11:00:00 count A@L 500") == ["applied"]
    assert run.state("A", "L")["sellable"] == 495
    tell(run, "11:50:00 expect B@L 1")
    assert tell(run, "10:50:00 count B@L 7") == ["applied"]


def test_an_observation_from_before_a_shorter_window_is_refused_too(
    tmp_path: Path, change: Any
) -> None:
    """What the book was then is not known."""
    run = EngineRun(rules_folder(rules(count_window="1h", dedupe_window="1h"), tmp_path))
    tell(run, "00:00:00 receipt A@L 10", "05:00:00 sale A@L 1")
    change(run, rules(count_window="72h", dedupe_window="1h"))
    codes = []
    for hour in (1, 4):
        line = (
            b'{"source":"wms","sku":"A","location":"L","disposition":"sellable","quantity":10,'
            b'"observed_at":"2026-11-20T0%d:00:00Z"}' % hour
        )
        (told,) = run.observe(line)
        codes.append(told.code or told.outcome)
    assert codes == ["count_too_old", "agrees"]
    change(run, rules(count_window="72h"))
    line = line.replace(b"T04:", b"T03:")
    (told,) = run.observe(line)
    assert told.code == "count_too_old"


def test_what_was_seen_before_a_shorter_window_is_never_applied_again(
    tmp_path: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its identity may be forgotten: it is refused, and an operator may replay it."""
    monkeypatch.setattr(identities, "SEAL_AT", 4)
    run = EngineRun(rules_folder(rules(dedupe_window="1h"), tmp_path))
    line = movement_line("00:00:00 receipt A@L 1000", 0)
    run.feed_all([line])
    sold(run, 1, 12)
    change(run, rules(dedupe_window="72h"))
    before = len(run.raw_outcomes)
    run.feed_all([line])
    (again,) = run.raw_outcomes[before:]
    assert again.refusal is not None
    assert again.refusal.code == "too_old"
    assert "a shorter dedupe_window" in again.refusal.message
    (letter,) = [one for one in run.topics["exceptions"] if one["code"] == "too_old"]
    assert run.replay(letter["exception"], line, accept_old=True).outcome == "applied"


def test_what_a_shorter_window_let_go_comes_of_age(tmp_path: Path, change: Any) -> None:
    """Since it was made longer everything is remembered; a change of other settings is none."""
    run = EngineRun(rules_folder(rules(count_window="1h"), tmp_path))
    tell(run, "00:00:00 receipt A@L 10", "06:00:00 sale A@L 1")
    change(run, rules(count_window="72h"))
    change(run, rules(count_window="72h", publish_tick="2s"))
    at = run.engine.standing.counts_from
    assert format_instant(at) == "2026-11-20T05:00:00Z"
    assert tell(run, "12:00:00 sale A@L 1", "05:00:00 count A@L 5") == ["applied", "applied"]
    assert run.state("A", "L")["sellable"] == 3
    change(run, rules(count_window="24h"))
    assert run.engine.standing.counts_from == at
