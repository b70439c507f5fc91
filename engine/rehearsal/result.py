"""What a rehearsal found, as data: what `--json` prints and the report shows. Times in seconds."""

from __future__ import annotations

import msgspec

from engine.rehearsal.limits import Judgement


class Delay(msgspec.Struct):
    """How long publications took from the moment when their cause was offered."""

    count: int
    p50: float | None
    p99: float | None
    max: float | None


class ChannelResult(msgspec.Struct):
    """One channel: what it was told, and how many keys its limits held back at most."""

    name: str
    publications: int
    urgent: Delay
    all: Delay
    held_back_peak: int
    held_back_by_rate_peak: int
    held_back_at_end: int


class Played(msgspec.Struct):
    """The load as it was played."""

    source: str
    factor: float
    movements: int
    seconds: float
    movements_per_second: float
    busiest_second: float
    whole: bool
    generator_late: float


class EngineResult(msgspec.Struct):
    """What it cost: the share of one core, and memory; how long starts after a kill took."""

    cpu_mean: float | None
    cpu_peak: float | None
    memory_bytes: int
    restarts: list[float]


class ErpResult(msgspec.Struct):
    """The ERP: documents written, lines in them, and how many waited for it."""

    documents: int
    lines: int
    waiting_peak: int
    waiting_at_end: int
    documents_per_second: float


class Trial(msgspec.Struct):
    """One try of the search for headroom."""

    times: float
    movements_per_second: float
    urgent_p99: float | None
    drain: float | None
    holds: bool
    why: str


class Headroom(msgspec.Struct):
    """How many times the load would still hold: the most that did; `open` when nothing failed."""

    times: float
    open: bool
    trials: list[Trial]


class Series(msgspec.Struct):
    """What is drawn: one value for each second from the start on."""

    offered: list[float]
    taken: list[float]
    waiting: list[float]
    urgent_p50: list[float | None]
    urgent_p99: list[float | None]
    held_back: dict[str, list[float]]
    erp_waiting: list[float]
    cpu: list[float]


class FaultResult(msgspec.Struct):
    """A fault that was played."""

    kind: str
    says: str
    start: float
    end: float


class Result(msgspec.Struct):
    """A rehearsal: `holds` is the verdict."""

    holds: bool
    judgements: list[Judgement]
    load: Played
    faults: list[FaultResult]
    channels: list[ChannelResult]
    urgent: Delay
    publications: Delay
    exceptions: dict[str, int]
    rejected: int
    erp: ErpResult
    engine: EngineResult
    headroom: Headroom | None
    notes: list[str]
    series: Series
    rules: str
    runtime: str
    begun_at: str
    seconds: float
    machine: str
    version: str
