"""Nothing is said about speed when results differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.check import DifferentError, check_full
from benchmarks.floor import measure
from benchmarks.inv1 import generate
from benchmarks.inv1_lines import Workload
from benchmarks.process import Cost, Folders, run_once
from benchmarks.rules import write_rules

TINY = Workload(movements=600, skus=30, locations=3, rate=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folders, Cost]:
    folder = tmp_path_factory.mktemp("run")
    folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
    return folders, run_once(folders, [Path(generate(TINY, folder).path)])


def test_a_run_in_a_process_of_its_own_tells_what_it_took(run: tuple[Folders, Cost]) -> None:
    """The summary, the time and the memory of the engine's own process are measured."""
    _, cost = run
    assert cost.summary["received"] == TINY.movements
    assert cost.cpu_s > 0
    assert cost.peak_bytes > 1_000_000


def test_a_run_like_the_oracle_passes(run: tuple[Folders, Cost], tmp_path: Path) -> None:
    """Stock, publications and postings of a right run are found the same."""
    folders, cost = run
    assert "30 SKUs" in check_full(generate(TINY, tmp_path), folders, cost)


@pytest.mark.parametrize(
    ("topic", "field"), [("availability.web-shop", "available"), ("erp.postings", "lines")]
)
def test_a_changed_output_is_found(
    run: tuple[Folders, Cost], tmp_path: Path, topic: str, field: str
) -> None:
    """One unit more in the last record of a topic is enough to fail the check."""
    folders, cost = run
    changed = Folders(folders.rules, folders.data, tmp_path / "out")
    changed.out.mkdir()
    for path in folders.out.iterdir():
        (changed.out / path.name).write_bytes(path.read_bytes())
    path = changed.out / f"{topic}.ndjson"
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    if field == "lines":
        records[-1]["lines"][0]["quantity"] += 1
    else:
        records[-1][field] += 1
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(DifferentError):
        check_full(generate(TINY, tmp_path), changed, cost)


def test_the_floor_counts_what_it_cannot_decode() -> None:
    """The floor decodes lines as they come, and counts the others."""
    good = b'{"id":"1","source":"s","type":"sale","sku":"A","occurred_at":"x"}'
    microseconds, refused = measure([good, b"[", b'{"id":"\xff"}'])
    assert refused == 2
    assert microseconds > 0
