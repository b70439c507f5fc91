"""Whatever happens in whatever order, the promises hold and what rests is published."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.contracts.instants import MINUTE, SECOND, format_instant
from tests.core.agreement import differences_between, differences_from_oracle
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Oracle, random_rules
from tests.oracle.generate import DEFAULT_LOCATIONS, DEFAULT_SKUS, START
from tests.oracle.promises import broken_promises

PLAIN = ("sale", "return", "receipt", "adjustment", "expect", "transfer", "count")
STEPS = ("confirm", "release", "fulfil", "allocate")
LONG_DRAIN = "60d"
LONGEST_BATCH = 8

Movement = dict[str, Any]

waits = st.sampled_from([0, 1, SECOND // 2, SECOND, SECOND, 5 * SECOND, MINUTE, 20 * MINUTE])
skus = st.sampled_from(DEFAULT_SKUS)
places = st.sampled_from(DEFAULT_LOCATIONS)
names = st.sampled_from(["r1", "r2", "r3", "r4"])
quantities = st.integers(1, 12)


@st.composite
def plain_movements(draw: st.DrawFn) -> Movement:
    """Goods move, are counted or expected; some are told late."""
    place = draw(places)
    told: Movement = {
        "type": draw(st.sampled_from(PLAIN)),
        "sku": draw(skus),
        "location": place,
        "quantity": draw(quantities),
        "back": draw(st.sampled_from([0, 0, SECOND, 10 * MINUTE])),
    }
    if told["type"] == "transfer":
        told["to_location"] = next(each for each in DEFAULT_LOCATIONS if each != place)
    return told


@st.composite
def reserves(draw: st.DrawFn) -> Movement:
    """Somebody reserves, with or without a location, until a time or for good."""
    told: Movement = {
        "type": "reserve",
        "sku": draw(skus),
        "reservation": draw(names),
        "quantity": draw(quantities),
    }
    optional = {
        "location": draw(st.none() | places),
        "policy": draw(st.sampled_from([None, "force"])),
        "lives": draw(st.none() | waits),
    }
    return told | {field: value for field, value in optional.items() if value is not None}


@st.composite
def reservation_steps(draw: st.DrawFn) -> Movement:
    """A reservation goes on, whether it is there or not."""
    kind = draw(st.sampled_from(STEPS))
    told: Movement = {"type": kind, "sku": draw(skus), "reservation": draw(names)}
    if kind in ("fulfil", "allocate"):
        told["location"] = draw(places)
    if kind in ("fulfil", "release"):
        told["quantity"] = draw(quantities)
    return told


movements = st.one_of(plain_movements(), plain_movements(), reserves(), reservation_steps())
stories = st.lists(st.tuples(waits, movements), min_size=1, max_size=LONGEST_BATCH)


def resting(seed: int) -> dict[str, Any]:
    """Random rules under which everything comes to rest before the engine's time ends."""
    rules = random_rules(seed)
    rules["settings"] = {**rules["settings"], "drain": LONG_DRAIN, "snapshot": {"every": "off"}}
    return rules


class Engines(RuleBasedStateMachine):
    """Two engines on the same stream, one of them cut and restarted; and the oracle, while it can.

    The oracle knows no rules that change in mid-stream: from then on only the promises of one
    rule set can be checked, and that what rests is published. Movements come at every step, since
    Hypothesis leaves out some kinds of step from most of its runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.number = 0
        self.now = START
        self.same_rules = False
        self.last = b""

    @initialize(seed=st.integers(0, 200))
    def begin(self, seed: int) -> None:
        """Start under random rules."""
        self.told = resting(seed)
        self.same_rules = True
        self.oracle = Oracle(self.told)
        self.run = EngineRun(rules_folder(self.told, self.folder / "rules"), "event")
        self.cut = EngineRun(self.folder / "rules", "event", random.Random(seed), 0.3, 3)

    def teardown(self) -> None:
        """Come to rest, and compare."""
        try:
            if hasattr(self, "run"):
                self.end()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what happens --------------------------------------------------------------------------

    @rule(story=stories)
    def something_happens(self, story: list[tuple[int, Movement]]) -> None:
        """Movements come, one after the other."""
        self.take([self.line_of(wait, dict(told)) for wait, told in story])

    def line_of(self, wait: int, told: Movement) -> bytes:
        """The line of a movement that occurs some time after the one before."""
        self.now += wait
        self.number += 1
        told |= {"id": f"m{self.number}", "source": "machine"}
        if "lives" in told:
            told["expires_at"] = format_instant(self.now + told.pop("lives"))
        told["occurred_at"] = format_instant(self.now - told.pop("back", 0))
        self.last = json.dumps(told).encode()
        return self.last

    def take(self, lines: list[bytes]) -> None:
        """Take lines: in one batch, and cut into pieces."""
        for line in lines if self.same_rules else ():
            self.oracle.feed(line)
        self.run.feed_all(lines)
        self.cut.feed_all(lines)

    @rule(story=stories)
    def the_last_comes_again(self, story: list[tuple[int, Movement]]) -> None:
        """The last movement comes once more."""
        self.something_happens(story)
        self.take([self.last])

    @rule(story=stories)
    def one_is_started_anew(self, story: list[tuple[int, Movement]]) -> None:
        """One of the engines has nothing but its store."""
        self.something_happens(story)
        self.cut.restart()

    @rule(story=stories, seed=st.integers(0, 200), stopped=st.booleans())
    def the_rules_change(self, story: list[tuple[int, Movement]], seed: int, stopped: bool) -> None:
        """Somebody publishes other rules while the engines run, or while one is stopped.

        Channels stay, are added, taken away or changed.
        """
        self.something_happens(story)
        self.same_rules = False
        self.told = resting(seed)
        self.run.change_rules(self.told)
        if stopped:
            self.cut.restart(self.told)
        else:
            self.cut.change_rules(self.told)

    # --- what holds ----------------------------------------------------------------------------

    @invariant()
    def stock_is_what_the_oracle_says(self) -> None:
        """After every batch, whatever was taken, and on the engine that restarts too."""
        if not self.same_rules:
            return
        for sku in DEFAULT_SKUS:
            told = self.oracle.stock(sku)
            assert self.run.stock(sku) == self.cut.stock(sku) == told, sku

    def end(self) -> None:
        """Everything that holds when no more input comes."""
        for each in (self.run, self.cut):
            each.finish()
            assert each.engine.pending() == 0
            self.check_rest(each)
            if self.same_rules:
                assert broken_promises(self.told, each) == []
        told = differences_between(self.run, self.cut)
        assert not told, told
        if self.same_rules:
            self.oracle.finish()
            assert differences_from_oracle(self.oracle, self.run, self.told) == []

    def check_rest(self, run: EngineRun) -> None:
        """The last publication of every key is its value; keys of another granularity are left."""
        for channel in run.rules.channels:
            last = {
                (told["sku"], told["location"]): told["available"]
                for told in run.publications[channel.name]
                if (told["location"] is not None) == channel.by_location
            }
            for (sku, place), value in last.items():
                assert value == run.computed(channel.name, sku, place), (channel.name, sku, place)


TestEngines = Engines.TestCase
TestEngines.settings = settings(
    max_examples=60,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
