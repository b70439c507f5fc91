"""A data folder may be moved together with the outputs that lie inside it."""

from __future__ import annotations

from pathlib import Path

from engine.core.parts import EVENT
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules

SALE = (
    b'{"id":"%d","source":"t","type":"sale","sku":"A","location":"L","quantity":1,'
    b'"occurred_at":"2026-11-20T12:00:0%dZ"}\n'
)


def run_once(data: Path, rules: Path, source: Path) -> Path:
    """One run to the end of the input; returns the folder its outputs went to."""
    runtime = Runtime(data, load_rules(rules), rules, EVENT, None)
    inputs = Inputs([str(source)], saved=runtime.record.positions)
    try:
        run(runtime, inputs, rules, Job(once=True, stop=Stop()))
    finally:
        inputs.close()
        runtime.close()
    return runtime.out


def test_outputs_inside_the_data_folder_move_with_it(tmp_path: Path) -> None:
    """After the move the engine goes on in the files where they lie now, and makes no others."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "channels.yaml").write_text("channels:\n  web: {}\n")
    source = tmp_path / "movements.ndjson"
    source.write_bytes(SALE % (1, 1))
    run_once(tmp_path / "before", rules, source)
    (tmp_path / "before").rename(tmp_path / "after")
    source.write_bytes(SALE % (1, 1) + SALE % (2, 5))
    out = run_once(tmp_path / "after", rules, source)
    assert out == tmp_path / "after" / "out"
    assert not (tmp_path / "before").exists()
    assert len((out / "erp.postings.ndjson").read_bytes().splitlines()) == 2
