"""What the book keeps in memory never differs from what the store would say."""

from __future__ import annotations

from pathlib import Path

from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line

RULES = {"settings": {"reservation_window": "1h", "dedupe_window": "1h"}, "channels": {"web": {}}}


def running(tmp_path: Path) -> EngineRun:
    """An engine by the event clock, with stock of one SKU."""
    run = EngineRun(rules_folder(RULES, tmp_path), looks_ahead=0.0)
    run.feed(movement_line("12:00:00 receipt A@L 40", 1))
    return run


def test_the_last_movements_are_remembered_however_many_came(tmp_path: Path) -> None:
    """A SKU that sells much between two commits keeps its newest four."""
    run = running(tmp_path)
    run.longest_batch = 30
    run.feed_all(
        [movement_line(f"12:00:{second:02} sale A@L 1", 2 + second) for second in range(30)]
    )
    trail = run.engine.parts.book.sku("A").record.trail
    assert [trace[1] for trace in trail] == ["m28", "m29", "m30", "m31"]


def test_a_reservation_that_is_forgotten_may_be_made_again(tmp_path: Path) -> None:
    """Asking for it does not keep it, and its record goes when its time has come."""
    run = running(tmp_path)
    run.feed(movement_line("12:30:01 reserve A@L 2 reservation=r", 2))
    run.feed(movement_line("12:30:02 release A 2 reservation=r", 3))
    run.feed(movement_line("13:00:00 receipt A@L 1", 4))  # what is too old is cleared each hour
    run.feed(movement_line("13:45:00 receipt A@L 1", 5))
    assert run.engine.reservation("A", "r") is None
    assert run.engine.reservation("A", "r") is None
    run.feed(movement_line("13:45:01 reserve A@L 3 reservation=r", 6))
    found = run.engine.reservation("A", "r")
    assert found is not None
    assert found.left == 3


def test_a_forgotten_reservation_leaves_no_record_behind(tmp_path: Path) -> None:
    """Also when somebody has asked for it in between."""
    run = running(tmp_path)
    run.feed(movement_line("12:30:01 reserve A@L 2 reservation=r", 2))
    run.feed(movement_line("12:30:02 release A 2 reservation=r", 3))
    run.feed(movement_line("13:00:00 receipt A@L 1", 4))  # what is too old is cleared each hour
    run.feed(movement_line("13:45:00 receipt A@L 1", 5))
    assert run.engine.reservation("A", "r") is None
    run.feed(movement_line("15:30:00 receipt A@L 1", 6))
    assert list(run.store.scan(b"R")) == []
