"""What the metrics tell of a runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.contracts.answers import ChannelStanding
from engine.contracts.outcomes import AGREES, DIFFERS, DUPLICATE, OUTCOMES, REFUSED
from engine.core.figures import Standing


class Figures(NamedTuple):
    """Counts over a runtime's whole history, and its queue.

    `outcomes` are those of movements, `exceptions` are by code, `findings` by class; `waiting` are
    the movements in its queue.
    """

    outcomes: Mapping[str, int]
    exceptions: Mapping[str, int]
    observations: Mapping[str, int]
    findings: Mapping[str, int]
    waiting: int
    channels: Sequence[ChannelStanding]


def figures_of(
    standings: Iterable[Standing], waiting: int, channels: Sequence[ChannelStanding]
) -> Figures:
    """What an engine's own records come to: one, or one for each partition."""
    outcomes, exceptions = Counter[str](), Counter[str]()
    observations, findings = Counter[str](), Counter[str]()
    for one in standings:
        outcomes.update({name: getattr(one.figures, name) for name in OUTCOMES})
        exceptions.update(one.figures.exceptions)
        observations[AGREES] += one.observed.agreeing
        observations[DIFFERS] += sum(one.observed.findings.values())
        observations[DUPLICATE] += one.observed.duplicate
        observations[REFUSED] += one.observed.refused
        findings.update(one.observed.findings)
    return Figures(outcomes, exceptions, observations, findings, waiting, channels)
