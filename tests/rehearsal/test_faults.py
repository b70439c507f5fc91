"""Faults: how they are written, and when they happen."""

from __future__ import annotations

import pytest

from engine.contracts.errors import UsageError
from engine.rehearsal.faults import Fault, of_kind, parse_fault

SECOND = 1_000_000
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("erp", Fault("erp", 20 * SECOND, 20 * SECOND)),
        ("worker", Fault("worker", 20 * SECOND, SECOND)),
        ("worker@5s+3s", Fault("worker", 5 * SECOND, 3 * SECOND)),
        ("till-chain=pos-*@10s+15s", Fault("till-chain", 10 * SECOND, 15 * SECOND, "pos-*")),
        ("marketplace=amazon-us", Fault("marketplace", 20 * SECOND, 20 * SECOND, "amazon-us")),
    ],
)
def test_a_fault_is_written_in_a_few_signs(text: str, fault: Fault) -> None:
    """Only the kind must be given: it then begins after a third of the load, and lasts another."""
    assert parse_fault(text, MINUTE) == fault


@pytest.mark.parametrize(
    "text", ["fire", "", "erp=sap", "erp=1@2s", "erp@soon", "erp@1s+long", "erp@60s", "erp@2m"]
)
def test_a_fault_that_cannot_be_is_refused_with_advice(text: str) -> None:
    """Also one that would begin when the load has ended."""
    with pytest.raises(UsageError) as error:
        parse_fault(text, MINUTE)
    assert error.value.advice


def test_faults_of_a_kind_come_in_order() -> None:
    """By their start, whatever the order of the flags."""
    faults = [parse_fault(text, MINUTE) for text in ("worker@9s", "erp", "worker@3s")]
    assert [fault.start for fault in of_kind(faults, "worker")] == [3 * SECOND, 9 * SECOND]


def test_a_fault_is_told_in_words() -> None:
    """With what was chosen for it, if that is known."""
    fault = parse_fault("till-chain@10s+15s", MINUTE)
    assert fault.told("2 sources: pos-1, pos-2") == (
        "tills offline, then all of theirs at once (2 sources: pos-1, pos-2), from 10s on for 15s"
    )
