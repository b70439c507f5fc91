"""The derivation: a year of point-of-sale lines becomes the movements of a whole retailer.

Only the sales are real. Everything else is derived from them, and the same on every machine:

1. each line with goods is a sale of its store, product, quantity and second (`source`);
2. shelves open with a stock take and are replenished by a reorder point policy (`stock`);
3. some baskets become orders that reserve, confirm, allocate, fulfil, release or expire (`orders`);
4. goods come back, spoil, break and go missing, and night counts say so (`shelf_life`);
5. tills go offline, repeat themselves, have wrong clocks and break records (`incidents`).

The movements are written in the order in which they arrive, which is not the order in which they
occurred. `docs/demo-derivation.md` gives the reasons and the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

from engine.demo import orders, shelf_life, stock
from engine.demo.assortment import sort_lines
from engine.demo.incidents import arrive
from engine.demo.movements import Kind, Movements, join
from engine.demo.render import Renderer
from engine.demo.shelf_life import Way
from engine.demo.source import Ints, Lines, Mask, Products, read_lines, read_products
from engine.demo.stores import Roles, assign_roles

LINES_OF_A_YEAR = 1_469_307
COMPRESSION_LEVEL = 3

Progress = Callable[[str, float], None]
"""Hears the name of the step and how much of the whole is done, from 0 to 1."""


@dataclass(frozen=True)
class Derivation:
    """What was derived and written; counts are of lines in the file."""

    path: Path
    lines: Lines
    products: Products
    roles: Roles
    movements: int
    broken: int
    kinds: dict[str, int]
    changes: Ints
    """For each store of `lines.stores`: movements that change its stock or its reservations."""


def derive(
    path: Path, days: int | None = None, stores: int | None = None, tell: Progress | None = None
) -> Derivation:
    """Derives the movements and writes them as NDJSON, compressed where the name ends in `.zst`.

    `days` and `stores` take the first days and the largest stores alone.

    Raises:
        UsageError: the package with the data is missing, or the part is empty.
        OSError: the file cannot be written.
    """
    say = tell or _tell_nobody
    say("Reading the sales of 2017", 0.0)
    lines = read_lines(days, stores)
    products = read_products(lines)
    roles = assign_roles(lines)
    say("Deriving deliveries, orders, returns and counts", 0.1)
    movements = derive_movements(lines, products, roles)
    say("Letting them arrive", 0.3)
    arrivals = arrive(movements, len(lines) / LINES_OF_A_YEAR)

    done = 0
    with _open_output(path) as file:
        for chunk in Renderer(lines).chunks(arrivals):
            file.write(b"\n".join(chunk) + b"\n")
            done += len(chunk)
            say("Writing the movements", 0.4 + 0.6 * done / len(arrivals.movements))
    kinds = Counter(Kind(code).name.lower() for code in arrivals.movements.kind.tolist())
    return Derivation(
        path=path,
        lines=lines,
        products=products,
        roles=roles,
        movements=done,
        broken=len(arrivals.faults),
        kinds=dict(kinds.most_common()),
        changes=_changes(arrivals.movements, len(lines.stores)),
    )


def derive_movements(lines: Lines, products: Products, roles: Roles) -> Movements:
    """Derives all movements as they occur and are told when nothing goes wrong."""
    keys = stock.find_keys(lines)
    policy = stock.set_policy(lines, keys)
    openings = stock.derive_openings(lines, keys, policy)
    deliveries = stock.derive_deliveries(lines, keys, policy)
    goods = sort_lines(lines, products)
    returns = shelf_life.derive_returns(lines, goods.fresh)
    waste = shelf_life.derive_waste(lines, goods.fresh)

    around = join([openings, deliveries, returns, waste])
    everyone_served = np.ones(len(lines), dtype=np.bool_)
    expected = build_shelf(lines, around, everyone_served)
    placed = orders.place_orders(lines, goods, roles, expected)
    shelf = build_shelf(lines, around, ~placed.turned_away)
    return join(
        [
            around,
            shelf_life.derive_sales(lines, placed),
            orders.derive_orders(lines, goods, roles, placed),
            shelf_life.derive_counts(lines, shelf),
        ]
    )


# What one unit of a movement does to the sellable goods of its own store.
_EFFECT = {
    Kind.OPENING: 1,
    Kind.RECEIPT: 1,
    Kind.ARRIVAL: 1,
    Kind.TRANSFER: -1,
    Kind.RETURN: 1,
    Kind.ADJUSTMENT: 1,
}
_RECLASSIFIED = {Way.PASSED: 1, Way.BROKE: -1, Way.FAILED: 0}


def build_shelf(lines: Lines, around: Movements, left: Mask) -> stock.Shelf:
    """Builds what really stands on the shelves, when the lines of `left` took their goods."""
    effect = np.zeros(len(around), dtype=np.int64)
    for kind, sign in _EFFECT.items():
        effect[around.kind == kind] = sign
    effect[(around.kind == Kind.RETURN) & (around.detail != Way.SELLABLE)] = 0
    for way, sign in _RECLASSIFIED.items():
        effect[(around.kind == Kind.RECLASSIFY) & (around.detail == way)] = sign
    lost = shelf_life.lost_lines(lines)
    return stock.Shelf(
        key=np.concatenate(
            [around.store * len(lines.products) + around.product, lines.key[left], lines.key[lost]]
        ),
        at=np.concatenate([around.occurred, lines.sold_at[left], lines.sold_at[lost]]),
        change=np.concatenate(
            [around.quantity * effect, -lines.quantity[left], np.full(len(lost), -1)]
        ),
    )


def _changes(movements: Movements, stores: int) -> Ints:
    telling_nothing = (Kind.EXPECT, Kind.CONFIRM)
    changing = ~np.isin(movements.kind, telling_nothing) & (movements.store != orders.NOWHERE)
    return np.bincount(movements.store[changing], minlength=stores)


def _open_output(path: Path) -> BinaryIO:
    if path.suffix != ".zst":
        return path.open("wb")
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    return compressor.stream_writer(path.open("wb"), closefd=True)


def _tell_nobody(step: str, done: float) -> None:
    """The listener where nobody listens."""
