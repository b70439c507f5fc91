"""What the engine knows about itself: counts over its whole history, and where it stands."""

from __future__ import annotations

import msgspec

from engine.contracts.records import NEVER


class Figures(msgspec.Struct, omit_defaults=True):
    """Counts over the data folder's whole history; `received` is the sum of the outcomes."""

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    absorbed: int = 0
    rejected: int = 0
    refused: int = 0
    publications: dict[str, int] = {}
    exceptions: dict[str, int] = {}
    decisions: int = 0
    postings: int = 0
    snapshots: int = 0


class ObservationFigures(msgspec.Struct, omit_defaults=True):
    """Counts of observations over the whole history; `findings` by class."""

    agreeing: int = 0
    duplicate: int = 0
    refused: int = 0
    adjusted: int = 0
    findings: dict[str, int] = {}


class BucketState(msgspec.Struct, array_like=True):
    """Where a channel's token bucket stands."""

    tokens: int
    filled_at: int


class Sweep(msgspec.Struct, array_like=True):
    """How far the SKUs have been looked at again since the rules changed.

    `cursor` is the name of the SKU record to go on from; `since` is when the rules changed.
    """

    cursor: bytes
    since: int


class Standing(msgspec.Struct, omit_defaults=True):
    """The engine's own record: all that its next step needs beside the keys themselves.

    Instants are None before the clock runs. `tick` is the length of the ticks of which `last_tick`
    is one, microseconds. `cut` is the tick of a snapshot that is being written.
    `count_window` and `dedupe_window` are those in force; `counts_from` and `identities_from` are
    instants before which movements may be forgotten, since a window was shorter once.
    `channels` are all that were ever configured, by slot; `order` those of the rules in force.
    """

    figures: Figures = msgspec.field(default_factory=Figures)
    clock_mode: str = "wall"
    clock: int | None = None
    last_tick: int | None = None
    tick: int = 0
    count_window: int = 0
    dedupe_window: int = 0
    counts_from: int = NEVER
    identities_from: int = NEVER
    commit: int = 0
    epoch: int = 0
    fingerprint: str = ""
    rules_from: int | None = None
    channels: list[str] = []
    order: list[str] = []
    buckets: dict[str, BucketState] = {}
    sweep: Sweep | None = None
    next_snapshot: int | None = None
    snapshot_ordered: bool = False
    cut: int | None = None
    exception_number: int = 0
    posting_number: int = 0
    forgotten_until: int = 0
    observed: ObservationFigures = msgspec.field(default_factory=ObservationFigures)
