"""`python -m tests.simulation --seeds 10000`, or `--seed 17` to replay one."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import structlog

from tests.simulation.check import Failure, MeasuredStory, measure
from tests.simulation.drawing import LINES, draw
from tests.simulation.shrinking import MOST_PLAYS, Shrinker
from tests.simulation.telling import tell

SECONDS_BETWEEN_PROGRESS = 1.0
SEEDS_PER_TASK = 5
FAILURES_TOLD = 3
MOST_FAILURES = 20  # after so many there is something else to do


def main() -> int:
    """Run simulations; returns 1 when any has a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--lines", type=int, default=LINES, help="movements per seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--whole", action="store_true", help="tell failing stories uncut")
    asked = parser.parse_args()
    _be_quiet()
    first, count = (asked.first, asked.seeds) if asked.seed is None else (asked.seed, 1)
    tasks = [(seed, asked.lines) for seed in range(first, first + count)]
    started = time.monotonic()
    struck: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failures: list[tuple[int, Failure]] = []
    progress = _Progress(count)
    for seed, measured in _run(tasks, asked.workers):
        struck.update(measured.struck)
        totals.update(measured.totals)
        if measured.failure is not None:
            failures.append((seed, measured.failure))
            progress.say(f"seed {seed}: {measured.failure.invariant}")
        progress.tell(totals["stories"], len(failures))
        if len(failures) == MOST_FAILURES:
            progress.say(f"stopped: {MOST_FAILURES} stories have failed")
            break
    progress.end()
    _tell_totals(totals, struck, len(failures), time.monotonic() - started)
    for seed, failure in failures[:FAILURES_TOLD]:
        _tell_failure(seed, asked.lines, failure, asked.whole)
    for seed, failure in failures[FAILURES_TOLD:]:
        print(f"seed {seed}: {failure.invariant}")
    return 1 if failures else 0


def _be_quiet() -> None:
    """The engine logs what it should; nobody reads that here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _run(tasks: Sequence[tuple[int, int]], workers: int) -> Iterator[tuple[int, MeasuredStory]]:
    if workers == 1 or len(tasks) == 1:
        yield from map(_play, tasks)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(_play, tasks, SEEDS_PER_TASK)


def _play(task: tuple[int, int]) -> tuple[int, MeasuredStory]:
    seed, lines = task
    return seed, measure(draw(seed, lines))


class _Progress:
    """One line on stderr that says how far it is; only on a terminal it is written over."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = self._told = time.monotonic()

    def tell(self, done: int, failed: int) -> None:
        now = time.monotonic()
        if now - self._told < SECONDS_BETWEEN_PROGRESS * (1 if sys.stderr.isatty() else 30):
            return
        self._told = now
        left = (now - self._started) / done * (self._count - done)
        text = f"{done:,} of {self._count:,} stories, {failed} failed, {left:,.0f} s left"
        print(text, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if sys.stderr.isatty():
            print(end="\x1b[K", file=sys.stderr, flush=True)


def _tell_totals(totals: Counter[str], struck: Counter[str], failed: int, seconds: float) -> None:
    print(
        f"{totals['stories']:,} stories with {totals['lines']:,} movements in {seconds:,.0f} s: "
        f"{totals['lives']:,} starts, {totals['steps']:,} commits looked at, {failed} failed"
    )
    for kind, times in sorted(struck.items(), key=lambda item: -item[1]):
        print(f"{times:>9,}  {kind}")


def _tell_failure(seed: int, lines: int, failure: Failure, whole: bool) -> None:
    story = draw(seed, lines)
    if not whole:
        print(f"\ncutting the story of seed {seed} shorter", file=sys.stderr, flush=True)
        story, failure = Shrinker(story, failure, MOST_PLAYS).shrink()
    print()
    for text in tell(story, failure):
        print(text)


if __name__ == "__main__":
    sys.exit(main())
