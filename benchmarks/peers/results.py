"""What a comparison measured: one record a run, kept as JSON, so that more can be added later."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one peer, from its start until everything was durable.

    The figures of the second half leave the start and the warming up of a compiler out; where a
    peer tells nothing on its way, they are those of the whole run. `wrong` says what differed from
    the oracle, or how the run ended; it is empty when all was right. `parts` are the CPU seconds of
    each of its processes, where there are several. `load` is the number of
    processes that wanted to run on the machine, on average over the last minute of the run.
    """

    peer: str
    mode: str
    round: int
    commit: str
    movements: int
    wall_s: float = 0.0
    cpu_s: float = 0.0
    half_movements: int = 0
    half_wall_s: float = 0.0
    half_cpu_s: float = 0.0
    peak_bytes: int = 0
    publications: int = 0
    load: float = 0.0
    parts: dict[str, float] = {}
    wrong: str = ""


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """A peer was killed after so many movements and started again; see `outputs` for the counts."""

    peer: str
    mode: str
    commit: str
    movements: int
    killed_at: int
    told: int = 0
    lost: int = 0
    repeated: int = 0
    changed: int = 0
    wrong: str = ""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A peer as the report tells of it."""

    name: str
    title: str
    version: str
    input: str
    state: str
    output: str
    after_a_crash: str
    uses_kafka: bool
    own: bool
    missing: str = ""


class Comparison(msgspec.Struct, kw_only=True):
    """Everything a report says.

    `floors_us` are the CPU microseconds of decoding a line and nothing else, measured between the
    rounds. `checked` tells what was compared with the oracle record by record before.
    """

    started: str
    machine: str
    software: str
    peers: list[Described]
    checked: list[str] = []
    floors_us: list[float] = []
    runs: list[Run] = []
    kills: list[Kill] = []


def load(path: Path) -> Comparison:
    """Read what was measured before.

    Raises:
        FileNotFoundError: nothing was.
    """
    return msgspec.json.decode(path.read_bytes(), type=Comparison)


def save(comparison: Comparison, path: Path) -> None:
    """Write it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(comparison)) + b"\n")
    partial.rename(path)
