"""What is kept in memory, in which portions, changes no result."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engine.core import commit, faces, sums, timeline
from engine.ledger import book, counts, identities
from engine.postings import window
from tests.core.agreement import differences_from_oracle
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Oracle, Shape, generate, random_rules
from tests.oracle.scenarios import movement_line

MANY_COUNTS = Shape(counts=0.15, reservations=0.1, late=0.5, jump=0.005, duplicate=0.2)


def agrees_with_the_oracle(
    rules: dict[str, Any], lines: list[bytes], folder: Path, seed: int
) -> None:
    """Run the engine, cut and restarted at random, and compare it with the oracle."""
    oracle = Oracle(rules)
    for line in lines:
        oracle.feed(line)
    oracle.finish()
    run = EngineRun(rules_folder(rules, folder), "event", random.Random(seed), restarts=0.05)
    run.feed_all(lines)
    run.finish()
    assert differences_from_oracle(oracle, run, rules) == []


@pytest.mark.parametrize(
    ("place", "constant", "value"),
    [
        (book, "WORKING_RECORDS", 1),
        (counts, "RECENT_LENGTH", 4),
        (identities, "SEAL_AT", 5),
        (commit, "RESERVATIONS_AT_WORK", 1),
        (faces, "REMEMBERED_CLASSES", 1),
        (faces, "REMEMBERED_PLACES", 1),
        (sums, "REMEMBERED_OFFERS", 1),
        (sums, "REMEMBERED_PLACES", 1),
        (timeline, "FORGET_EVERY", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("seed", range(3))
def test_a_smaller_memory_changes_nothing(
    seed: int,
    place: Any,
    constant: str,
    value: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is forgotten, sealed or split off is found again in the store."""
    monkeypatch.setattr(place, constant, value)
    rules = random_rules(seed)
    lines = generate(seed, 200, channels=list(rules["channels"]))
    agrees_with_the_oracle(rules, lines, tmp_path, seed)


@pytest.mark.parametrize("seed", range(4))
def test_counts_of_a_hot_key_see_every_movement_since_however_many_there_were(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of movements of two keys, and counts that reach back over many chunks of them."""
    monkeypatch.setattr(counts, "RECENT_LENGTH", 16)
    rules: dict[str, Any] = {"settings": {"count_window": "2h"}, "channels": {"web": {}}}
    lines = generate(seed, 500, ["A"], ["L", "M"], ["web"], MANY_COUNTS)
    agrees_with_the_oracle(rules, lines, tmp_path, seed)


@pytest.mark.parametrize("seed", range(4))
def test_identities_are_known_in_sealed_and_merged_blocks_until_they_are_too_old(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of eight, merged by three, in pages of four, and dropped after two hours."""
    monkeypatch.setattr(identities, "SEAL_AT", 8)
    monkeypatch.setattr(identities, "MERGE_AT", 3)
    monkeypatch.setattr(identities, "PAGE_LENGTH", 4)
    rules: dict[str, Any] = {"settings": {"dedupe_window": "2h"}, "channels": {"web": {}}}
    shape = Shape(duplicate=0.4, conflicting=0.1, jump=0.01)
    lines = generate(seed, 400, channels=["web"], shape=shape)
    agrees_with_the_oracle(rules, lines, tmp_path, seed)


def test_a_document_has_500_lines_and_the_rest_follows_in_the_next(tmp_path: Path) -> None:
    """The 501st SKU of a window, in order, begins another document of the same type and date."""
    run = EngineRun(rules_folder({"channels": {"web": {}}}, tmp_path), longest_batch=600)
    run.feed_all(
        [movement_line(f"12:00:00 receipt S{number:03d}@L 1", number) for number in range(501)]
    )
    run.finish()
    assert [len(document["lines"]) for document in run.postings] == [500, 1]
    assert [document["movements"] for document in run.postings] == [500, 1]
    assert run.postings[1]["lines"][0]["sku"] == "S500"


@pytest.mark.parametrize("length", [1, 2, 500])
def test_documents_of_any_length_are_numbered_in_the_same_order(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window with more lines than a document may hold is posted in several."""
    monkeypatch.setattr(window, "MAX_LINES", length)
    rules: dict[str, Any] = {"channels": {"web": {}}}
    run = EngineRun(rules_folder(rules, tmp_path))
    run.feed_all(generate(1, 60, channels=["web"], shape=Shape(jump=0.0)))
    run.finish()
    assert max(len(document["lines"]) for document in run.postings) <= length
    numbers = [document["sequence"] for document in run.postings]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({document["document"] for document in run.postings}) == len(numbers)
