"""The arithmetic between physical stock and published number, one small function each.

All quantities are `int` base units. The engine keeps the same sums by difference; these say what
they must come to, and are what an explanation and the tests of rules are made with.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.contracts.availability import IN_STOCK, LOW_STOCK, OUT_OF_STOCK
from engine.rules.model import Buffer


def base(sellable: int, reserved: int) -> int:
    """What is free at a location: sellable less reserved, not below 0."""
    return max(0, sellable - reserved)


def short(sellable: int, reserved: int) -> int:
    """What is promised at a location and not there: reserved less sellable, both from 0."""
    return max(0, reserved - max(0, sellable))


def after(free: int, buffer: Buffer | None) -> int:
    """What a location contributes: its base less the location-scope buffer, not below 0."""
    return free if buffer is None else max(0, free - buffer.amount(free))


def pool(afters: Iterable[int], shorts: Iterable[int], claims: int) -> int:
    """The pool of a channel of granularity sku, before its channel-scope buffer.

    `afters` and `shorts` are those of the locations it sells from, `claims` the open unallocated
    reservations on it.
    """
    return max(0, sum(afters) - sum(shorts) - claims)


def ceiling(bases: Iterable[int], claims: int) -> int | None:
    """What a location can still give with open claims on it; None, no limit, without any.

    `bases` are those of all locations that these claims cover.
    """
    return max(0, sum(bases) - claims) if claims else None


def pool_at(after_buffer: int, limit: int | None) -> int:
    """The pool of one location for a channel of granularity location."""
    return after_buffer if limit is None else min(after_buffer, limit)


def status(available: int, low_stock: int) -> str:
    """The word for a published quantity; `low_stock` is the most that counts as low."""
    if available <= 0:
        return OUT_OF_STOCK
    return LOW_STOCK if available <= low_stock else IN_STOCK
