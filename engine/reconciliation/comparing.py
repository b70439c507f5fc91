"""One observation against the book as of its time."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.contracts.findings import Finding
from engine.contracts.instants import format_instant
from engine.contracts.observations import Observation
from engine.ledger import counts
from engine.ledger.book import DISPOSITIONS, Book, Sku
from engine.reconciliation.actions import action_of
from engine.reconciliation.classes import class_of
from engine.reconciliation.evidence import expected_at, gather
from engine.rules.model import Policy

SOURCE = "reconciliation"
"""The source of the adjustments that are made."""


class Compared(NamedTuple):
    """What the book expected, and the finding when the observation is something else."""

    expected: int
    finding: Finding | None


def compare(
    book: Book, sku: Sku, observation: Observation, policy: Policy, settled_at: int
) -> Compared:
    """Compare an observation with the book as of its time.

    `settled_at` is when the newest observation was made by which the book was adjusted. A finding
    with the action `adjusted` says what is to be done; nothing is done here.
    """
    expected = expected_at(book, sku, observation)
    difference = observation.quantity - expected
    if not difference:
        return Compared(expected, None)
    kind = class_of(gather(book, sku, observation, expected, policy.in_flight))
    key = book.key(sku, observation.location)
    counted_at = counts.counted_at(key, DISPOSITIONS.index(observation.disposition))
    settled = observation.at <= max(counted_at, settled_at)
    return Compared(
        expected,
        Finding(
            finding=finding_id(observation),
            sku=observation.sku,
            location=observation.location,
            source=observation.source,
            expected=expected,
            observed=observation.quantity,
            difference=difference,
            class_=kind,
            action=action_of(kind, difference, expected, settled, policy),
            observed_at=format_instant(observation.at),
            disposition=observation.disposition,
        ),
    )


def finding_id(observation: Observation) -> str:
    """The identity of the finding: it follows from the observation's own."""
    return f"f-{observation.identity.hex()}"


def adjustment(observation: Observation, finding: Finding, clock: int | None) -> bytes:
    """The movement that brings the book to what was observed, as of then, as a line of JSON.

    It never occurs after the clock, which is None before it runs: an observation does not move it.
    """
    at = observation.at if clock is None else min(observation.at, clock)
    movement: dict[str, str | int] = {
        "id": finding.finding,
        "source": SOURCE,
        "type": "adjustment",
        "sku": finding.sku,
        "location": finding.location,
        "quantity": finding.difference,
        "occurred_at": format_instant(at),
        "disposition": finding.disposition,
        "reason": f"{finding.class_}, observed by {finding.source}",
    }
    if observation.correlation_id is not None:
        movement["correlation_id"] = observation.correlation_id
    return msgspec.json.encode(movement)
