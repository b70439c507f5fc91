"""Observations in one partition: what is told of them, and of the adjustments by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.core.engine import Engine
from engine.core.observing import Observed, outcome_of
from engine.core.step import Outcome
from engine.kafka.catalogue import OBSERVED, OUTCOMES
from engine.kafka.ledger_record import Messages
from engine.kafka.messages import observation_messages, outcome_messages


class Told(NamedTuple):
    """Messages of the topics, and the outcomes of the movements that adjusted the book."""

    messages: Messages
    outcomes: list[Outcome]


def take_observations(
    engine: Engine,
    lines: Sequence[bytes],
    origins: Sequence[str],
    partition: int,
    accept_old: bool = False,
) -> Told:
    """Take observations in order, once all that is due has happened."""
    observed = engine.observe(lines, origins.__getitem__, accept_old)
    return tell(observed, lines, origins, partition)


def tell(
    observed: Sequence[Observed], lines: Sequence[bytes], origins: Sequence[str], partition: int
) -> Told:
    """What is told of observations: what became of each, and of each adjustment."""
    outcomes = [outcome_of(one, line) for one, line in zip(observed, lines, strict=True)]
    messages: Messages = {OBSERVED: observation_messages(outcomes, origins, partition)}
    adjusted = [one.adjusted for one in observed if one.adjusted is not None]
    findings = [one.finding for one in observed if one.adjusted is not None]
    messages[OUTCOMES] = outcome_messages(
        [one.movement for one in adjusted],
        [b""] * len(adjusted),  # a movement of the engine's own is never without its identity
        [one.outcome for one in adjusted],
        [f"finding {one.finding}" for one in findings if one is not None],
    )
    return Told(messages, [one.outcome for one in adjusted])
