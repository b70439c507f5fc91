"""What the oracle and an engine tell differently about the same stream."""

from collections.abc import Mapping, Sequence
from typing import Any

from .scenarios import Results

EXCEPTION_FIELDS = ("exception", "code", "outcome", "payload", "correlation_id")


def disagreements(oracle: Results, engine: Results) -> list[str]:
    """The first difference of each output in one sentence; empty when they agree.

    Severity, message, origin and first_seen of exceptions, and the identifiers and positions of
    snapshots are the engine's own.
    """
    found = _first("outcome", oracle.outcomes, engine.outcomes)
    for channel in sorted(set(oracle.publications) | set(engine.publications)):
        found += _first(
            f"publication of {channel}",
            oracle.publications.get(channel, []),
            engine.publications.get(channel, []),
        )
    found += _first("decision", oracle.decisions, engine.decisions)
    found += _first("exception", _told(oracle.exceptions), _told(engine.exceptions))
    found += _first("posting", oracle.postings, engine.postings)
    found += _first("snapshot", oracle.snapshots, engine.snapshots)
    mine, other = oracle.counters(), engine.counters()
    found += [
        f"counter {name}: the oracle has {mine[name]}, the engine {other.get(name)}"
        for name in mine
        if mine[name] != other.get(name)
    ]
    return found


def _told(exceptions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: one.get(name) for name in EXCEPTION_FIELDS} for one in exceptions]


def _first(what: str, mine: Sequence[Any], other: Sequence[Any]) -> list[str]:
    for index in range(max(len(mine), len(other))):
        left = mine[index] if index < len(mine) else None
        right = other[index] if index < len(other) else None
        if left != right:
            return [f"{what} {index}: the oracle has {left}, the engine {right}"]
    return []
