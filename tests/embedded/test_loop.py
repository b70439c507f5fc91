"""The loop of a run: movements as they come, ticks when they are due, and how it ends."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.instants import format_instant
from engine.core.parts import EVENT, WALL
from engine.embedded import loop
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Ending, Interrupted, Job, Stop, run
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from tests.embedded.town_clock import TownClock
from tests.oracle import write_rules_folder
from tests.oracle.scenarios import movement_line

THROTTLED: dict[str, Any] = {"channels": {"web": {"publish": {"min_interval": "5s"}}}}


class Town:
    """A shop with an engine: its rules, its input, what came out."""

    def __init__(self, folder: Path, clock: TownClock, rules: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.clock = clock
        self.input = folder / "movements.ndjson"
        folder.mkdir(exist_ok=True)
        self.input.touch()
        self.publish_rules(rules or {"channels": {"web": {}}})
        self.number = 0

    def publish_rules(self, rules: dict[str, Any]) -> None:
        """Change the rules folder."""
        write_rules_folder(rules, self.folder / "rules")

    def tell(self, text: str) -> None:
        """Append a movement, told in short, to the input."""
        self.number += 1
        with self.input.open("ab") as file:
            file.write(movement_line(text, self.number) + b"\n")

    def tell_when_it_occurs(self, *story: str) -> None:
        """Append each movement at the time at which it occurs."""
        for text in story:
            self.clock.at(text.split()[0], self.telling(text))

    def telling(self, text: str) -> Callable[[], None]:
        """What tells a movement later."""
        return lambda: self.tell(text)

    def run(self, mode: str, once: bool, stop: Stop | None = None) -> Ending:
        """Run an engine on the folder until it ends."""
        rules = self.folder / "rules"
        runtime = Runtime(self.folder / "data", load_rules(rules), rules, mode, None)
        try:
            saved = runtime.record.positions
            with Inputs([str(self.input)], False, saved, follow=not once) as inputs:
                return run(runtime, inputs, rules, Job(once, stop or Stop()))
        finally:
            self.clock_stands_at = runtime.engine.clock
            self.pending = runtime.engine.pending()
            runtime.close()

    def run_until(self, time: str, mode: str = WALL) -> Ending:
        """Run an engine until a time of the day."""
        stop = Stop()

        def ask() -> None:
            stop.asked = True

        self.clock.at(time, ask)
        return self.run(mode, once=False, stop=stop)

    def told(self, topic: str = "availability.web") -> list[dict[str, Any]]:
        """The records of a topic."""
        text = (self.folder / f"data/out/{topic}.ndjson").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def values(self) -> list[tuple[int, str]]:
        """Quantity and time of every publication."""
        return [(each["available"], each["computed_at"][11:19]) for each in self.told()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TownClock:
    """The time of day: noon."""
    made = TownClock("12:00:00")
    made.rule(monkeypatch)
    return made


def test_what_comes_inside_one_tick_is_told_together_on_the_tick(
    tmp_path: Path, clock: TownClock
) -> None:
    """With the stock as it stood before the tick, and nobody has to stop the engine for it."""
    town = Town(tmp_path, clock)
    town.tell_when_it_occurs(
        "12:00:00.3 receipt A@L 10",
        "12:00:00.5 sale A@L 1",
        "12:00:00.7 sale A@L 1",
        "12:00:01 sale A@L 1",
        "12:00:03.2 sale A@L 1",
    )
    ending = town.run_until("12:00:06")
    assert town.values() == [(8, "12:00:01"), (7, "12:00:02"), (6, "12:00:04")]
    assert ending.received == 5


def test_what_falls_due_while_nothing_comes_happens_all_the_same(
    tmp_path: Path, clock: TownClock
) -> None:
    """Expiries, posting windows, snapshots, and what was held back."""
    rules = {**THROTTLED, "settings": {"erp": {"window": "10s"}, "snapshot": {"every": "20s"}}}
    town = Town(tmp_path, clock, rules)
    town.tell_when_it_occurs(
        "12:00:00.1 receipt A@L 10",
        "12:00:02 reserve A@L 4 reservation=r expires_at=12:00:15",
    )
    town.run_until("12:00:21")
    assert town.values() == [(10, "12:00:01"), (6, "12:00:06"), (10, "12:00:15")]
    assert [each["outcome"] for each in town.told("reservations.decisions")] == [
        "accepted",
        "expired",
    ]
    assert [each["window_end"][11:19] for each in town.told("erp.postings")] == ["12:00:10"]
    assert len(town.told("reconciliation.snapshots")) == 6


def test_a_run_to_the_end_waits_for_what_is_held_back_and_posts_what_is_open(
    tmp_path: Path, clock: TownClock
) -> None:
    """Its time is the time of day, so it lasts as long as the interval does."""
    town = Town(tmp_path, clock, THROTTLED)
    for text in ("11:59:58 receipt A@L 10", "11:59:59 sale A@L 1"):
        town.tell(text)
    town.clock.at("12:00:02", lambda: None)
    town.run(WALL, once=True)
    assert town.values() == [(9, "12:00:01")]
    town.tell("12:00:01 sale A@L 3")
    town.run(WALL, once=True)
    assert town.values() == [(9, "12:00:01"), (6, "12:00:06")]
    assert [each["type"] for each in town.told("erp.postings")] == ["receipt", "sale", "sale"]
    assert town.pending == 0


def test_a_run_to_the_end_leaves_what_is_due_later_than_the_drain(
    tmp_path: Path, clock: TownClock
) -> None:
    """It stays pending, and a later run tells it."""
    rules = {
        "channels": {"web": {"publish": {"min_interval": "1h"}}},
        "settings": {"drain": "10s"},
    }
    town = Town(tmp_path, clock, rules)
    town.tell("11:59:58 receipt A@L 10")
    town.run(WALL, once=True)
    town.tell("12:00:01 sale A@L 3")
    town.run(WALL, once=True)
    assert (town.values(), town.pending) == ([(10, "12:00:01")], 1)
    town.run_until("13:00:02")
    assert (town.values(), town.pending) == ([(10, "12:00:01"), (7, "13:00:01")], 0)


@pytest.mark.parametrize("mode", [WALL, EVENT])
def test_a_stop_keeps_what_was_taken_and_the_next_run_goes_on(
    mode: str, tmp_path: Path, clock: TownClock
) -> None:
    """A run to the end says that it was stopped before; one that follows its inputs ends well."""
    town = Town(tmp_path, clock, THROTTLED)
    town.tell("12:00:00 receipt A@L 10")
    stopped = Stop(asked=True)
    with pytest.raises(Interrupted, match="stopped before its end"):
        town.run(mode, once=True, stop=stopped)
    assert town.run(mode, once=False, stop=stopped).received == 0
    assert town.run(mode, once=True).received == 1
    assert [value for value, _ in town.values()] == [10]


def test_a_replay_that_follows_its_input_takes_what_is_appended(
    tmp_path: Path, clock: TownClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock goes by the movements, so nothing is due before the next one comes."""
    town = Town(tmp_path, clock)
    reads: list[int] = []
    read = Inputs.read
    stop = Stop()

    def read_on(inputs: Inputs, limit: int, *waiting: Any) -> Any:
        reads.append(limit)
        if len(reads) % 3 == 0:
            town.tell(f"12:00:{len(reads):02d} receipt A@L 1")
        stop.asked = len(reads) == 10
        return read(inputs, limit, *waiting)

    monkeypatch.setattr(Inputs, "read", read_on)
    assert town.run(EVENT, once=False, stop=stop).received == 3
    assert town.values() == [(1, "12:00:04"), (2, "12:00:07")]


