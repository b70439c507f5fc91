"""What other processes order of a running engine, and what is no matter of the order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from engine.contracts.instants import parse_instant
from engine.core.parts import EVENT, WALL
from engine.embedded.folder import ORDERS
from engine.embedded.orders import OrderDesk, carry_out
from engine.embedded.outputs import OutputFiles, OutputFullError
from engine.embedded.rules_watch import RulesWatch
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from tests.embedded.town_clock import TownClock

RECEIPT = (
    b'{"id":"1","source":"t","type":"receipt","sku":"A","location":"L","quantity":1,'
    b'"occurred_at":"2026-11-20T12:00:00Z"}'
)


def started(folder: Path, mode: str) -> Runtime:
    """An engine that has taken nothing yet."""
    rules = folder / "rules"
    rules.mkdir()
    (rules / "channels.yaml").write_text("channels:\n  web: {}\n")
    return Runtime(folder / "data", load_rules(rules), rules, mode, None)


def take(runtime: Runtime, *lines: bytes) -> None:
    """Let it take some lines."""
    runtime.engine.take(runtime.engine.prepare(lines, lambda index: f"test:{index}"), 0)
    runtime.commit()


def desk_of(runtime: Runtime, seconds: Iterator[float]) -> OrderDesk:
    """The desk of an engine, and of its rules folder, by a clock of our own."""
    rules = Path(runtime.record.rules)

    def monotonic() -> float:
        return next(seconds)

    watch = RulesWatch(rules, runtime.engine.rules, {}, monotonic)
    return OrderDesk(runtime, watch, monotonic)


def place(runtime: Runtime, name: str, order: object) -> Path:
    """Lay an order on the desk; returns where its answer will be."""
    folder = runtime.data / ORDERS
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(order))
    return folder / f"{name}.answer"


@pytest.fixture(name="runtime")
def running(tmp_path: Path) -> Iterator[Runtime]:
    """An engine that has taken one movement."""
    runtime = started(tmp_path, EVENT)
    take(runtime, RECEIPT)
    yield runtime
    runtime.close()


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


def test_a_full_disk_stops_the_engine_whoever_ordered_what_fills_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is no more in memory: going on would lose it."""
    monkeypatch.setattr(OutputFiles, "flush", out_of_room)
    with pytest.raises(OutputFullError):
        carry_out(runtime, {"order": "snapshot"})


def test_a_full_disk_stops_the_engine_while_it_takes_up_rules(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only rules that cannot be used here are left aside."""
    rules = tmp_path / "rules"
    desk = desk_of(runtime, count(10.0, 10.0))
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


def test_orders_are_looked_for_ten_times_a_second_and_answered_in_their_order(
    runtime: Runtime,
) -> None:
    """Between two looks the engine takes movements, whatever lies there."""
    take(runtime, b"{")
    answers = [
        place(runtime, "a", {"order": "replay", "exception": "x-00000001"}),
        place(runtime, "b", {"order": "dismiss", "exception": "x-00000001", "reason": "noise"}),
        place(runtime, "c", {"order": "dismiss", "exception": "x-00000001", "reason": "again"}),
    ]
    desk = desk_of(runtime, iter([0.0, 0.09, 0.1, 0.1]))
    desk.serve()
    assert not any(answer.exists() for answer in answers)
    desk.serve()
    told = [json.loads(answer.read_text()) for answer in answers]
    assert "malformed" in told[0]["error"]
    assert told[1]["status"] == "dismissed"
    assert "dismissed already" in told[2]["error"]
    assert not list((runtime.data / ORDERS).glob("*.json"))


def test_a_replay_that_was_ordered_has_its_effect(runtime: Runtime) -> None:
    """The mended movement is taken, and where it came from is told."""
    take(runtime, RECEIPT.replace(b'"1"', b'"2"').replace(b'"L"', b'" L"'))
    order = {"order": "replay", "exception": "x-00000001", "set": {"location": "M", "quantity": 4}}
    assert carry_out(runtime, order) == {"exception": "x-00000001", "outcome": "applied"}
    assert "replayed already" in carry_out(runtime, order)["error"]
    assert runtime.engine.standing.figures.received == 3


def test_a_snapshot_before_any_movement_has_no_time(tmp_path: Path) -> None:
    """The answer says what to do first."""
    runtime = started(tmp_path, EVENT)
    answer = carry_out(runtime, {"order": "snapshot"})
    assert answer["error"] == "no movement has come yet"
    assert "Run the engine" in answer["advice"]
    runtime.close()


@pytest.mark.parametrize("mode", [EVENT, WALL])
def test_a_snapshot_is_cut_on_the_next_tick_after_its_publications(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the wall clock that is waited for. Each part tells the number and digest of its rows."""
    clock = TownClock("12:00:00")
    clock.rule(monkeypatch)
    runtime = started(tmp_path, mode)
    runtime.advance(clock.now)
    take(runtime, RECEIPT)
    answer = carry_out(runtime, {"order": "snapshot"})
    assert answer["snapshots"] == 2
    lines = Path(answer["file"]).read_bytes().splitlines(keepends=True)
    web, ledger = lines[:3], lines[3:]
    for part in (web, ledger):
        header, row, trailer = map(json.loads, part)
        assert header["taken_at"] == "2026-11-20T12:00:01Z"
        assert (header["rows"], trailer["rows"]) == (1, 1)
        assert header["snapshot"] == trailer["snapshot"]
        assert trailer["sha256"] == hashlib.sha256(part[1]).hexdigest()
        assert row["sku"] == "A"
    assert (json.loads(web[0])["channel"], json.loads(web[0])["ledger"]) == ("web", False)
    assert (json.loads(ledger[0])["channel"], json.loads(ledger[0])["ledger"]) == (None, True)
    published = json.loads((runtime.out / "availability.web.ndjson").read_bytes())
    assert json.loads(web[1]) == {**published, "computed": 1}
    assert runtime.engine.clock is not None
    assert runtime.engine.clock >= parse_instant("2026-11-20T12:00:01Z")
    runtime.close()
