"""What a rehearsal is called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.kafka.settings import KafkaSettings
from engine.rehearsal.faults import Fault


@dataclass(frozen=True, slots=True)
class Plan:
    """One rehearsal.

    `movements` are files with a recording; without any the load is generated, `rate` movements a
    second at factor 1. `duration` is how long the load lasts, microseconds. `limits` are by name.
    `overrides` are settings of the engine by dotted name. `kafka` is where and how the workers run
    that are rehearsed; None: it is the embedded engine.
    """

    rules: Path
    movements: tuple[str, ...]
    factor: float
    duration: int
    rate: float
    skus: int
    seed: int
    faults: tuple[Fault, ...]
    limits: Mapping[str, float]
    erp_rate: float
    seeks_headroom: bool
    overrides: Mapping[str, str] = field(default_factory=dict)
    kafka: KafkaSettings | None = None
