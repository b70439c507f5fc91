"""What goes wrong between a till and the engine: outages, repeats, wrong clocks, broken records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from engine.demo.chance import between, draw
from engine.demo.movements import Kind, Movements, join
from engine.demo.source import DAY_S, Ints, Mask
from engine.demo.stock import HOUR_S, MINUTE_S

OUTAGE_SHARE = 0.004  # of all days of all stores: the tills are offline from OUTAGE_HOUR on
OUTAGE_HOUR = 15  # UTC, ten in the morning in New York
OUTAGE_HOURS = (2, 30)  # the long ones end after the night's counts
REPEAT_SHARE = 0.005  # of the sales: sent again, most of them within a minute
REPEAT_SOON_SHARE = 0.8
REPEAT_SOON_S = 60
REPEAT_WITHIN_S = 20 * HOUR_S

LOST_UPLOAD_S = 10 * DAY_S  # beyond any window in which a repeat could still be told
LATE_COUNT_S = 5 * DAY_S
WRONG_CLOCK_S = 30 * 365 * DAY_S
FUTURE_COUNT_S = 45 * DAY_S


class Fault(IntEnum):
    """How one record differs from the movement that it should be; see `render.spoil`."""

    NONE = 0
    NO_LOCATION = auto()
    QUANTITY_AS_TEXT = auto()
    UNKNOWN_TYPE = auto()
    LATER_SCHEMA = auto()
    CUT_OFF = auto()
    NOT_JSON = auto()
    WRONG_ENCODING = auto()
    LOCAL_TIME = auto()
    TOO_LARGE = auto()
    UNKNOWN_CHANNEL = auto()
    SAME_RESERVATION = auto()


# How many records of each fault there are in a whole year, by the kind of movement they hit. They
# are drawn by share, so that a part of the data has its part of them.
BROKEN_SALES = {
    Fault.NO_LOCATION: 40,
    Fault.QUANTITY_AS_TEXT: 25,
    Fault.UNKNOWN_TYPE: 15,
    Fault.LATER_SCHEMA: 10,
    Fault.CUT_OFF: 25,
    Fault.NOT_JSON: 5,
    Fault.WRONG_ENCODING: 10,
    Fault.LOCAL_TIME: 15,
    Fault.TOO_LARGE: 2,
}
BROKEN_RESERVES = {Fault.UNKNOWN_CHANNEL: 10, Fault.SAME_RESERVATION: 10}
LOST_UPLOADS = 30
CHANGED_REPEATS = 40
WRONG_CLOCKS = 15
LATE_COUNTS = 10
FUTURE_COUNTS = 5


@dataclass(frozen=True)
class Arrivals:
    """All movements in the order of their arrival, and which of them are broken, and how."""

    movements: Movements
    faults: dict[int, Fault]


def arrive(movements: Movements, whole_year_share: float) -> Arrivals:
    """Lets the movements arrive with all that goes wrong on the way.

    `whole_year_share` is the part of a whole year's data that is derived: the rare faults are that
    much rarer, but each happens once at least where there is a movement for it.
    """
    movements = _offline_tills(movements)
    sales = np.flatnonzero(movements.kind == Kind.SALE)
    reserves = np.flatnonzero(movements.kind == Kind.RESERVE)
    counts = np.flatnonzero(movements.kind == Kind.COUNT)

    def few(topic: str, rows: Ints, in_a_year: int) -> Ints:
        wanted = min(len(rows), max(1, round(in_a_year * whole_year_share)))
        return rows[np.argsort(draw(topic, movements.line[rows]), kind="stable")[:wanted]]

    movements = _delayed(movements, few("lost upload", sales, LOST_UPLOADS), LOST_UPLOAD_S)
    movements = _delayed(movements, few("late count", counts, LATE_COUNTS), LATE_COUNT_S)
    movements = _misdated(movements, few("clock", sales, WRONG_CLOCKS), WRONG_CLOCK_S)
    movements = _misdated(movements, few("ahead", counts, FUTURE_COUNTS), FUTURE_COUNT_S)

    fault = np.zeros(len(movements), dtype=np.int64)
    for kind, in_a_year in BROKEN_SALES.items():
        fault[few(kind.name, sales, in_a_year)] = kind
    copied = few("second order", reserves, BROKEN_RESERVES[Fault.SAME_RESERVATION])
    unknown = few("channel", reserves, BROKEN_RESERVES[Fault.UNKNOWN_CHANNEL])
    second = movements.take(np.concatenate([copied, unknown]))
    second_fault = np.repeat(
        np.array([Fault.SAME_RESERVATION, Fault.UNKNOWN_CHANNEL], dtype=np.int64),
        [len(copied), len(unknown)],
    )
    changed = movements.take(few("changed", sales, CHANGED_REPEATS))
    changed = changed.replaced(
        quantity=changed.quantity + 1, arrived=changed.arrived + 2 * MINUTE_S
    )
    repeats = _repeats(movements, sales, fault)

    everything = join([movements, _later(second, 1), changed, repeats])
    faults = np.zeros(len(everything), dtype=np.int64)
    faults[: len(fault)] = fault
    faults[len(fault) : len(fault) + len(second)] = second_fault
    order = np.lexsort((everything.line, everything.kind, everything.arrived))
    broken = np.flatnonzero(faults[order])
    return Arrivals(
        movements=everything.take(order),
        faults={row: Fault(faults[order[row]]) for row in broken.tolist()},
    )


def _offline_tills(movements: Movements) -> Movements:
    """Tills that are offline for some hours upload their sales when they are back."""
    day = movements.occurred // DAY_S
    number = movements.store * 100_000 + day
    begins = day * DAY_S + OUTAGE_HOUR * HOUR_S
    low, high = OUTAGE_HOURS
    ends = begins + between("outage", number, low * HOUR_S, high * HOUR_S)
    hit = (movements.kind == Kind.SALE) & (draw("offline", number) < OUTAGE_SHARE)
    hit &= (movements.occurred >= begins) & (movements.occurred < ends)
    upload = ends + (movements.occurred - begins) // MINUTE_S  # a minute's sales take a second
    return movements.replaced(arrived=np.where(hit, upload, movements.arrived))


def _delayed(movements: Movements, rows: Ints, seconds: int) -> Movements:
    arrived = movements.arrived.copy()
    arrived[rows] += seconds
    return movements.replaced(arrived=arrived)


def _misdated(movements: Movements, rows: Ints, seconds: int) -> Movements:
    occurred = movements.occurred.copy()
    occurred[rows] += seconds
    return movements.replaced(occurred=occurred)


def _later(movements: Movements, seconds: int) -> Movements:
    return movements.replaced(arrived=movements.arrived + seconds)


def _repeats(movements: Movements, sales: Ints, fault: Ints) -> Movements:
    """Sales that are sent again as they were."""
    sound: Mask = fault[sales] == 0
    rows = sales[sound & (draw("repeat", movements.line[sales]) < REPEAT_SHARE)]
    again = movements.take(rows)
    soon = draw("repeat soon", again.line) < REPEAT_SOON_SHARE
    wait = np.where(
        soon,
        between("repeat wait", again.line, 1, REPEAT_SOON_S),
        between("repeat wait", again.line, REPEAT_SOON_S, REPEAT_WITHIN_S),
    )
    return again.replaced(arrived=again.arrived + wait)
