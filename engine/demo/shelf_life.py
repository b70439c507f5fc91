"""The life of a shelf between deliveries: sales, returns, spoilage, breakage, loss and counts."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from engine.demo.chance import between, draw
from engine.demo.movements import Kind, Movements, join, make
from engine.demo.orders import Orders
from engine.demo.source import DAY_S, Ints, Lines, Mask
from engine.demo.stock import HOUR_S, Shelf

RETURN_SHARE = 0.015  # of the lines that are not fresh
RETURN_WITHIN_DAYS = 14
SPOILED_SHARE = 0.02  # of the fresh lines: one unit is thrown away the night after
BROKEN_SHARE = 0.003  # of the other lines: one unit falls and is set aside as damaged
LOST_SHARE = 0.007  # of all lines: one unit goes missing, and only a count will tell
COUNTED_SHARE = 0.012  # of all lines: their key is counted the night after
MISCOUNTED_SHARE = 0.05  # of the counts: one too many or too few
NIGHT_HOUR = 8  # UTC, three in the morning in New York


class Way(IntEnum):
    """What became of goods that came back or broke."""

    SELLABLE = 0
    INSPECTING = 1
    DAMAGED = 2
    PASSED = 3  # inspected, and sellable again
    FAILED = 4  # inspected, and damaged
    BROKE = 5  # sellable, and damaged


def derive_sales(lines: Lines, orders: Orders) -> Movements:
    """Derives one sale for each line that was carried to a till."""
    return make(
        Kind.SALE,
        occurred=lines.sold_at,
        store=lines.store,
        product=lines.product,
        quantity=lines.quantity,
        subject=lines.basket,
        line=lines.number,
    ).take(orders.at_the_till)


def derive_returns(lines: Lines, fresh: Mask) -> Movements:
    """Derives what customers bring back, and what inspection makes of it the day after."""
    rows = np.flatnonzero((draw("return", lines.number) < RETURN_SHARE) & ~fresh)
    number = lines.number[rows]
    back_at = lines.sold_at[rows] + DAY_S * between("return day", number, 1, RETURN_WITHIN_DAYS)
    way = np.digitize(draw("return way", number), [0.6, 0.9])
    returned = make(
        Kind.RETURN,
        occurred=back_at,
        store=lines.store[rows],
        product=lines.product[rows],
        quantity=between("returned", number, 1, 2).clip(max=lines.quantity[rows]),
        subject=lines.basket[rows],
        detail=way,
        line=number,
    ).take(back_at < lines.sold_at[-1])
    inspected = returned.take(returned.detail == Way.INSPECTING)
    verdict = np.where(draw("inspection", inspected.line) < 0.7, Way.PASSED, Way.FAILED)
    at = inspected.occurred + DAY_S
    kind = np.full(len(inspected), int(Kind.RECLASSIFY), dtype=np.int64)
    judged = inspected.replaced(kind=kind, occurred=at, arrived=at, detail=verdict.astype(np.int64))
    return join([returned, judged.take(at < lines.sold_at[-1])])


def derive_waste(lines: Lines, fresh: Mask) -> Movements:
    """Derives what spoils and what breaks."""
    spoiled = fresh & (draw("spoiled", lines.number) < SPOILED_SHARE)
    broken = ~fresh & (draw("broken", lines.number) < BROKEN_SHARE)
    return join(
        [
            _one_unit(lines, spoiled, Kind.ADJUSTMENT, -1, Way.SELLABLE),
            _one_unit(lines, broken, Kind.RECLASSIFY, 1, Way.BROKE),
        ]
    )


def _one_unit(lines: Lines, which: Mask, kind: Kind, quantity: int, way: Way) -> Movements:
    rows = np.flatnonzero(which)
    rows = rows[lines.sold_at[rows] + 2 * DAY_S < lines.sold_at[-1]]
    return make(
        kind,
        occurred=_night_after(lines.sold_at[rows], lines.number[rows]),
        store=lines.store[rows],
        product=lines.product[rows],
        quantity=quantity,
        subject=lines.basket[rows],
        detail=int(way),
        line=lines.number[rows],
    )


def lost_lines(lines: Lines) -> Ints:
    """The lines after which one unit of the same key goes missing without a word."""
    return np.flatnonzero(draw("lost", lines.number) < LOST_SHARE)


def derive_counts(lines: Lines, shelf: Shelf) -> Movements:
    """Derives cycle counts of what is really there, at night, of keys that sold the day before."""
    rows = np.flatnonzero(draw("counted", lines.number) < COUNTED_SHARE)
    rows = rows[lines.sold_at[rows] + 2 * DAY_S < lines.sold_at[-1]]
    night = _night_after(lines.sold_at[rows], lines.number[rows]) // DAY_S
    _, once = np.unique(lines.key[rows] * 100_000 + night, return_index=True)
    rows, night = rows[once], night[once]
    number = lines.number[rows]
    at = _night_after(lines.sold_at[rows], number)
    error = np.digitize(draw("miscount", number), [MISCOUNTED_SHARE / 2, 1 - MISCOUNTED_SHARE / 2])
    units = np.maximum(0, shelf.at(lines.key[rows], at) + error - 1)
    return make(
        Kind.COUNT,
        occurred=at,
        store=lines.store[rows],
        product=lines.product[rows],
        quantity=units,
        subject=night,
        line=number,
    )


def _night_after(sold_at: Ints, number: Ints) -> Ints:
    """An instant in the night after the sale, never before it."""
    nights = (sold_at - NIGHT_HOUR * HOUR_S) // DAY_S + 1
    return nights * DAY_S + NIGHT_HOUR * HOUR_S + between("night", number, 0, HOUR_S - 1)
