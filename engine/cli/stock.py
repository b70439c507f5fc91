"""`sellable stock`: what is where."""

from __future__ import annotations

import typer

from engine.cli.examples import epilog
from engine.cli.options import AsJson, DataOrUrl, Key, OneLocation, Sku, Url
from engine.cli.printing import counted, number, print_json, print_table, say
from engine.cli.reading import looking_at
from engine.cli.remote import folder_of, quoted, remote_of
from engine.contracts.answers import Stock, StockLine, stock_line
from engine.contracts.snapshots import CountedAt

_NUMBERS = (
    "sellable",
    "inspecting",
    "damaged",
    "on hand",
    "reserved",
    "incoming",
    "version",
)
_COLUMNS = ("location", *_NUMBERS, "counted")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stock", epilog=epilog("stock"))(stock)


def stock(
    sku: Sku,
    data: DataOrUrl = None,
    url: Url = None,
    key: Key = None,
    location: OneLocation = None,
    as_json: AsJson = False,
) -> None:
    """Show the stock of a SKU at each location.

    Reads what the engine has committed, also while it runs: from its data folder, or from a
    running engine that listens. On hand is what is there: sellable, under inspection and damaged.
    Incoming is ordered or on its way.
    """
    remote = remote_of(data, url, key)
    if remote is not None:
        found = remote.get(f"/v1/stock/{quoted(sku)}", {"location": location}, Stock)
    else:
        with looking_at(folder_of(data)) as view:
            unallocated, rows = view.stock(sku, location)
        found = Stock(sku, unallocated, [stock_line(row) for row in rows])
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: Stock) -> None:
    if found.locations:
        print_table(_COLUMNS, _rows(found.locations), numbers=_NUMBERS)
    else:
        say(f"{found.sku} is at no location.")
    if found.unallocated_reserved:
        units = counted(found.unallocated_reserved, "unit")
        say(f"{units} more reserved without a location.")


def _rows(lines: list[StockLine]) -> list[list[str]]:
    rows = [
        [
            line.location,
            *(number(value) for value in _values(line)),
            number(line.version),
            _counted(line.counted_at),
        ]
        for line in lines
    ]
    if len(lines) > 1:
        sums = [sum(column) for column in zip(*(_values(line) for line in lines), strict=True)]
        rows.append(["all", *(number(value) for value in sums), "", ""])
    return rows


def _values(line: StockLine) -> tuple[int, ...]:
    return (
        line.sellable,
        line.inspecting,
        line.damaged,
        line.on_hand,
        line.reserved,
        line.incoming,
    )


def _counted(when: CountedAt) -> str:
    """The newest count of the sellable stock, and of the others where there was one."""
    told = [when.sellable or "never" if not (when.inspecting or when.damaged) else when.sellable]
    if when.inspecting:
        told.append(f"inspecting {when.inspecting}")
    if when.damaged:
        told.append(f"damaged {when.damaged}")
    return ", ".join(each for each in told if each)
