"""What other processes order of a running engine, and what is no matter of the order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.core.parts import EVENT
from engine.embedded.orders import OrderDesk, carry_out
from engine.embedded.outputs import OutputFiles, OutputFullError
from engine.embedded.rules_watch import RulesWatch
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules

RECEIPT = (
    b'{"id":"1","source":"t","type":"receipt","sku":"A","location":"L","quantity":1,'
    b'"occurred_at":"2026-11-20T12:00:00Z"}'
)


@pytest.fixture(name="runtime")
def running(tmp_path: Path) -> Runtime:
    """An engine that has taken one movement."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "channels.yaml").write_text("channels:\n  web: {}\n")
    runtime = Runtime(tmp_path / "data", load_rules(rules), rules, EVENT, None)
    runtime.engine.take(runtime.engine.prepare([RECEIPT], lambda _: "test:1"), 0)
    runtime.commit()
    return runtime


def out_of_room(files: OutputFiles, sync: bool = False) -> None:
    """Stands in for writing to a full disk."""
    raise OutputFullError("no room")


def test_what_is_wrong_with_an_order_is_its_answer(runtime: Runtime) -> None:
    """The engine goes on."""
    answers = [
        carry_out(runtime, {"order": "dance"}),
        carry_out(runtime, {"order": "dismiss", "exception": "x-00000009", "reason": "test"}),
        carry_out(runtime, {"order": "dismiss", "exception": "x-00000009"}),
        carry_out(runtime, {"order": "replay", "exception": "x-00000009", "set": 3}),
    ]
    assert all("error" in answer for answer in answers)
    assert "snapshots" in carry_out(runtime, {"order": "snapshot"})
    runtime.close()


def test_a_full_disk_stops_the_engine_whoever_ordered_what_fills_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is no more in memory: going on would lose it."""
    monkeypatch.setattr(OutputFiles, "flush", out_of_room)
    with pytest.raises(OutputFullError):
        carry_out(runtime, {"order": "snapshot"})
    runtime.close()


def test_a_full_disk_stops_the_engine_while_it_takes_up_rules(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only rules that cannot be used here are left aside."""
    rules = tmp_path / "rules"
    seconds = iter(range(10, 10_000, 10))
    watch = RulesWatch(rules, runtime.engine.rules, {}, lambda: float(next(seconds)))
    desk = OrderDesk(runtime, watch, lambda: float(next(seconds)))
    (rules / "channels.yaml").write_text(
        "channels: " + json.dumps({f"web-{number}": {} for number in range(256)})
    )
    desk.serve()
    assert [channel.name for channel in runtime.engine.rules.channels] == ["web"]
    (rules / "channels.yaml").write_text("channels:\n  web: {}\n  shop: {}\n")

    def refuse(files: OutputFiles, topics: object) -> None:
        raise OutputFullError("no room")

    monkeypatch.setattr(OutputFiles, "begin", refuse)
    with pytest.raises(OutputFullError):
        desk.serve()
    runtime.close()
