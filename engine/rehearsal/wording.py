"""A result in words: the same in the report and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.rehearsal.limits import BY_NAME, COUNT, FACTOR, HEADROOM, TIME, Judgement
from engine.rehearsal.result import Delay, Headroom, Result

MEGABYTE: Final = 1_000_000
NOTHING: Final = "-"


def verdict(result: Result) -> str:
    """Return the verdict as a sentence."""
    missed = [each for each in result.judgements if each.holds is False]
    if missed:
        return f"It does not hold: {_names(missed)}."
    unmeasured = [
        each
        for each in result.judgements
        if each.limit is not None and each.measured is None and each.name != HEADROOM
    ]
    if unmeasured:
        return (
            "It holds as far as it was measured, and the load was too small or too short for: "
            f"{_names(unmeasured)}."
        )
    return "It holds: every figure is within its limit."


def _names(judgements: Iterable[Judgement]) -> str:
    return ", ".join(f"{each.says[:1].lower()}{each.says[1:]}" for each in judgements)


def value(unit: str, number: float | None) -> str:
    """Return a figure with its unit."""
    if number is None:
        return NOTHING
    if unit == TIME:
        return seconds(number)
    if unit == FACTOR:
        return f"{number:g} times"
    assert unit == COUNT
    return f"{number:,.0f}"


def limit(judgement: Judgement) -> str:
    """Return what the figure must keep to."""
    if judgement.limit is None:
        return NOTHING
    word = "at least" if BY_NAME[judgement.name].at_least else "at most"
    return f"{word} {value(judgement.unit, judgement.limit)}"


def holds(judgement: Judgement) -> str:
    """Return whether it does, in a word."""
    if judgement.holds is None:
        return NOTHING
    return "holds" if judgement.holds else "MISSED"


def seconds(number: float | None) -> str:
    """Return a time as people read it."""
    if number is None:
        return NOTHING
    if number < 1:
        return f"{number * 1_000:.0f} ms"
    if number < 120:
        return f"{number:.1f} s"
    return f"{number / 60:.1f} min"


def delay(told: Delay) -> tuple[str, str, str, str]:
    """Return how many there were, and their quantiles."""
    return f"{told.count:,}", seconds(told.p50), seconds(told.p99), seconds(told.max)


def load(result: Result) -> str:
    """Return what was played, as a sentence."""
    played = result.load
    return (
        f"{played.movements:,} movements of {played.source} in {played.seconds:.0f} s: "
        f"{played.movements_per_second:,.0f} a second, {played.busiest_second:,.0f} in the busiest "
        f"one, at {played.factor:g} times their rate"
    )


def engine(result: Result) -> str:
    """Return what it cost, as a sentence."""
    cost = result.engine
    memory = f"{cost.memory_bytes / MEGABYTE:,.0f} MB of memory"
    if cost.cpu_mean is None or cost.cpu_peak is None:
        return memory
    shares = f"{cost.cpu_mean:.0%} of a core, {cost.cpu_peak:.0%} in its busiest second"
    restarts = "".join(
        f"; back {seconds(each)} after it was started again" for each in cost.restarts
    )
    return f"{shares}, {memory}{restarts}"


def headroom(found: Headroom) -> str:
    """Return how much more it takes, as a sentence."""
    if found.times == 0:
        return "No part of this load held for long enough to be a measure."
    rate = max(each.movements_per_second for each in found.trials if each.holds)
    told = f"{found.times:g} times this load held: {rate:,.0f} movements a second"
    if found.open:
        return f"{told}. More was not tried."
    failed = min((each for each in found.trials if not each.holds), key=lambda each: each.times)
    return f"{told}. At {failed.times:g} times: {failed.why}."
