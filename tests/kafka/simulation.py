"""`python -m tests.kafka.simulation --seeds 1000`, or `--seed 17` to replay one."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from tests.kafka.simulated_story import FAULTS_EACH, MOVEMENTS, Failure, Played, Story, draw, play

SECONDS_BETWEEN_PROGRESS = 10.0
MOST_FAILURES = 10
MOST_PLAYS = 200

Item = TypeVar("Item")
Task = tuple[int, int, float]


def main() -> int:
    """Run simulations; returns 1 when anything does not hold in any."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--movements", type=int, default=MOVEMENTS, help="movements per seed")
    parser.add_argument(
        "--faults", type=float, default=FAULTS_EACH, help="share of occasions that are struck"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--whole", action="store_true", help="tell failing stories uncut")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, count = (asked.first, asked.seeds) if asked.seed is None else (asked.seed, 1)
    tasks = [(seed, asked.movements, asked.faults) for seed in range(first, first + count)]
    started = told = time.monotonic()
    struck: Counter[str] = Counter()
    takeovers = done = 0
    failed: list[Task] = []
    for task, played in _run(tasks, asked.workers):
        done += 1
        struck.update(played.struck)
        takeovers += played.takeovers
        if played.failures:
            failed.append(task)
            _say(f"seed {task[0]}: {played.failures[0].invariant}")
        if len(failed) == MOST_FAILURES:
            _say(f"stopped: {MOST_FAILURES} stories have failed")
            break
        if time.monotonic() - told > SECONDS_BETWEEN_PROGRESS:
            told = time.monotonic()
            _say(f"{done:,} of {count:,} stories, {len(failed)} failed")
    print(
        f"{done:,} stories in {time.monotonic() - started:,.0f} s: {takeovers:,} owners of "
        f"partitions, {len(failed)} failed"
    )
    for kind, times in struck.most_common():
        print(f"{times:>9,}  {kind}")
    for task in failed[:1]:
        _tell(draw(*task), asked.whole)
    return 1 if failed else 0


def _run(tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Played]]:
    if workers == 1 or len(tasks) == 1:
        yield from map(_play, tasks)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(_play, tasks)


def _play(task: Task) -> tuple[Task, Played]:
    return task, play(draw(*task))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the smallest story ---------------------------------------------------------------------------


def shrunk(story: Story, failure: Failure, most: int = MOST_PLAYS) -> tuple[Story, Failure]:
    """The shortest story found that fails in the same way, after so many plays at most."""
    left = most

    def fails(shorter: Story) -> bool:
        nonlocal story, failure, left
        left -= 1
        same = [one for one in play(shorter).failures if one.invariant == failure.invariant]
        if same:
            story, failure = shorter, same[0]
        return bool(same)

    before = None
    while story is not before and left > 0:
        before = story
        _shorten(story.faults, lambda kept: fails(dataclasses.replace(story, faults=kept)))
        _shorten(story.groups, lambda kept: fails(dataclasses.replace(story, groups=kept)))
    return story, failure


def _shorten(items: tuple[Item, ...], fails_with: Callable[[tuple[Item, ...]], bool]) -> None:
    """Leave out runs of items, long ones first."""
    length = max(1, len(items) // 2)
    while True:
        start = 0
        while start < len(items):
            kept = (*items[:start], *items[start + length :])
            if fails_with(kept):
                items = kept
            else:
                start += length
        if length == 1:
            return
        length //= 2


def _tell(story: Story, whole: bool) -> None:
    failure = play(story).failures[0]
    if not whole:
        _say(f"cutting the story of seed {story.seed} shorter")
        story, failure = shrunk(story, failure)
    print(f"\nseed {story.seed}: {failure.invariant}\n  {failure.message}")
    for arrival, lines in story.groups:
        for line in lines:
            print(f"  {arrival}  {line.decode(errors='replace')}")
    for fault in story.faults:
        print(f"  {fault.occasion} {fault.at}: {fault.kind}")


if __name__ == "__main__":
    sys.exit(main())
