"""Tables of what was measured, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.process import Cost, machine

MICROSECONDS = 1e6
MEGABYTE = 1e6


@dataclass(frozen=True)
class Row:
    """One line of a table: what was run, over how many movements, and what it took.

    `before` is how many publications the same data folder had seen already.
    """

    name: str
    movements: int
    cost: Cost
    before: int = 0

    @property
    def publications(self) -> int:
        """Publications of this run alone."""
        return self.cost.publications - self.before

    @property
    def us_per_movement(self) -> float:
        """Wall microseconds a movement in the engine's loop, on one core."""
        return self.cost.loop_s / self.movements * MICROSECONDS


def print_speed(row: Row, floor: float, console: Console) -> None:
    """Prints the figures of INV-1 beside the floor."""
    cost = row.cost
    cpu_us = cost.cpu_s / row.movements * MICROSECONDS
    table = Table(title=f"{row.name} on one core", title_justify="left", caption=machine())
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("to reach", justify="right")
    rate = row.movements / cost.loop_s
    table.add_row("movements a second", f"{rate:,.0f}", "150,000")
    table.add_row("movements a CPU second, with start", f"{row.movements / cost.cpu_s:,.0f}", "")
    table.add_row("CPU a movement", f"{cpu_us:.2f} us", "")
    table.add_row("floor: decoding alone", f"{floor:.2f} us", "")
    table.add_row("times the floor", f"{cpu_us / floor:.1f}", "30")
    table.add_row("publications", f"{row.publications:,}", "")
    table.add_row("peak memory", f"{cost.peak_bytes / MEGABYTE:,.0f} MB", "")
    console.print(table)


def print_series(title: str, rows: Sequence[Row], console: Console) -> None:
    """Prints a series that should be flat, each row beside the first."""
    table = Table(title=title, title_justify="left", caption=machine())
    table.add_column("workload")
    for name in ("us a movement", "beside the first", "publications a movement", "peak memory"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.us_per_movement:.2f}",
            f"{row.us_per_movement / rows[0].us_per_movement - 1:+.0%}",
            f"{row.publications / row.movements:.2f}",
            f"{row.cost.peak_bytes / MEGABYTE:,.0f} MB",
        )
    console.print(table)
