"""Stock that the data does not tell: what lay on the shelves first, and what was delivered.

Each store keeps each product by a reorder point and an order quantity, the (r, Q) policy: whenever
another Q units have been sold, Q units are ordered and come a few nights later. Q is two weeks'
sales in whole cases, r three days' sales and up to two large lines. The shelves open somewhere
between the two, as on any day.
Some keys have no reserve beyond the three days and some trucks are late, so shelves do run empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.demo.chance import between, draw
from engine.demo.movements import Kind, Movements, join, make
from engine.demo.source import DAY_S, Ints, Lines

HOUR_S = 3_600
MINUTE_S = 60

OPENING_HOUR = 5  # UTC, midnight in New York: the stock take of New Year's night
OPENING_HOURS = 6
DELIVERY_HOUR = 9  # UTC, before the stores open
ORDERS_OPEN_S = 41_400  # 11:30 UTC of the first day: from then on orders are taken

DAYS_OF_YEAR = 365
COVER_DAYS = 14
LEAST_ORDER = 6  # units
RESERVE_DAYS = 3
CASES = np.array([1, 2, 4, 6, 12])
LATE_TRUCK_SHARE = 0.02
LATE_TRUCK_DAYS = 3
ANNOUNCED_SHARE = 0.12  # of the deliveries: by an advance ship notice
OVER_ANNOUNCED_SHARE = 0.04
TRANSFERRED_SHARE = 0.015  # of the deliveries: from the store that sells most of the product
LATE_TRANSFER_SHARE = 0.05  # of the transfers: told only after they have arrived
DELIVERY_NOTE_DELAY_S = 5 * MINUTE_S


@dataclass(frozen=True)
class Keys:
    """Each store and product that was ever sold; `of_line` is each line's position here."""

    store: Ints
    product: Ints
    of_line: Ints
    demand: Ints
    largest_line: Ints


def find_keys(lines: Lines) -> Keys:
    """Finds the keys of the lines, and what each of them sells in a year in units."""
    distinct, of_line = np.unique(lines.key, return_inverse=True)
    store, product = np.divmod(distinct, len(lines.products))
    demand = np.zeros(len(distinct), dtype=np.int64)
    demand[of_line] = lines.year_units
    largest_line = np.zeros(len(distinct), dtype=np.int64)
    np.maximum.at(largest_line, of_line, lines.quantity)
    return Keys(store, product, of_line, demand, largest_line)


@dataclass(frozen=True)
class Policy:
    """Reorder point, order quantity and opening stock of each key, in units.

    `sold_first` is what is sold until the first order, 1 to the order quantity.
    """

    reorder_at: Ints
    order: Ints
    sold_first: Ints

    @property
    def opening(self) -> Ints:
        return self.reorder_at + self.sold_first


def set_policy(lines: Lines, keys: Keys) -> Policy:
    """Sets the policy of each key from what it sells in a year."""
    daily = keys.demand / DAYS_OF_YEAR
    number = _numbers(lines, keys)
    case = CASES[between("case", lines.products[keys.product], 0, len(CASES) - 1)]
    order = np.ceil(np.maximum(daily * COVER_DAYS, LEAST_ORDER) / case).astype(np.int64) * case
    large_lines = np.digitize(draw("reserve", number), [0.1, 0.7])
    reorder_at = np.ceil(daily * RESERVE_DAYS).astype(np.int64) + keys.largest_line * large_lines
    sold_first = 1 + (draw("opening", number) * order).astype(np.int64)
    return Policy(reorder_at, order, sold_first)


def derive_openings(lines: Lines, keys: Keys, policy: Policy) -> Movements:
    """Derives one count for each key: the stock take that the year begins with."""
    night = int(lines.sold_at[0]) // DAY_S * DAY_S + OPENING_HOUR * HOUR_S
    order = np.argsort(keys.store, kind="stable")
    seconds = np.arange(len(order)) * (OPENING_HOURS * HOUR_S) // len(order)
    return make(
        Kind.OPENING,
        occurred=night + seconds,
        store=keys.store[order],
        product=keys.product[order],
        quantity=policy.opening[order],
        subject=np.zeros(len(order), dtype=np.int64),
    )


