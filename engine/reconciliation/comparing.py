"""One observation against the book as of its time."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.contracts.findings import ADJUSTED, REVIEW, Finding
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


class Standing(NamedTuple):
    """What an adjustment would meet, instants.

    `settled_at` is when the newest observation was made by which the book was adjusted;
    `adjusted_at` when an adjustment by this one would occur.
    """

    settled_at: int
    adjusted_at: int


def compare(
    book: Book, sku: Sku, observation: Observation, policy: Policy, standing: Standing
) -> Compared:
    """Compare an observation with the book as of its time.

    A finding with the action `adjusted` says what is to be done; nothing is done here.
    """
    expected = expected_at(book, sku, observation)
    difference = observation.quantity - expected
    if not difference:
        return Compared(expected, None)
    kind = class_of(gather(book, sku, observation, expected, policy.in_flight))
    key = book.key(sku, observation.location)
    counted_at = counts.counted_at(key, DISPOSITIONS.index(observation.disposition))
    settled = observation.at <= max(counted_at, standing.settled_at)
    action = action_of(kind, difference, expected, settled, policy)
    if action == ADJUSTED and standing.adjusted_at <= counted_at:
        action = REVIEW  # the adjustment would be absorbed: the count saw that instant already
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
            action=action,
            observed_at=format_instant(observation.at),
            disposition=observation.disposition,
        ),
    )


def finding_id(observation: Observation) -> str:
    """The identity of the finding: it follows from the observation's own."""
    return f"f-{observation.identity.hex()}"


def adjustment(observation: Observation, finding: Finding, at: int) -> bytes:
    """The movement that brings the book to what was observed, as a line of JSON."""
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
