"""Observations of other systems: examined, compared with the book, and adjusted by if allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.contracts import exceptions as codes
from engine.contracts.exceptions import Refusal
from engine.contracts.findings import ADJUSTED, REVIEW, Finding
from engine.contracts.instants import format_duration, format_instant
from engine.contracts.movements import Movement
from engine.contracts.observations import Observation, decode_observation, refuse_observation
from engine.contracts.outcomes import (
    AGREES,
    DIFFERS,
    ObservationOutcome,
    observation_outcome,
)
from engine.core import step
from engine.core.dead_letters import OBSERVATION, exception_id
from engine.core.parts import EVENT, Parts
from engine.core.step import DUPLICATE, REFUSED, Outcome
from engine.reconciliation.comparing import Standing, adjustment, compare


class Adjusted(NamedTuple):
    """The movement by which the book was adjusted, and what became of it."""

    movement: Movement | Refusal
    outcome: Outcome


class Observed(NamedTuple):
    """What became of one observation: it agrees, differs, is a duplicate or refused.

    `expected` is the book's quantity as of its time, where it was compared. `exception` is what a
    refused one is kept as.
    """

    observation: Observation | Refusal
    outcome: str
    expected: int | None = None
    finding: Finding | None = None
    refusal: Refusal | None = None
    adjusted: Adjusted | None = None
    exception: str | None = None


def observe(
    parts: Parts, lines: Sequence[bytes], origin: Callable[[int], str], accept_old: bool = False
) -> list[Observed]:
    """Take observations in order; `origin` tells where a line came from.

    What was due by the clock must have happened. Refused ones become exceptions; none of them
    moves the clock, or counts as a movement.
    """
    told: list[Observed] = []
    for index, line in enumerate(lines):
        observed = _observe(parts, decode_observation(line), accept_old)
        if observed.refusal is not None:
            exception = _keep(parts, line, origin(index), observed.refusal)
            observed = observed._replace(exception=exception)
        told.append(observed)
    return told


def replay(parts: Parts, line: bytes, accept_old: bool) -> Observed:
    """Take a mended observation; one that is refused again leaves nothing behind."""
    return _observe(parts, decode_observation(line), accept_old)


def _observe(parts: Parts, observation: Observation | Refusal, accept_old: bool) -> Observed:
    counted = parts.standing.observed
    if isinstance(observation, Refusal):
        return Observed(observation, REFUSED, refusal=observation)
    seen = parts.identities.seen(observation.identity)
    fault = _fault_of(parts, observation, seen, accept_old)
    if fault is not None:
        return Observed(observation, REFUSED, refusal=fault)
    if seen is not None:
        counted.duplicate += 1
        return Observed(observation, DUPLICATE)
    parts.identities.recent[observation.identity] = observation.content
    book, policy = parts.book, parts.settings.reconciliation
    standing = Standing(parts.settled.at(observation), _adjusted_at(parts, observation))
    expected, finding = compare(book, book.sku(observation.sku), observation, policy, standing)
    if finding is None:
        counted.agreeing += 1
        return Observed(observation, AGREES, expected)
    adjusted = None
    if finding.action == ADJUSTED:
        adjusted = _adjust(parts, observation, finding, standing.adjusted_at)
        if adjusted.outcome.refusal is not None:
            # Somebody has used the finding's name for another movement: that counts.
            finding.action = REVIEW
        else:
            counted.adjusted += 1
            parts.settled.note(observation)
    counted.findings[finding.class_] = counted.findings.get(finding.class_, 0) + 1
    parts.findings.append(finding)
    return Observed(observation, DIFFERS, expected, finding, adjusted=adjusted)


def _adjusted_at(parts: Parts, observation: Observation) -> int:
    """Return when an adjustment occurs: no observation moves an event clock that runs."""
    if parts.running and parts.standing.clock_mode == EVENT:
        return min(observation.at, parts.book.clock)
    return observation.at


def _adjust(parts: Parts, observation: Observation, finding: Finding, at: int) -> Adjusted:
    line = adjustment(observation, finding, at)
    batch = step.prepare(parts, [line], lambda _: f"finding {finding.finding}")
    outcomes: list[Outcome] = []
    done = step.take(parts, batch, 0, outcomes)
    assert done == 1, "what was due by the clock has happened"
    return Adjusted(batch.movements[0], outcomes[0])


def _fault_of(
    parts: Parts, observation: Observation, seen: bytes | None, accept_old: bool
) -> Refusal | None:
    """Return why an observation is refused by its time or its identity, if it is."""
    fault = _fault_of_time(parts, observation, accept_old) if parts.running else None
    if fault is not None or seen is None or seen == observation.content:
        return fault
    return _refusal(
        observation,
        codes.CONFLICTING_DUPLICATE,
        f"{observation.source} told another quantity of {observation.sku} at "
        f"{observation.location} ({observation.disposition}) as of "
        f"{format_instant(observation.at)} before: the first one counts",
    )


def _fault_of_time(parts: Parts, observation: Observation, accept_old: bool) -> Refusal | None:
    book, settings, at = parts.book, parts.settings, observation.at
    clock = book.clock
    when = f"the observation is of {format_instant(at)}"
    ahead = settings.max_jump if parts.standing.clock_mode == EVENT else settings.max_future
    if at < book.counts_from():
        why = step.too_old(clock, "count_window", settings.count_window, at)
        return _refusal(
            observation,
            codes.COUNT_TOO_OLD,
            f"{when}, {why}: what the book was then is not known exactly any more",
        )
    if at < book.identities_from() and not accept_old:
        why = step.too_old(clock, "dedupe_window", settings.dedupe_window, at)
        return _refusal(
            observation,
            codes.TOO_OLD,
            f"{when}, {why}: nobody can tell any more whether it was seen",
        )
    if at > clock + ahead:
        now = f"the clock, {format_instant(clock)}"
        text = f"{when}, more than {format_duration(ahead)} after {now}"
        return _refusal(observation, codes.FUTURE_DATED, text)
    return None


def _refusal(observation: Observation, code: str, message: str) -> Refusal:
    return refuse_observation(code, message, correlation_id=observation.correlation_id)


def _keep(parts: Parts, line: bytes, origin: str, fault: Refusal) -> str:
    """Keep a refused observation as an exception, and return its identity."""
    parts.standing.observed.refused += 1
    counted = parts.standing.figures.exceptions
    counted[fault.code] = counted.get(fault.code, 0) + 1
    parts.letters.add(
        fault.code,
        fault.severity,
        fault.message,
        REFUSED,
        line,
        origin,
        format_instant(parts.book.clock) if parts.running else None,
        fault.correlation_id,
        OBSERVATION,
    )
    return exception_id(parts.letters.number)


def outcome_of(observed: Observed, line: bytes) -> ObservationOutcome:
    """What is told of an observation that came as the line."""
    return observation_outcome(
        observed.observation,
        line,
        observed.outcome,
        observed.expected,
        observed.finding,
        observed.refusal,
        observed.exception,
    )
