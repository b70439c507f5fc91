"""Which class a difference is of: the first whose sign is found, in the order of the promise.

Deterministic: the same movements and the same observation give the same class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from engine.contracts.findings import (
    DUPLICATE,
    IN_FLIGHT,
    MISSED,
    RESERVATION_LEAK,
    SHRINK,
    UNKNOWN,
)
from engine.ledger.book import SELLABLE
from engine.reconciliation.evidence import (
    Case,
    arrived_elsewhere_untold,
    held_by_one_reservation,
)


def class_of(case: Case) -> str:
    """The class of a difference that is not 0."""
    return next((name for name, has_sign in _SIGNS if has_sign(case)), UNKNOWN)


def _is_in_flight(case: Case) -> bool:
    """The other system is early or late: movements around the time explain it.

    Either it lacks just one movement shortly before, or has just one shortly after; or it believes
    what the book says of another moment close by.
    """
    start, end = case.at - case.in_flight, case.at + case.in_flight
    near = [move for move in case.moves if start < move[0] <= end]
    for at, gained in near:
        sought = -case.difference if at <= case.at else case.difference
        if gained == sought and at not in case.counted:
            return True
    level = case.expected - sum(gained for at, gained in near if at <= case.at)
    levels = {start: level}
    for at, gained in near:
        level += gained
        levels[at] = level
    return case.observed in levels.values()


def _is_missed(case: Case) -> bool:
    """The book was not told of a movement that it has reason to expect.

    Goods that are on their way have arrived; or nobody ever told the book of the place; or another
    location was told of the arrival of a transfer that nobody has told here.
    """
    if case.difference > 0:
        return case.key.version == 0 or case.difference <= case.key.incoming
    return case.disposition == SELLABLE and arrived_elsewhere_untold(case, -case.difference)


def _is_duplicate(case: Case) -> bool:
    """The book took a movement twice, under two identities: without one of them it would agree."""
    same = Counter(
        (at, gained)
        for at, gained in case.moves
        if at <= case.at and at not in case.counted and gained == -case.difference
    )
    return any(times > 1 for times in same.values())


def _is_reservation_leak(case: Case) -> bool:
    """What lacks is just what is held by one reservation, or by all of them at the place."""
    lacking = -case.difference
    return (
        case.disposition == SELLABLE
        and 0 < lacking <= case.key.reserved
        and (lacking == case.key.reserved or held_by_one_reservation(case, lacking))
    )


def _is_shrink(case: Case) -> bool:
    """Goods are gone, and nothing says where."""
    return case.difference < 0 <= case.observed


_SIGNS: Final[tuple[tuple[str, Callable[[Case], bool]], ...]] = (
    (IN_FLIGHT, _is_in_flight),
    (MISSED, _is_missed),
    (DUPLICATE, _is_duplicate),
    (RESERVATION_LEAK, _is_reservation_leak),
    (SHRINK, _is_shrink),
)
