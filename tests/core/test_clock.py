"""The engine's clock only goes forward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.contracts.instants import parse_instant
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line, time_of


def at(text: str) -> int:
    """A short time as an instant."""
    return parse_instant(time_of(text))


def test_a_wall_clock_that_is_set_back_holds_everything_until_it_has_caught_up(
    tmp_path: Path,
) -> None:
    """Movements go on, nothing is published twice, and no tick lies before another."""
    rules: dict[str, Any] = {"channels": {"web": {"publish": {"min_interval": "5s"}}}}
    run = EngineRun(rules_folder(rules, tmp_path), "wall")
    run.feed(movement_line("12:00:10 receipt A@L 10", 1), at("12:00:10"))
    run.advance(at("12:00:12"))
    run.feed(movement_line("12:00:01 sale A@L 1", 2), at("12:00:01"))
    assert run.engine.clock == at("12:00:12")
    assert run.state("A", "L")["sellable"] == 9
    run.advance(at("12:00:11"))
    assert [told["available"] for told in run.publications["web"]] == [10]
    run.advance(at("12:00:20"))
    told = [(one["available"], one["computed_at"][11:19]) for one in run.publications["web"]]
    assert told == [(10, "12:00:11"), (9, "12:00:16")]