def derive_deliveries(lines: Lines, keys: Keys, policy: Policy) -> Movements:
    """Derives what the stores order and get: announcements, receipts and transfers."""
    key, delivered, quantity = _deliveries(lines, keys, policy)
    store, product = keys.store[key], keys.product[key]
    day = delivered // DAY_S
    number = _numbers(lines, keys)[key] * 400 + day % 400

    main = _main_store(lines, keys)[product]
    moved = (draw("transfer", number) < TRANSFERRED_SHARE) & (main != store)
    bought = ~moved
    receipts = make(
        Kind.RECEIPT,
        occurred=delivered[bought],
        store=store[bought],
        product=product[bought],
        quantity=quantity[bought],
        subject=day[bought],
        delay=DELIVERY_NOTE_DELAY_S,
    )
    late_word = draw("late transfer", number[moved]) < LATE_TRANSFER_SHARE
    sent = make(
        Kind.TRANSFER,
        occurred=delivered[moved] - 14 * HOUR_S,
        store=main[moved],
        product=product[moved],
        quantity=quantity[moved],
        subject=day[moved],
        detail=store[moved],
        delay=np.where(late_word, 20 * HOUR_S, 0),
    )
    arrivals = make(
        Kind.ARRIVAL,
        occurred=delivered[moved],
        store=store[moved],
        product=product[moved],
        quantity=quantity[moved],
        subject=day[moved],
        detail=main[moved],
        delay=DELIVERY_NOTE_DELAY_S,
    )
    return join([receipts, sent, arrivals, *_announcements(receipts, lines)])


def _announcements(receipts: Movements, lines: Lines) -> list[Movements]:
    store_day = lines.stores[receipts.store] * 100_000 + receipts.subject
    announced = receipts.take(draw("announced", store_day) < ANNOUNCED_SHARE)
    number = lines.products[announced.product] * 100_000 + announced.subject
    over = draw("over announced", number) < OVER_ANNOUNCED_SHARE
    expected = make(
        Kind.EXPECT,
        occurred=announced.occurred - 16 * HOUR_S,
        store=announced.store,
        product=announced.product,
        quantity=announced.quantity + over,
        subject=announced.subject,
    )
    taken_back = expected.take(over)
    when = taken_back.occurred + 10 * HOUR_S
    one_less = np.full(len(taken_back), -1, dtype=np.int64)
    return [expected, taken_back.replaced(occurred=when, arrived=when, quantity=one_less)]


def _deliveries(lines: Lines, keys: Keys, policy: Policy) -> tuple[Ints, Ints, Ints]:
    """Returns key, instant and quantity of each delivery before the end of the data."""
    order = np.argsort(keys.of_line, kind="stable")
    key = keys.of_line[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    running = np.cumsum(lines.quantity[order])
    before_key = np.repeat(running[first] - lines.quantity[order][first], _lengths(first, key))
    sold = running - before_key
    ahead = sold + (policy.order - policy.sold_first)[key]
    ordered = ahead // policy.order[key] - (ahead - lines.quantity[order]) // policy.order[key]
    due = np.flatnonzero(ordered)
    key, ordered, number = key[due], ordered[due], lines.number[order][due]
    nights = between("nights", number, 1, 2)
    nights += LATE_TRUCK_DAYS * (draw("late truck", number) < LATE_TRUCK_SHARE)
    minute = between("dock", lines.stores[keys.store[key]], 0, 119)
    delivered = (lines.sold_at[order][due] // DAY_S + nights) * DAY_S
    delivered += DELIVERY_HOUR * HOUR_S + minute * MINUTE_S

    in_time = delivered <= lines.sold_at[-1]
    key_day = key[in_time] * 1_000_000 + delivered[in_time] // DAY_S
    code, at = np.unique(key_day, return_inverse=True)
    units = np.bincount(at, weights=(ordered * policy.order[key])[in_time]).astype(np.int64)
    when = np.zeros(len(code), dtype=np.int64)
    when[at] = delivered[in_time]
    return code // 1_000_000, when, units


def _lengths(first: Ints, values: Ints) -> Ints:
    lengths: Ints = np.diff(first, append=len(values))
    return lengths


def _numbers(lines: Lines, keys: Keys) -> Ints:
    """Numbers of the keys that do not depend on the part of the data."""
    return lines.stores[keys.store] * 100_000_000 + lines.products[keys.product]


def _main_store(lines: Lines, keys: Keys) -> Ints:
    """The store that sold most of each product."""
    main = np.zeros(len(lines.products), dtype=np.int64)
    ascending = np.argsort(keys.demand, kind="stable")
    main[keys.product[ascending]] = keys.store[ascending]
    return main


class Shelf:
    """What really stands on each shelf, at any time: the sum of all changes until then."""

    def __init__(self, key: Ints, at: Ints, change: Ints) -> None:
        self._origin = int(at.min())
        self._span = int(at.max()) - self._origin + 2
        code = key * self._span + (at - self._origin + 1)
        order = np.argsort(code, kind="stable")
        self._codes = code[order]
        self._sums = np.concatenate([[0], np.cumsum(change[order])])

    def at(self, key: Ints, at: Ints) -> Ints:
        """Returns the units on each key's shelf, with all that happened up to that second."""
        since = np.clip(at - self._origin + 1, 0, self._span - 1)
        until = np.searchsorted(self._codes, key * self._span + since, side="right")
        start = np.searchsorted(self._codes, key * self._span, side="left")
        units: Ints = self._sums[until] - self._sums[start]
        return units
