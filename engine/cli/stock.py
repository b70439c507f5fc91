"""`sellable stock`: what is where."""

from __future__ import annotations

import msgspec
import typer

from engine.cli.examples import epilog
from engine.cli.options import AsJson, Data, OneLocation, Sku
from engine.cli.printing import counted, number, print_json, print_table, say
from engine.cli.reading import looking_at
from engine.contracts.snapshots import CountedAt, LedgerRow

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


class StockLine(msgspec.Struct):
    """The stock of a SKU at one location, in base units."""

    location: str
    sellable: int
    inspecting: int
    damaged: int
    on_hand: int
    reserved: int
    incoming: int
    version: int
    counted_at: CountedAt


class Stock(msgspec.Struct):
    """The stock of one SKU; `unallocated_reserved` is reserved without a location."""

    sku: str
    unallocated_reserved: int
    locations: list[StockLine]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stock", epilog=epilog("stock"))(stock)


def stock(sku: Sku, data: Data, location: OneLocation = None, as_json: AsJson = False) -> None:
    """Show the stock of a SKU at each location.

    Reads what the engine has committed, also while it runs. On hand is what is there: sellable,
    under inspection and damaged. Incoming is ordered or on its way.
    """
    with looking_at(data) as view:
        unallocated, rows = view.stock(sku, location)
    found = Stock(sku, unallocated, [stock_line(row) for row in rows])
    if as_json:
        print_json(found)
    else:
        _print(found)


def stock_line(row: LedgerRow) -> StockLine:
    """The stock at one location as it is shown."""
    return StockLine(
        location=row.location,
        sellable=row.sellable,
        inspecting=row.inspecting,
        damaged=row.damaged,
        on_hand=row.sellable + row.inspecting + row.damaged,
        reserved=row.reserved,
        incoming=row.incoming,
        version=row.version,
        counted_at=row.counted_at,
    )


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
