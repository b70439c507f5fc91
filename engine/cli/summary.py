"""The summary of a run: the line of JSON that it prints last."""

from __future__ import annotations

import msgspec

from engine.embedded.loop import Ending
from engine.embedded.runtime import Runtime

_SECONDS_DIGITS = 3
_RATE_DIGITS = 1


class Summary(msgspec.Struct):
    """What the engine did.

    Counts are over the data folder's whole history. `pending` are the keys whose last publication
    differs from their value now. `seconds` and `movements_per_second` are of this run.
    """

    received: int
    applied: int
    duplicate: int
    absorbed: int
    rejected: int
    refused: int
    publications: dict[str, int]
    exceptions: dict[str, int]
    decisions: int
    postings: int
    snapshots: int
    pending: int
    seconds: float
    movements_per_second: float


def summarise(runtime: Runtime, ending: Ending) -> Summary:
    """The summary of a run that has ended.

    `publications` has every configured channel, and those of earlier rule sets that were told
    something.
    """
    figures = runtime.engine.standing.figures
    publications = {channel.name: 0 for channel in runtime.engine.rules.channels}
    publications.update(figures.publications)
    rate = ending.received / ending.seconds if ending.seconds else 0.0
    return Summary(
        received=figures.received,
        applied=figures.applied,
        duplicate=figures.duplicate,
        absorbed=figures.absorbed,
        rejected=figures.rejected,
        refused=figures.refused,
        publications=publications,
        exceptions=dict(sorted(figures.exceptions.items())),
        decisions=figures.decisions,
        postings=figures.postings,
        snapshots=figures.snapshots,
        pending=runtime.engine.pending(),
        seconds=round(ending.seconds, _SECONDS_DIGITS),
        movements_per_second=round(rate, _RATE_DIGITS),
    )
