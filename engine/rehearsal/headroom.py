"""Searching how many times a load still holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.rehearsal.result import Headroom, Trial

CPU_FULL: Final = 0.85  # of a core: what an engine that just keeps up is taken to use, at first
FIRST_GUESS: Final = 4.0  # times the load, when nothing is known of its cost
STEP: Final = 2.0  # further up or down when a guess was wrong
CLOSE_ENOUGH: Final = 1.25  # the least that failed is at most so many times the most that held
MOST_TRIALS: Final = 6
MOST_TIMES: Final = 1_000.0

Try = Callable[[float], Trial]


def search(trial_of: Try, cpu: float | None) -> Headroom:
    """Return the largest multiple of the load that holds, found by trying.

    `cpu` is the share of a core that the load itself took: the first guess follows from it. The
    multiples tried grow or shrink until one holds and one fails, and then close in on each other.
    """
    trials: list[Trial] = []
    held, failed = 0.0, None
    times = _guess(cpu)
    while len(trials) < MOST_TRIALS:
        trial = trial_of(times)
        trials.append(trial)
        if trial.holds:
            held = max(held, times)
        else:
            failed = times if failed is None else min(failed, times)
        if failed is None:
            if times >= MOST_TIMES:
                break
            times = min(MOST_TIMES, times * STEP)
        elif held == 0.0:
            times = failed / STEP
        elif failed <= held * CLOSE_ENOUGH:
            break
        else:
            times = (held * failed) ** 0.5
    return Headroom(times=round(held, 2), open=failed is None, trials=trials)


def _guess(cpu: float | None) -> float:
    if not cpu:
        return FIRST_GUESS
    return min(MOST_TIMES, max(1.0, CPU_FULL / cpu))
