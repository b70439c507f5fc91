"""What is worked out ahead of a tick is told on the tick, and only if it still holds then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contracts.availability import Availability
from engine.contracts.instants import SECOND, parse_instant
from engine.core.engine import Engine
from engine.rules.loader import load_rules
from engine.rules.relaying import relaying
from engine.stores.memory import MemoryStore
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line

TICK = parse_instant("2026-11-20T12:00:01Z")
EVERYTHING = 100  # SKUs, more than there are


def running(tmp_path: Path, channel: dict[str, Any] | None = None) -> EngineRun:
    """An engine by the wall clock that has taken a receipt half a second before the tick."""
    rules = {"channels": {"web": channel or {}}}
    run = EngineRun(rules_folder(rules, tmp_path), "wall", looks_ahead=0.0)
    run.feed(movement_line("12:00:00.4 receipt A@L 5", 1), TICK - SECOND // 2)
    return run


def told(run: EngineRun) -> list[tuple[str, int, int, str]]:
    """SKU, quantity, version and cause of what was told."""
    return [
        (line["sku"], line["available"], line["version"], line["cause"]["id"])
        for line in run.publications["web"]
    ]


def look_ahead(run: EngineRun, most: int = EVERYTHING) -> bool:
    """Let the engine look ahead from where its clock stands."""
    assert run.engine.clock is not None
    return run.engine.look_ahead(run.engine.clock, (SECOND,), most)


def stored(run: EngineRun) -> dict[bytes, bytes]:
    """All that the store holds."""
    return dict(run.store.scan(b""))


def test_nothing_is_told_before_its_tick(tmp_path: Path) -> None:
    """However early it is worked out; the tick then tells it."""
    run = running(tmp_path)
    look_ahead(run)
    run.advance(TICK - 1)
    assert told(run) == []
    run.advance(TICK)
    assert told(run) == [("A", 5, 1, "m1")]
    assert run.publications["web"][0]["computed_at"] == "2026-11-20T12:00:01Z"


def test_a_movement_that_comes_meanwhile_counts(tmp_path: Path) -> None:
    """The number is that of the tick, not of when it was worked out, and so is its cause."""
    run = running(tmp_path)
    look_ahead(run)
    run.feed(movement_line("12:00:00.9 sale A@L 2", 2), TICK - SECOND // 10)
    run.advance(TICK)
    assert told(run) == [("A", 3, 1, "m2")]


def test_what_comes_back_to_what_was_told_is_not_told(tmp_path: Path) -> None:
    """Nothing is published that equals the last publication, whatever was worked out between."""
    run = running(tmp_path)
    run.advance(TICK)
    run.feed(movement_line("12:00:01.2 sale A@L 2", 2), TICK + SECOND // 5)
    look_ahead(run)
    run.feed(movement_line("12:00:01.4 return A@L 2", 3), TICK + SECOND // 2)
    run.advance(TICK + SECOND)
    assert told(run) == [("A", 5, 1, "m1")]


def test_what_was_worked_out_for_a_tick_that_nothing_came_of_is_forgotten(tmp_path: Path) -> None:
    """A tick that the clock jumps over, or a change of rules, starts anew."""
    run = running(tmp_path)
    look_ahead(run)
    run.change_rules({"channels": {"web": {}}, "rules": [{"name": "two", "buffer": {"units": 2}}]})
    run.advance(TICK)
    assert [line[1] for line in told(run)] == [3]


def test_versions_go_on_where_they_were(tmp_path: Path) -> None:
    """Of a key that was told before, the next version is told."""
    run = running(tmp_path)
    run.advance(TICK)
    run.feed(movement_line("12:00:01.2 sale A@L 5", 2), TICK + SECOND // 5)
    look_ahead(run)
    run.advance(TICK + SECOND)
    assert told(run) == [("A", 5, 1, "m1"), ("A", 0, 2, "m2")]


def test_what_is_held_back_is_held_back_all_the_same(tmp_path: Path) -> None:
    """Looking ahead is for what nothing holds back; an interval holds on, and then ends."""
    run = running(tmp_path, {"publish": {"min_interval": "3s"}})
    look_ahead(run)
    run.advance(TICK)
    for second in range(1, 5):
        run.feed(movement_line(f"12:00:0{second}.2 sale A@L 1", second + 1), TICK + second * SECOND)
        look_ahead(run)
    run.advance(TICK + 6 * SECOND)
    assert [line[:3] for line in told(run)] == [("A", 5, 1), ("A", 3, 2), ("A", 1, 3)]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_is_worked_out_a_part_at_a_time(most: int, tmp_path: Path) -> None:
    """So that whoever waits for the engine waits some milliseconds only."""
    run = running(tmp_path)
    run.feed(movement_line("12:00:00.5 receipt B@L 6", 2))
    run.feed(movement_line("12:00:00.5 receipt C@L 7", 3))
    left = 0
    while look_ahead(run, most):
        left += 1
    assert left == {1: 2, 2: 1, 3: 0}[most]
    run.advance(TICK)
    assert sorted(told(run)) == [("A", 5, 1, "m1"), ("B", 6, 1, "m2"), ("C", 7, 1, "m3")]


def test_it_begins_shortly_before_the_tick_only(tmp_path: Path) -> None:
    """What is worked out too early would be touched again, and be done twice."""
    run = running(tmp_path)
    clock = run.engine.clock
    assert clock is not None
    assert not run.engine.look_ahead(clock, (SECOND // 4,), 0)
    assert run.engine.look_ahead(clock, (SECOND // 2,), 0)


def test_a_later_round_works_out_anew_what_was_touched_since(tmp_path: Path) -> None:
    """And nothing else: what still holds is passed over, however often somebody looks."""
    run = running(tmp_path)
    run.feed(movement_line("12:00:00.5 receipt B@L 6", 2))
    begin = (SECOND, SECOND // 5)
    assert not run.engine.look_ahead(TICK - SECOND // 2, begin, EVERYTHING)
    run.feed(movement_line("12:00:00.9 sale B@L 2", 3), TICK - SECOND // 10)
    assert not run.engine.look_ahead(TICK - SECOND // 4, begin, 1), "the round is at its end"
    assert not run.engine.look_ahead(TICK - SECOND // 10, begin, 1), "A was passed over"
    run.advance(TICK)
    assert sorted(told(run)) == [("A", 5, 1, "m1"), ("B", 4, 1, "m3")]


def test_nobody_looks_ahead_where_values_are_passed_on_to_another(tmp_path: Path) -> None:
    """A ledger worker's quantities carry since when they differ; they are not lines yet."""
    rules = relaying(load_rules(rules_folder({"channels": {"web": {}}}, tmp_path)))
    engine = Engine(MemoryStore(), rules, "wall")
    engine.advance(TICK - SECOND // 2)
    lines = [movement_line("12:00:00.4 receipt A@L 5", 1)]
    engine.take(engine.prepare(lines, str), 0)
    assert not engine.look_ahead(TICK - SECOND // 4, (SECOND,), 0)
    engine.advance(TICK)
    (outlet,) = engine.parts.publisher.outlets
    assert [type(record) for record in outlet.records] == [Availability]


def test_a_sku_that_only_a_rejected_reservation_named_is_told_nothing(tmp_path: Path) -> None:
    """It does not exist for a channel before a movement of it is applied."""
    run = running(tmp_path)
    run.advance(TICK)
    run.feed(movement_line("12:00:01.2 reserve B@L 5 reservation=r", 2), TICK + SECOND // 5)
    look_ahead(run)
    run.advance(TICK + SECOND)
    assert [line[0] for line in told(run)] == ["A"]


@pytest.mark.parametrize("granularity", ["sku", "location"])
def test_what_is_stored_does_not_tell_whether_somebody_looked(
    granularity: str, tmp_path: Path
) -> None:
    """A commit between the look and the tick, and the tick's, store what they store without it."""
    runs = [running(tmp_path / name, {"granularity": granularity}) for name in ("one", "other")]
    look_ahead(runs[0])
    for now in (TICK - SECOND // 10, TICK):
        for run in runs:
            run.feed(movement_line("12:00:00.9 sale A@L 2", now), now)
        assert stored(runs[0]) == stored(runs[1])
        look_ahead(runs[0])


def test_a_sku_is_not_summed_under_new_rules_before_its_tick(tmp_path: Path) -> None:
    """Nor does what is stored tell that somebody looked after the rules had changed."""
    two_less = {"channels": {"web": {}}, "rules": [{"name": "two", "buffer": {"units": 2}}]}
    runs = [running(tmp_path / name) for name in ("one", "other")]
    for run in runs:
        run.change_rules(two_less)
    look_ahead(runs[0])
    for now in (TICK - SECOND // 10, TICK):
        for run in runs:
            run.feed(movement_line("12:00:00.9 sale B@L 2", now), now)
        assert stored(runs[0]) == stored(runs[1])
    assert [line[:2] for line in told(runs[0])] == [("A", 3), ("B", 0)]
