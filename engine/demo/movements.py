"""Derived movements as columns, before they are written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from engine.demo.source import Ints, Mask


class Kind(IntEnum):
    """What a derived movement is; of equal arrivals the one named first comes first."""

    OPENING = auto()
    EXPECT = auto()
    TRANSFER = auto()
    RECEIPT = auto()
    ARRIVAL = auto()  # the receipt of a transfer
    RESERVE = auto()
    CONFIRM = auto()
    ALLOCATE = auto()
    SALE = auto()
    COLLECT = auto()  # a sale at the till that resolves a reservation
    FULFIL = auto()
    RELEASE = auto()
    RETURN = auto()
    RECLASSIFY = auto()
    ADJUSTMENT = auto()
    COUNT = auto()


@dataclass(frozen=True)
class Movements:
    """Movements as columns of equal length.

    `occurred` and `arrived` are seconds since the Unix epoch. `subject` is what the ids are made
    of: the basket number of sales, orders and returns, else a number of the day. `detail` is of
    the kind: the other store of transfers, the flow of reservations, the way of returns and
    reclassifications. `until` is when a reservation expires, 0 for never. `line` is the number of
    the point-of-sale line behind the movement, -1 without one.
    """

    kind: Ints
    occurred: Ints
    arrived: Ints
    store: Ints
    product: Ints
    quantity: Ints
    subject: Ints
    detail: Ints
    until: Ints
    line: Ints

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: Ints | Mask) -> Movements:
        """Returns the rows, in the order in which they are named."""
        return Movements(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def replaced(self, **columns: Ints) -> Movements:
        """Returns the same movements with other values in some columns."""
        return Movements(**{name: columns.get(name, getattr(self, name)) for name in COLUMNS})


COLUMNS = tuple(Movements.__dataclass_fields__)


def make(
    kind: Kind,
    *,
    occurred: Ints,
    store: Ints,
    product: Ints,
    quantity: Ints | int,
    subject: Ints,
    detail: Ints | int = 0,
    until: Ints | int = 0,
    line: Ints | int = -1,
    delay: Ints | int = 0,
) -> Movements:
    """Makes movements of one kind; `delay` seconds lie between occurrence and arrival."""

    def column(values: Ints | int) -> Ints:
        return np.broadcast_to(np.asarray(values, dtype=np.int64), occurred.shape)

    return Movements(
        kind=column(int(kind)),
        occurred=occurred,
        arrived=occurred + delay,
        store=store,
        product=product,
        quantity=column(quantity),
        subject=subject,
        detail=column(detail),
        until=column(until),
        line=column(line),
    )


def join(parts: Sequence[Movements]) -> Movements:
    """Puts movements of several kinds behind each other."""
    return Movements(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    )
