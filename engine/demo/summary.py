"""What happened in the demo: figures from the engine's summary and its output files, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.demo.derive import Derivation

AVAILABILITY = "availability."
DECISIONS = "reservations.decisions"
POSTINGS = "erp.postings"
OUTCOMES = ("applied", "duplicate", "absorbed", "rejected", "refused")
_MEANING = {
    "applied": "changed the book",
    "duplicate": "sent twice, booked once",
    "absorbed": "a count had seen them already",
    "rejected": "orders that stock could not serve",
    "refused": "kept as exceptions, to mend and replay",
}


@dataclass(frozen=True)
class ChannelFigures:
    """One channel: changes at its stores, what it was told, and how often that it is sold out."""

    name: str
    changes: int
    publications: int
    sold_out: int


@dataclass(frozen=True)
class Figures:
    """Everything that the closing tables show."""

    totals: Mapping[str, Any]
    channels: list[ChannelFigures]
    decisions: Mapping[str, int]
    posting_lines: int
    busiest_sku: str


def collect(out: Path, totals: Mapping[str, Any], derivation: Derivation) -> Figures:
    """Reads the output files and sets them beside the engine's own totals."""
    changes = _changes_of(derivation)
    rejected: Counter[str] = Counter()
    return Figures(
        totals=totals,
        channels=[
            ChannelFigures(
                name=name,
                changes=changes[name],
                publications=publications,
                sold_out=_count(out / f"{AVAILABILITY}{name}.ndjson", b'"status":"out_of_stock"'),
            )
            for name, publications in totals["publications"].items()
        ],
        decisions=_count_decisions(out / f"{DECISIONS}.ndjson", rejected),
        posting_lines=_count_all(out / f"{POSTINGS}.ndjson", b'"disposition":'),
        busiest_sku=_busiest(rejected, derivation),
    )


def _changes_of(derivation: Derivation) -> dict[str, int]:
    at = derivation.changes
    roles = derivation.roles
    hubs = int(at[roles.hub].sum())
    return {
        "web-shop": int(at[roles.ships].sum()),
        "amazon-us": hubs,
        "walmart": hubs,
        "click-and-collect": int(at[roles.collects].sum()),
    }


def _busiest(rejected: Counter[str], derivation: Derivation) -> str:
    """The SKU with the most orders turned away; of equals, and without any, the lowest."""
    if not rejected:
        return str(int(derivation.lines.products[0]))
    return min(rejected, key=lambda sku: (-rejected[sku], sku))


def _count_decisions(path: Path, rejected: Counter[str]) -> dict[str, int]:
    """Counts decisions by outcome, and in `rejected` those that were rejected by SKU."""
    outcomes: Counter[str] = Counter()
    if not path.exists():
        return outcomes
    with path.open("rb") as file:
        for line in file:
            outcome = _text_after(line, b'"outcome":"')
            outcomes[outcome] += 1
            if outcome == "rejected":
                rejected[_text_after(line, b'"sku":"')] += 1
    return outcomes


def _text_after(line: bytes, mark: bytes) -> str:
    start = line.index(mark) + len(mark)
    return line[start : line.index(b'"', start)].decode()


def _count(path: Path, mark: bytes) -> int:
    """Counts the lines of a file that hold a text."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(mark in line for line in file)


def _count_all(path: Path, mark: bytes) -> int:
    """Counts how often a text stands in a file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(line.count(mark) for line in file)


def show(figures: Figures, derivation: Derivation, console: Console) -> None:
    """Prints the tables."""
    console.print()
    console.print(_movements(figures))
    console.print(_channels(figures))
    console.print(_book(figures, derivation))
    console.print(_exceptions(figures))


def _movements(figures: Figures) -> Table:
    totals = figures.totals
    table = Table(title="Movements", title_justify="left", show_footer=True)
    table.add_column("outcome", footer="received")
    table.add_column("movements", justify="right", footer=f"{totals['received']:,}")
    rate = f"in {totals['seconds']:.1f} s: {totals['movements_per_second']:,.0f} a second"
    table.add_column("", footer=rate)
    for outcome in OUTCOMES:
        table.add_row(outcome, f"{totals[outcome]:,}", _MEANING[outcome])
    return table


def _channels(figures: Figures) -> Table:
    table = Table(title="Channels", title_justify="left")
    table.add_column("channel")
    table.add_column("changes at its stores", justify="right")
    table.add_column("publications", justify="right")
    table.add_column("of them sold out", justify="right")
    for channel in figures.channels:
        table.add_row(
            channel.name,
            f"{channel.changes:,}",
            f"{channel.publications:,}",
            f"{channel.sold_out:,}",
        )
    return table


def _book(figures: Figures, derivation: Derivation) -> Table:
    totals, decisions = figures.totals, figures.decisions
    sold_out = sum(channel.sold_out for channel in figures.channels)
    rows = (
        ("oversells prevented", decisions.get("rejected", 0), "strict reservations without stock"),
        ("reservations accepted", decisions.get("accepted", 0), "on the web and by marketplaces"),
        ("reservations expired", decisions.get("expired", 0), "baskets left at the checkout"),
        ("stock-outs", sold_out, "told to the channels"),
        ("cycle counts", derivation.kinds.get("count", 0), "of what is really there"),
        ("ERP documents", totals["postings"], f"with {figures.posting_lines:,} lines"),
        ("snapshots", totals["snapshots"], "consistent cuts of all channels and the book"),
    )
    table = Table(title="Stock", title_justify="left")
    table.add_column("what")
    table.add_column("how many", justify="right")
    table.add_column("")
    for what, count, meaning in rows:
        table.add_row(what, f"{count:,}", meaning)
    return table


def _exceptions(figures: Figures) -> Table:
    table = Table(title="Exceptions", title_justify="left")
    table.add_column("code")
    table.add_column("exceptions", justify="right")
    counts: Mapping[str, int] = figures.totals["exceptions"]
    for code, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        table.add_row(code, f"{count:,}")
    return table
