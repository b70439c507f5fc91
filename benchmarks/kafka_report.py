"""What the benchmarks on Kafka print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.kafka_restore import Phase
from benchmarks.process import machine
from benchmarks.report import MEGABYTE, MICROSECONDS


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What a worker did, counted in `unit`, and what it took: its own CPU time, and the time."""

    count: int
    unit: str
    cpu_s: float
    wall_s: float
    peak_bytes: int


def print_worker(title: str, row: WorkerRow, more: str, floor_us: float, console: Console) -> None:
    """Prints the cost of one worker, beside that of decoding a line and nothing else."""
    each_us = row.cpu_s / row.count * MICROSECONDS
    table = Table(title=title, title_justify="left", caption=machine())
    for name in (row.unit, "CPU each", f"{row.unit}/s a core", "x floor", "in all", "peak memory"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{row.count:,}",
        f"{each_us:.2f} us",
        f"{row.count / row.cpu_s:,.0f}",
        f"{each_us / floor_us:.1f} (floor {floor_us:.2f} us)",
        f"{row.wall_s:.1f} s, {more}",
        f"{row.peak_bytes / MEGABYTE:,.0f} MB",
    )
    console.print(table)


def print_phases(title: str, phases: Sequence[Phase], console: Console) -> None:
    """Prints what a worker did, one row each."""
    table = Table(title=title, title_justify="left", caption=machine())
    table.add_column("what")
    for name in ("time", "CPU", "peak memory"):
        table.add_column(name, justify="right")
    for one in phases:
        memory = f"{one.peak_bytes / MEGABYTE:,.0f} MB"
        table.add_row(one.name, f"{one.seconds:.1f} s", f"{one.cpu_s:.1f} s", memory)
    console.print(table)
