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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.contracts.instants import MINUTE, SECOND, format_instant
from tests.core.agreement import differences_between, differences_from_oracle
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import Oracle, random_rules
from tests.oracle.generate import DEFAULT_LOCATIONS, DEFAULT_SKUS, START
from tests.oracle.promises import broken_promises

PLAIN = ("sale", "return", "receipt", "adjustment", "expect", "transfer", "count")
STEPS = ("confirm", "release", "fulfil", "allocate")
LONG_DRAIN = "60d"

skus = st.sampled_from(DEFAULT_SKUS)
places = st.sampled_from(DEFAULT_LOCATIONS)
names = st.sampled_from(["r1", "r2", "r3", "r4"])
quantities = st.integers(1, 12)
waits = st.sampled_from([0, 1, SECOND // 2, SECOND, 5 * SECOND, MINUTE, 20 * MINUTE])
backdated = st.sampled_from([0, 0, SECOND, 10 * MINUTE])


def resting(seed: int) -> dict[str, Any]:
    """Random rules under which everything comes to rest, with all days those of UTC.

    A window that is open while a location's time zone changes is dated anew after a restart.
    """
    rules = random_rules(seed)
    rules["locations"] = [{**place, "timezone": ""} for place in rules["locations"]]
    rules["settings"] = {**rules["settings"], "drain": LONG_DRAIN, "snapshot": {"every": "off"}}
    return rules


class Engines(RuleBasedStateMachine):
    """Two engines on the same stream, one of them cut and restarted; and the oracle, while it can.

    The oracle knows no rules that change in mid-stream: from then on only the promises of one
    rule set can be checked, and that what rests is published.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.number = 0
        self.now = START
        self.waiting: list[bytes] = []
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
        """Take the rest of the batch, come to rest, and compare."""
        try:
            if hasattr(self, "run"):
                self.end()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what happens --------------------------------------------------------------------------

    def tell(self, told: dict[str, Any], back: int = 0) -> None:
        """Add a movement to the batch that waits."""
        self.number += 1
        told |= {"id": f"m{self.number}", "source": "machine"}
        line = json.dumps({**told, "occurred_at": format_instant(self.now - back)}).encode()
        self.last = line
        self.waiting.append(line)

    @rule(sku=skus, place=places, kind=st.sampled_from(PLAIN), quantity=quantities, back=backdated)
    def move(self, sku: str, place: str, kind: str, quantity: int, back: int) -> None:
        """Goods move, or are counted or expected."""
        told: dict[str, Any] = {"type": kind, "sku": sku, "location": place, "quantity": quantity}
        if kind == "transfer":
            told["to_location"] = next(each for each in DEFAULT_LOCATIONS if each != place)
        self.tell(told, back)

    @rule(
        sku=skus,
        name=names,
        place=st.none() | places,
        quantity=quantities,
        lives=st.none() | waits,
        forced=st.booleans(),
    )
    def reserve(
        self, sku: str, name: str, place: str | None, quantity: int, lives: int | None, forced: bool
    ) -> None:
        """Somebody reserves."""
        told = {"type": "reserve", "sku": sku, "reservation": name, "quantity": quantity}
        optional = {
            "location": place,
            "policy": "force" if forced else None,
            "expires_at": None if lives is None else format_instant(self.now + lives),
        }
        self.tell({**told, **{field: value for field, value in optional.items() if value}})

    @rule(sku=skus, name=names, place=places, kind=st.sampled_from(STEPS), quantity=quantities)
    def step(self, sku: str, name: str, place: str, kind: str, quantity: int) -> None:
        """A reservation goes on, whether it is there or not."""
        told: dict[str, Any] = {"type": kind, "sku": sku, "reservation": name}
        if kind in ("fulfil", "allocate"):
            told["location"] = place
        if kind in ("fulfil", "release"):
            told["quantity"] = quantity
        self.tell(told)

    @rule(wait=waits)
    def time_passes(self, wait: int) -> None:
        """The next movements occur later."""
        self.now += wait

    @precondition(lambda self: self.last)
    @rule()
    def told_again(self) -> None:
        """The last movement comes once more."""
        self.waiting.append(self.last)

    @rule()
    def refused(self) -> None:
        """Something comes that is no movement."""
        self.waiting.append(b'{"id": "x"}')

    @rule()
    def batch(self) -> None:
        """The batch is taken: whole, and cut into pieces."""
        for line in self.waiting:
            if self.same_rules:
                self.oracle.feed(line)
        self.run.feed_all(self.waiting)
        self.cut.feed_all(self.waiting)
        self.waiting = []

    @rule()
    def restart(self) -> None:
        """One of the engines is started anew."""
        self.cut.restart()

    @precondition(lambda self: self.now > START)
    @rule(seed=st.integers(0, 200), stopped=st.booleans())
    def other_rules(self, seed: int, stopped: bool) -> None:
        """Somebody publishes other rules while the engines run, or while one is stopped.

        Channels stay, are added, taken away or changed.
        """
        self.batch()
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
        if not self.same_rules or self.waiting:
            return
        for sku in DEFAULT_SKUS:
            told = self.oracle.stock(sku)
            assert self.run.stock(sku) == self.cut.stock(sku) == told, sku

    def end(self) -> None:
        """Everything that holds when no more input comes."""
        self.batch()
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
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
