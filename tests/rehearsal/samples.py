"""Loads, outputs and results as the tests of a rehearsal need them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.rehearsal.limits import judge, parse_limits
from engine.rehearsal.load import SECOND, Load
from engine.rehearsal.result import (
    ChannelResult,
    Delay,
    EngineResult,
    ErpResult,
    FaultResult,
    Headroom,
    Played,
    Result,
    Series,
    Trial,
)

ORIGIN = 1_780_000_000 * SECOND


def line(number: int, **fields: Any) -> bytes:
    """A sale, or what the fields say."""
    movement = {
        "id": f"m-{number}",
        "source": "pos-1",
        "type": "sale",
        "sku": "A",
        "location": "S-1",
        "quantity": 1,
        "occurred_at": "2026-11-27T10:00:00Z",
    }
    return json.dumps({**movement, **fields}).encode()


def load_of(lines: Sequence[bytes], seconds: Sequence[float]) -> Load:
    """Lines that are offered so many seconds after the start."""
    offsets = np.array([round(second * SECOND) for second in seconds], dtype=np.int64)
    return Load(list(lines), offsets, ORIGIN, 1.0)


def publication(sku: str, available: int, status: str, cause: str | None) -> dict[str, Any]:
    """A record of a channel's topic; the cause is a movement of `pos-1`."""
    told = {"source": "pos-1" if cause else "engine", "id": cause or "expiry"}
    return {
        "sku": sku,
        "location": None,
        "available": available,
        "status": status,
        "cause": {**told, "correlation_id": None},
    }


def append(path: Path, *records: Mapping[str, Any]) -> None:
    """Append records to an output file."""
    with path.open("ab") as file:
        for record in records:
            file.write(json.dumps(record).encode() + b"\n")


def result(
    p99: float | None = 7.7, *, headroom: bool = True, says: str = "tills offline"
) -> Result:
    """A rehearsal of ten seconds with one fault; without `p99` nothing urgent was published."""
    delay = Delay(40, 0.6, p99, 7.9)
    figures: dict[str, float | None] = {"drain": 0.0, "lost": 0.0}
    if p99 is not None:
        figures["urgent-p50"], figures["urgent-max"] = 0.6 * SECOND, 7.9 * SECOND
        figures["urgent-p99"] = p99 * SECOND
    judgements = judge(figures, parse_limits([]))
    trials = [
        Trial(2.0, 400.0, 0.9, 0.1, True, ""),
        Trial(4.0, 800.0, 9.0, None, False, "the engine fell behind"),
    ]
    ten = [float(second) for second in range(10)]
    delays: list[float | None] = [None, *ten[1:]]
    return Result(
        holds=all(each.holds is not False for each in judgements),
        judgements=judgements,
        load=Played("generated movements", 1.0, 2_000, 10.0, 200.0, 390.0, True, 0.01),
        faults=[FaultResult("till-chain", says, 3.0, 6.0)],
        channels=[ChannelResult("web", 90, delay, delay, 7, 3, 0)],
        urgent=delay,
        publications=delay,
        exceptions={"negative_stock": 3},
        rejected=4,
        erp=ErpResult(5, 50, 2, 0, 10.0),
        engine=EngineResult(0.1, 0.3, 120_000_000, [1.2]),
        headroom=Headroom(2.0, False, trials) if headroom else None,
        notes=["ERP windows were shortened to 2s."],
        series=Series(ten, ten, ten, delays, delays, {"web": ten}, ten, ten),
        rules="rules",
        runtime="embedded",
        begun_at="2026-11-27T10:00:00Z",
        seconds=30.0,
        machine="x86_64, 2 cores",
        version="1.0",
    )
