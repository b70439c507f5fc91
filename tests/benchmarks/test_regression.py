"""The regression benchmark tells a slower core from a busy machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import regression
from benchmarks.floor import Line
from benchmarks.inv1 import generate
from benchmarks.inv1_lines import Workload
from benchmarks.regression import Baseline, Measured, judge, measure
from benchmarks.rules import write_rules
from benchmarks.yardstick import Book
from engine.rules.loader import load_rules

BASELINE = Baseline(2.0, "3.11")
TINY = Workload(movements=500, skus=20, locations=2, rate=100)


@pytest.mark.parametrize(
    ("core", "yardstick", "says", "fails"),
    [
        ([2.1, 2.1, 2.2], [1.0, 1.0, 1.0], "no slower", False),
        ([2.1, 9.0, 9.0], [1.0, 1.0, 1.0], "no slower", False),
        ([4.2, 2.1, 8.4], [2.0, 1.0, 4.0], "no slower", False),
        ([2.5, 2.5, 2.6], [1.0, 1.0, 1.0], "slower, though the machine is quiet", False),
        ([2.5, 5.0, 5.0], [1.0, 2.0, 2.0], "too noisy to tell", False),
        ([1.5, 1.5, 1.5], [1.0, 1.0, 1.0], "faster", False),
        ([3.1, 6.2, 3.1], [1.0, 2.0, 1.0], "far slower", True),
    ],
)
def test_a_busy_machine_is_not_taken_for_a_slower_core(
    core: list[float], yardstick: list[float], says: str, fails: bool
) -> None:
    """Bad rounds say nothing, nor does a machine that slows both; a core far slower fails."""
    verdict = judge(Measured(core, yardstick), BASELINE, "3.11")
    assert says in verdict.says
    assert verdict.fails is fails


@pytest.mark.parametrize("baseline", [None, Baseline(0.1, "3.10")])
def test_without_a_baseline_of_this_python_nothing_is_compared(baseline: Baseline | None) -> None:
    """And it says so: another interpreter has another ratio."""
    verdict = judge(Measured([9.0], [1.0]), baseline, "3.11")
    assert "not compared" in verdict.says
    assert not verdict.fails


def test_a_baseline_is_read_as_it_was_stored(tmp_path: Path) -> None:
    """The one that is stored with the code can be read, too."""
    path = tmp_path / "regression.json"
    assert regression.read_baseline(path) is None
    regression.write_baseline(Measured([2.5, 2.25], [1.0, 1.0]), path)
    assert regression.read_baseline(path) == Baseline(2.25, regression.python_version())
    assert regression.read_baseline() is not None


def test_core_and_yardstick_are_timed_in_turn() -> None:
    """Once each in every round."""
    measured = measure(3, TINY)
    assert (len(measured.core), len(measured.yardstick)) == (3, 3)
    assert measured.noise >= 1


def test_the_core_that_is_timed_takes_every_line(tmp_path: Path) -> None:
    """Or the ratio would tell nothing."""
    made = generate(TINY)
    rules = load_rules(write_rules(tmp_path / "rules"))
    engine = regression.run_core(rules, Path(made.path).read_bytes().splitlines())
    assert engine.standing.figures.received == made.lines


def test_the_yardstick_counts_a_movement_once() -> None:
    """It is a real piece of work, of a fixed size."""
    book = Book()
    for _ in range(2):
        book.apply(Line("m-1", "pos-1", "sale", "A", "2026-11-27T10:00:00Z", "S-1", 2))
    assert book.keys["A", "S-1"].units == -2
    for number in range(2, 12):
        book.apply(Line(f"m-{number}", "wms", "receipt", "A", "2026-11-27T10:00:00Z", "S-1", 1))
    assert book.keys["A", "S-1"].units == 8
    assert len(book.keys["A", "S-1"].recent) <= 8
