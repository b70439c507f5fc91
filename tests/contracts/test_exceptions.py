"""Exceptions: codes, severities, advice, and the record with its payload."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import exceptions as codes
from engine.contracts.exceptions import (
    ADVICE,
    CODES,
    SEVERITIES,
    ExceptionRecord,
    exception_record,
    payload_bytes,
    severity_of,
)
from tests.contracts.support import ALL_TYPES, refused, wire


def record_of(payload: bytes) -> ExceptionRecord:
    """A record with the payload."""
    return exception_record(
        exception="1",
        code="malformed",
        severity="high",
        message="m",
        outcome="refused",
        payload=payload,
        origin="f:1",
        first_seen="2026-11-20T12:00:00Z",
        correlation_id=None,
    )


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_severity_and_advice(code: str) -> None:
    """For every type of movement, and without one."""
    assert ADVICE[code].endswith(".")
    assert {severity_of(code, name) for name in (None, *ALL_TYPES)} <= set(SEVERITIES)


@pytest.mark.parametrize(
    ("movement_type", "quantity", "severity"),
    [
        ("sale", 2, "critical"),
        ("fulfil", 2, "critical"),
        ("transfer", 2, "critical"),
        ("reserve", 2, "critical"),
        ("confirm", None, "critical"),
        ("adjustment", -2, "critical"),
        ("adjustment", 2, "medium"),
        ("return", 2, "medium"),
        ("receipt", 2, "medium"),
        ("release", None, "medium"),
    ],
)
def test_a_refused_movement_that_takes_stock_away_is_critical(
    movement_type: str, quantity: int | None, severity: str
) -> None:
    """What it took is still on offer; one that brings stock only sells too little."""
    assert refused(wire(movement_type, quantity=quantity, source="")).severity == severity
    assert severity_of(codes.CONFLICTING_DUPLICATE, movement_type, quantity) == severity


def test_a_movement_that_cannot_be_read_may_be_anything() -> None:
    """So it is high: neither critical nor harmless."""
    assert refused([]).severity == "high"
    assert refused(wire(type="teleport")).severity == "high"


@given(st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
def test_a_payload_is_kept_byte_for_byte(payload: bytes) -> None:
    """As text where it is UTF-8, in base64 where it is not, and never both."""
    line = msgspec.json.encode(record_of(payload))
    values = msgspec.json.decode(line)
    assert ("payload" in values) != ("payload_base64" in values)
    assert payload_bytes(msgspec.json.decode(line, type=ExceptionRecord)) == payload


def test_a_record_without_a_payload_cannot_be_replayed() -> None:
    """It was not written by the engine."""
    record = record_of(b"x")
    record.payload = msgspec.UNSET
    with pytest.raises(ValueError, match="no payload"):
        payload_bytes(record)
    record.payload_base64 = "damaged!"
    with pytest.raises(ValueError, match=r"."):
        payload_bytes(record)
