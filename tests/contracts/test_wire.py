"""The outgoing records are written with exactly the promised fields, in the promised order."""

from __future__ import annotations

import msgspec

from engine.contracts.availability import Availability, Cause
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import exception_record
from engine.contracts.findings import Finding
from engine.contracts.outcomes import MovementOutcome
from engine.contracts.postings import Posting, PostingLine
from engine.contracts.snapshots import (
    ChannelRow,
    CountedAt,
    LedgerRow,
    SnapshotHeader,
    SnapshotTrailer,
)

T = "2026-11-20T12:00:00Z"
CAUSE = Cause("pos", "m-1", None)


def written(record: msgspec.Struct) -> str:
    """The line of one record, without its newline."""
    return msgspec.json.Encoder().encode_lines([record]).decode().removesuffix("\n")


def test_availability_is_written_in_order_with_its_nulls() -> None:
    """A consumer may rely on every field being there."""
    record = Availability("s", "c", None, 3, "low_stock", 1, T, CAUSE)
    assert written(record) == (
        '{"sku":"s","channel":"c","location":null,"available":3,"status":"low_stock","version":1,'
        f'"computed_at":"{T}","cause":{{"source":"pos","id":"m-1","correlation_id":null}}}}'
    )


def test_a_decision_is_written_in_order_with_its_nulls() -> None:
    """Whatever the step."""
    record = Decision("r", "s", None, None, "expired", 2, None, None, T, None)
    assert written(record) == (
        '{"reservation":"r","sku":"s","location":null,"channel":null,"outcome":"expired",'
        f'"quantity":2,"requested":null,"reason":null,"decided_at":"{T}","correlation_id":null}}'
    )


def test_a_posting_is_written_in_order() -> None:
    """With its lines inside."""
    lines = [PostingLine("l", "s", "sellable", -2)]
    record = Posting("d", 1, T, T, "2026-11-20", "sale", lines, 1)
    assert written(record) == (
        f'{{"document":"d","sequence":1,"window_start":"{T}","window_end":"{T}",'
        '"business_date":"2026-11-20","type":"sale","lines":[{"location":"l","sku":"s",'
        '"disposition":"sellable","quantity":-2}],"movements":1}'
    )


def test_a_snapshot_is_written_in_order() -> None:
    """Header, rows of both kinds, trailer."""
    header = SnapshotHeader(snapshot="n", channel=None, ledger=True, taken_at=T, rows=1, position=7)
    assert written(header) == (
        f'{{"snapshot":"n","kind":"header","channel":null,"ledger":true,"taken_at":"{T}",'
        '"rows":1,"position":7}'
    )
    row = ChannelRow("s", "c", None, None, None, 0, None, None, 4)
    assert written(row) == (
        '{"sku":"s","channel":"c","location":null,"available":null,"status":null,"version":0,'
        '"computed_at":null,"cause":null,"computed":4}'
    )
    stock = LedgerRow("s", "l", -1, 0, 0, 2, 0, 9, CountedAt(sellable=T))
    assert written(stock) == (
        '{"sku":"s","location":"l","sellable":-1,"inspecting":0,"damaged":0,"reserved":2,'
        f'"incoming":0,"version":9,"counted_at":{{"sellable":"{T}","inspecting":null,'
        '"damaged":null}}'
    )
    trailer = SnapshotTrailer(snapshot="n", rows=1, sha256="ab")
    assert written(trailer) == '{"snapshot":"n","kind":"trailer","rows":1,"sha256":"ab"}'


def test_a_finding_is_written_in_order() -> None:
    """Its class is called class."""
    record = Finding("f", "s", "l", "wms", 3, 2, -1, "shrink", "review", T, "damaged")
    assert written(record) == (
        '{"finding":"f","sku":"s","location":"l","source":"wms","expected":3,"observed":2,'
        f'"difference":-1,"class":"shrink","action":"review","observed_at":"{T}",'
        '"disposition":"damaged"}'
    )


def test_an_exception_is_written_in_order_with_one_payload() -> None:
    """The payload stands where its text would."""

    def line(payload: bytes) -> str:
        return written(
            exception_record(
                exception="1",
                code="malformed",
                severity="high",
                message="m",
                outcome="refused",
                payload=payload,
                origin="f:1",
                first_seen=T,
                correlation_id=None,
            )
        )

    start = (
        '{"exception":"1","code":"malformed","severity":"high","message":"m","outcome":"refused"'
    )
    end = f'"origin":"f:1","first_seen":"{T}","correlation_id":null}}'
    assert line(b"{") == f'{start},"payload":"{{",{end}'
    assert line(b"\xff") == f'{start},"payload_base64":"/w==",{end}'


def test_an_outcome_is_written_in_order() -> None:
    """Identity, outcome, code."""
    record = MovementOutcome("pos", "m-1", "s", "applied", None)
    assert written(record) == (
        '{"source":"pos","id":"m-1","sku":"s","outcome":"applied","code":null}'
    )
