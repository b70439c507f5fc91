"""Is this commit slower than the last ones, or is only the machine busy?

The core takes a small INV-1 over a store in memory, and beside it a yardstick (a fixed piece of
Python work) is timed, CPU time each, round by round. A busy or slow machine slows both; a slower
commit only the core. What counts is the ratio of the two, in the best rounds of each and in a
typical round: the lower of both must be beyond the stored baseline before it is called slower.
"""

from __future__ import annotations

import gc
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console

from benchmarks.inv1 import generate
from benchmarks.inv1_lines import Workload
from benchmarks.rules import write_rules
from benchmarks.yardstick import work
from engine.core.engine import Engine
from engine.core.parts import EVENT
from engine.core.step import Outcome
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet
from engine.stores.memory import MemoryStore

BASELINE: Final = Path(__file__).with_name("regression.json")
WORKLOAD: Final = Workload(movements=10_000, skus=500, locations=10, rate=1_000)
ROUNDS: Final = 9
BATCH_LINES: Final = 2_000
YARDSTICKS: Final = 4  # times the yardstick is worked off at a stretch: about as long as the core
SLOWER: Final = 1.15  # times the baseline: told
FAR_SLOWER: Final = 1.5  # times the baseline: fails
NOISY: Final = 1.25  # times the best round's: so long took the yardstick in the median one


class Measured(msgspec.Struct, frozen=True):
    """What a run came to: CPU seconds of the core and of the yardstick after it, round by round."""

    core: list[float]
    yardstick: list[float]

    @property
    def best(self) -> float:
        """The ratio of the best rounds of each: those that the machine disturbed least."""
        return min(self.core) / min(self.yardstick)

    @property
    def typical(self) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.core, self.yardstick, strict=True)
        return median(core / yardstick for core, yardstick in pairs)

    @property
    def noise(self) -> float:
        """How much longer than in its best round the yardstick took in the median one, times."""
        return median(self.yardstick) / min(self.yardstick)


class Baseline(msgspec.Struct, frozen=True):
    """A ratio that was measured before, and with which Python."""

    ratio: float
    python: str


class Verdict(msgspec.Struct, frozen=True):
    """What is to be said, and whether it is a failure."""

    says: str
    fails: bool


def measure(rounds: int = ROUNDS, workload: Workload = WORKLOAD) -> Measured:
    """Time core and yardstick in turn."""
    lines = Path(generate(workload).path).read_bytes().splitlines()
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as folder:
        rules = load_rules(write_rules(Path(folder) / "rules"))
    run_core(rules, lines)  # once for what is made on first use
    _yardstick(lines)
    core, yardstick = [], []
    for _ in range(rounds):
        core.append(_timed(lambda: run_core(rules, lines)))
        yardstick.append(_timed(lambda: _yardstick(lines)))
    return Measured(core, yardstick)


def run_core(rules: RuleSet, lines: list[bytes]) -> Engine:
    """Let a new core take the lines, with a commit for each batch."""
    store = MemoryStore()
    engine = Engine(store, rules, EVENT)
    outcomes: list[Outcome] = []
    for first in range(0, len(lines), BATCH_LINES):
        batch = engine.prepare(lines[first : first + BATCH_LINES], str)
        done, count = 0, len(lines[first : first + BATCH_LINES])
        while done < count:
            done = engine.take(batch, done, outcomes)
            engine.take_outputs()
            changes = engine.collect()
            store.commit(changes.puts, changes.deletes, changes.ranges)
    return engine


def judge(measured: Measured, baseline: Baseline | None, python: str) -> Verdict:
    """Return what the ratios say beside the baseline."""
    told = (
        f"core {measured.best:.2f} times the yardstick in the best of {len(measured.core)} rounds, "
        f"{measured.typical:.2f} in a typical one"
    )
    if baseline is None or baseline.python != python:
        of = "there is none" if baseline is None else f"it is of Python {baseline.python}"
        return Verdict(f"{told}; not compared with the baseline: {of}", False)
    times = min(measured.best, measured.typical) / baseline.ratio
    told = f"{told}; {times:.2f} times the baseline of {baseline.ratio:.2f}"
    if times >= FAR_SLOWER:
        return Verdict(f"{told}: this commit is far slower", True)
    if times >= SLOWER:
        return Verdict(f"{told}: {_perhaps(measured.noise)}", False)
    if times <= 1 / SLOWER:
        return Verdict(f"{told}: faster; store it with --store", False)
    return Verdict(f"{told}: no slower", False)


def read_baseline(path: Path = BASELINE) -> Baseline | None:
    """Return the stored baseline, None when there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Baseline) if path.exists() else None


def write_baseline(measured: Measured, path: Path = BASELINE) -> None:
    """Store what was measured as the baseline."""
    baseline = Baseline(round(measured.best, 3), python_version())
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline)) + b"\n")


def python_version() -> str:
    """Return what a ratio depends on most: the interpreter's minor version."""
    return ".".join(platform.python_version_tuple()[:2])


def print_verdict(verdict: Verdict) -> None:
    """Print what is to be said."""
    Console().print(f"regression: {verdict.says}", highlight=False, soft_wrap=True)


def _perhaps(noise: float) -> str:
    if noise >= NOISY:
        return f"slower, or the machine is too noisy to tell ({noise:.2f}); run it again"
    return "slower, though the machine is quiet"


def _yardstick(lines: list[bytes]) -> None:
    for _ in range(YARDSTICKS):
        work(lines)


def _timed(run: Callable[[], object]) -> float:
    """Return the CPU seconds that a run takes, without the garbage collector's."""
    gc.collect()
    gc.disable()
    try:
        started = time.process_time()
        run()
        return time.process_time() - started
    finally:
        gc.enable()