def test_a_drain_that_is_stopped_goes_on_to_where_it_would_have_ended(
    tmp_path: Path, clock: TownClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most `drain` after the inputs ended, however often it is interrupted."""
    monkeypatch.setattr(loop, "DRAIN_COMMIT_TICKS", 1)
    publish = {"min_interval": "20s", "max_rate": "1/s"}
    rules = {"channels": {"web": {"publish": publish}}, "settings": {"drain": "30s"}}
    towns = [Town(tmp_path / "whole", clock, rules), Town(tmp_path / "cut", clock, rules)]
    stop = Stop()
    for town, advance in zip(towns, (ADVANCE, stopping(stop)), strict=True):
        monkeypatch.setattr(Runtime, "advance", advance)
        for number in range(4):
            town.tell(f"12:00:00 receipt S{number}@L 10")
        town.tell("12:00:10 sale S0@L 1")
        town.tell("12:00:10 sale S1@L 1")
        while not ended(town, stop):
            stop.asked = False
    whole, cut = towns
    assert cut.told() == whole.told()
    assert cut.told("erp.postings") == whole.told("erp.postings")
    assert cut.clock_stands_at == whole.clock_stands_at
    assert [value for value, _ in cut.values()] == [10, 10, 10, 10, 9, 9]


class Killed(BaseException):
    """The process ends at this point."""


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process end before its commit of the number, of which it writes the outputs only."""
    commits = itertools.count(1)

    def commit(runtime: Runtime) -> None:
        if next(commits) == number:
            runtime.write_outputs()
            raise Killed
        COMMIT(runtime)

    monkeypatch.setattr(Runtime, "_commit_once", commit)


@pytest.mark.parametrize(
    ("let_go", "told", "stands_at"),
    [
        ("a rule", [(10, "12:00:01"), (9, "12:25:01")], "12:25:01"),
        ("an expiry", [(10, "12:00:01")], "12:25:01"),
    ],
)
def test_a_drain_that_is_killed_at_any_commit_ends_where_it_would_have_ended(
    let_go: str,
    told: list[tuple[int, str]],
    stands_at: str,
    tmp_path: Path,
    clock: TownClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when what was held back goes on the way, or is nothing new any more."""
    rule: dict[str, Any] = {"name": "hourly", "min_interval": "1h"}
    if let_go == "a rule":
        rule["until"] = "2026-11-20T12:25:00.5Z"
    rules = {"channels": {"web": {}}, "rules": [rule], "settings": {"snapshot": {"every": "10m"}}}

    def town_of(name: str) -> Town:
        town = Town(tmp_path / name, clock, rules)
        town.tell("12:00:00 receipt A@L 10")
        step = "sale" if let_go == "a rule" else "reserve"
        end = "" if step == "sale" else " reservation=r expires_at=12:25:00.5"
        town.tell(f"12:00:10 {step} A@L 1{end}")
        return town

    whole = town_of("whole")
    whole.run(EVENT, once=True)
    assert whole.values() == told
    assert format_instant(whole.clock_stands_at or 0)[11:19] == stands_at
    for number in itertools.count(1):
        killed_at(monkeypatch, number)
        town = town_of(str(number))
        try:
            town.run(EVENT, once=True)
            break
        except Killed:
            monkeypatch.setattr(Runtime, "_commit_once", COMMIT)
            town.run(EVENT, once=True)
        for topic in ("availability.web", "reconciliation.snapshots", "reservations.decisions"):
            assert town.told(topic) == whole.told(topic), (number, topic)
        assert town.clock_stands_at == whole.clock_stands_at
    assert number > 4


def test_other_rules_after_the_drain_get_a_drain_of_their_own(
    tmp_path: Path, clock: TownClock
) -> None:
    """What they change is told, even where the clock had gone as far as it may after the input."""
    web = {"publish": {"min_interval": "20s"}}
    settings = {"drain": "30s"}
    town = Town(tmp_path, clock, {"channels": {"web": web}, "settings": settings})
    town.tell("12:00:00 receipt A@L 10")
    town.run(EVENT, once=True)
    for buffer in (1, 2, 3):
        rule = {"name": "held", "buffer": {"units": buffer}}
        town.publish_rules({"channels": {"web": web}, "rules": [rule], "settings": settings})
        town.run(EVENT, once=True)
    assert [value for value, _ in town.values()] == [10, 9, 8, 7]


def test_a_replay_goes_on_where_a_run_by_the_wall_clock_left_the_clock(
    tmp_path: Path, clock: TownClock
) -> None:
    """A drain begins there, however long ago the last movement was."""
    settings = {"drain": "30s"}
    town = Town(tmp_path, clock, {"channels": {"web": {}}, "settings": settings})
    town.tell("11:00:00 receipt A@L 10")
    town.run(EVENT, once=True)
    town.run(WALL, once=True)
    rule = {"name": "held", "buffer": {"units": 1}}
    town.publish_rules({"channels": {"web": {}}, "rules": [rule], "settings": settings})
    town.run(EVENT, once=True)
    assert [value for value, _ in town.values()] == [10, 9]


def ended(town: Town, stop: Stop) -> bool:
    """Run to the end, unless it is interrupted."""
    try:
        town.run(EVENT, once=True, stop=stop)
    except Interrupted:
        return False
    return True


ADVANCE = Runtime.advance
COMMIT = Runtime._commit_once


def stopping(stop: Stop) -> Callable[[Runtime, int], None]:
    """Advances, and asks for a stop each time."""

    def advance(runtime: Runtime, to: int) -> None:
        ADVANCE(runtime, to)
        stop.asked = True

    return advance


def test_rules_that_change_while_it_runs_take_effect_and_broken_ones_do_not(
    tmp_path: Path, clock: TownClock
) -> None:
    """The broken ones are left aside until they are mended; a new channel is told every key."""
    town = Town(tmp_path, clock)
    channels = tmp_path / "rules/channels.yaml"
    buffer = {"name": "b", "buffer": {"units": 2}}
    town.tell_when_it_occurs("12:00:00.1 receipt A@L 10", "12:00:05 sale A@L 1")
    clock.at("12:00:03", lambda: channels.write_text("channels: {web: {publish: 5}}"))
    mended = {"channels": {"web": {}, "new": {}}, "rules": [buffer]}
    clock.at("12:00:08", lambda: town.publish_rules(mended))
    town.run_until("12:00:12")
    assert [value for value, _ in town.values()] == [10, 9, 7]
    (told,) = town.told("availability.new")
    assert (told["available"], told["cause"]["source"]) == (7, "rules")
    assert "2026-11-20T12:00:08" <= told["computed_at"] <= "2026-11-20T12:00:10"


def test_a_commit_comes_before_the_batch_is_through_where_the_engine_asks_for_it(
    tmp_path: Path, clock: TownClock
) -> None:
    """A snapshot in the middle of a batch sees the movements before it, and no other."""
    town = Town(
        tmp_path, clock, {"channels": {"web": {}}, "settings": {"snapshot": {"every": "1h"}}}
    )
    for text in ("12:00:00 receipt A@L 10", "13:30:00 sale A@L 1", "13:30:01 sale A@L 1"):
        town.tell(text)
    town.run(EVENT, once=True)
    rows = [each for each in town.told("reconciliation.snapshots") if "sellable" in each]
    assert [row["sellable"] for row in rows] == [10]
    assert format_instant(town.clock_stands_at or 0) == "2026-11-20T13:30:02Z"
