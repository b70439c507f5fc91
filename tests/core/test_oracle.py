"""The engine agrees with the oracle, and with itself however it was interrupted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engine.core import timeline
from tests.core.agreement import differences_between, differences_from_oracle
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Oracle, Shape, generate, generate_timed, random_rules
from tests.oracle.promises import broken_promises

NASTY = Shape(
    malformed=0.04, skewed=0.03, conflicting=0.03, very_late=0.05, jump=0.02, duplicate=0.1
)
MANY_SKUS = [f"S{number:02d}" for number in range(60)]


def replayed(
    folder: Path,
    lines: list[bytes],
    seed: int = 0,
    restarts: float = 0.0,
    longest_batch: int = 10_000,
) -> EngineRun:
    """A whole run by the event clock."""
    run = EngineRun(folder, "event", random.Random(seed), restarts, longest_batch)
    run.feed_all(lines)
    run.finish()
    return run


@pytest.mark.parametrize("seed", range(40))
def test_a_random_stream_under_random_rules_gives_what_the_oracle_tells(
    seed: int, tmp_path: Path
) -> None:
    """With the event clock, batches cut and engines restarted at random, everything is equal."""
    rules = random_rules(seed)
    lines = generate(seed, 200, channels=list(rules["channels"]))
    oracle = Oracle(rules)
    for line in lines:
        oracle.feed(line)
    oracle.finish()
    run = replayed(rules_folder(rules, tmp_path), lines, seed, restarts=0.1, longest_batch=7)
    assert differences_from_oracle(oracle, run, rules) == []
    assert broken_promises(rules, run) == []


@pytest.mark.parametrize("seed", range(100, 110))
def test_a_nasty_stream_gives_what_the_oracle_tells(seed: int, tmp_path: Path) -> None:
    """Much that is refused, sent again, late, early or skewed: still everything is equal."""
    rules = random_rules(seed)
    lines = generate(seed, 200, channels=list(rules["channels"]), shape=NASTY)
    oracle = Oracle(rules)
    for line in lines:
        oracle.feed(line)
    oracle.finish()
    run = replayed(rules_folder(rules, tmp_path), lines, seed, restarts=0.1, longest_batch=7)
    assert differences_from_oracle(oracle, run, rules) == []


@pytest.mark.parametrize("seed", range(15))
def test_a_random_stream_by_the_wall_clock_gives_what_the_oracle_tells(
    seed: int, tmp_path: Path
) -> None:
    """Fed at its times of arrival, with restarts at random, everything is equal."""
    rules = random_rules(seed)
    oracle = Oracle(rules, "wall")
    run = EngineRun(rules_folder(rules, tmp_path), "wall", random.Random(seed), restarts=0.1)
    for arrival, line in generate_timed(seed, 100, channels=list(rules["channels"])):
        oracle.feed(line, arrival)
        run.feed(line, arrival)
    oracle.finish()
    run.finish()
    assert differences_from_oracle(oracle, run, rules) == []


@pytest.mark.parametrize("seed", range(60))
def test_neither_batches_nor_restarts_change_any_record(seed: int, tmp_path: Path) -> None:
    """One batch without a restart gives, record by record, what small ones with restarts give."""
    rules = random_rules(seed)
    lines = generate(seed, 150, channels=list(rules["channels"]))
    rules_folder(rules, tmp_path)
    whole = replayed(tmp_path, lines)
    cut = replayed(tmp_path, lines, seed, restarts=0.4, longest_batch=6)
    assert differences_between(whole, cut) == []


@pytest.mark.parametrize("seed", [*range(10), 108, 111])
def test_neither_batches_nor_restarts_change_what_a_long_sweep_finds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules begin and end while new SKUs come, and only two SKUs at once are looked at again."""
    monkeypatch.setattr(timeline, "SWEEP_SKUS", 2)
    rules: dict[str, Any] = random_rules(seed, skus=MANY_SKUS)
    lines = generate(seed, 200, skus=MANY_SKUS, channels=list(rules["channels"]))
    rules_folder(rules, tmp_path)
    whole = replayed(tmp_path, lines)
    cut = replayed(tmp_path, lines, seed, restarts=0.4, longest_batch=6)
    assert differences_between(whole, cut) == []
    oracle = Oracle(rules)
    for line in lines:
        oracle.feed(line)
    oracle.finish()
    assert differences_from_oracle(oracle, cut, rules) == []
    assert broken_promises(rules, cut) == []
