"""What movements do to the stock of a SKU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.peers.plain.instants import DAY, HOUR
from benchmarks.peers.plain.movements import CHANNELS, NUMBER_OF, Movement
from benchmarks.peers.plain.state import (
    EARLY,
    ENDED,
    EXPIRED,
    NEVER,
    OPEN,
    Early,
    Place,
    Reservation,
    Sku,
)

WINDOW: Final = 72 * HOUR
FURTHEST_JUMP: Final = 31 * DAY
SELLABLE: Final = 0
BUFFER_PERCENT: Final = (0, 2, 5)
BUFFERED: Final = ((1, 2), (2, 5))  # channels with a buffer, and its percent
RESOLVING: Final = frozenset({"release", "fulfil", "sale"})
GOES_ANYWAY: Final = frozenset({"sale", "return", "fulfil", "receipt", "transfer"})
PRUNED_AT: Final = 256  # recent movements of a key

Schedule = Callable[[int, str, str], None]
"""Asks to be told at an instant that a reservation of a SKU may expire."""

Changed = Callable[[str, str], None]
"""Is told of the SKU and the name of every reservation that changed."""


def examine(m: Movement, clock: int) -> str | None:
    """The code of a movement that the clock forbids; one from too far ahead is brought back."""
    if clock == NEVER:
        return None
    if m.at > clock + FURTHEST_JUMP:
        if m.type not in GOES_ANYWAY and not (m.type == "reserve" and m.policy == "force"):
            return "future_dated"
        m.at = clock
    elif clock - m.at > WINDOW:
        return "count_too_old" if m.type == "count" else "too_old"
    return None


def reservation_exists(sku: Sku | None, m: Movement, clock: int) -> bool:
    """Whether a reserve's name was used before."""
    if m.type != "reserve" or sku is None or m.reservation is None:
        return False
    one = sku.reservations.get(m.reservation)
    return one is not None and one.status != EARLY and not is_forgotten(one, clock)


def is_forgotten(one: Reservation, clock: int) -> bool:
    """Whether nobody has to know of a reservation any more."""
    if one.status == OPEN:
        return False
    last = one.early[-1].arrived_at if one.status == EARLY else one.ended_at
    return clock - last > WINDOW


def available(sku: Sku, channel: int) -> int:
    """What a channel may sell of a SKU."""
    return max(0, sku.after[channel] - sku.short - sku.claims)


class Ledger:
    """Applies movements to SKUs."""

    __slots__ = ("_changed", "_schedule", "_touched")

    def __init__(self, schedule: Schedule, changed: Changed) -> None:
        self._schedule = schedule
        self._changed = changed
        self._touched: set[str] = set()

    def apply(self, sku: Sku, m: Movement, clock: int) -> bool:
        """Applies a movement; False when it is a reserve that is rejected."""
        touched = self._touched
        touched.clear()
        kind = m.type
        if m.reservation is not None and kind in _STEPS and not self._step(sku, m, clock):
            return False
        if kind in _MOVES:
            _MOVES[kind](sku, m, clock, touched)
        if m.location is not None and m.location not in sku.places:
            _touch(sku, m.location, touched)  # whatever it changes there, it is the first
        self._finish(sku)
        sku.cause = (m.source, m.id, m.correlation_id)
        if kind == "reserve" and m.expires is not None and m.expires <= clock:
            assert m.reservation is not None
            one = sku.reservations[m.reservation]
            if one.status == OPEN and not one.confirmed:
                self._expire(sku, m.reservation, one, clock)
        return True

    def expire(self, sku: Sku, sku_name: str, name: str, due: int) -> bool:
        """Ends a reservation that nobody confirmed in time; False when there is nothing to end."""
        one = sku.reservations.get(name)
        if one is None or one.status != OPEN or one.confirmed or one.expires != due:
            return False
        self._expire(sku, name, one, due)
        self._changed(sku_name, name)
        return True

    def _expire(self, sku: Sku, name: str, one: Reservation, clock: int) -> None:
        self._touched.clear()
        one.expired, one.fulfilled_since = one.left, 0
        self._hold(sku, one.location, -one.left)
        one.left, one.status, one.ended_at = 0, EXPIRED, clock
        sku.cause = ("engine", f"expiry:{name}", one.correlation_id)
        self._finish(sku)

    def _finish(self, sku: Sku) -> None:
        """Brings the sums of the SKU up to date with the places that were touched."""
        for location in self._touched:
            place = sku.places[location]
            place.version += 1
            sellable, reserved = place.quantities[SELLABLE], place.reserved
            base = max(0, sellable - reserved)
            short = max(0, reserved - max(0, sellable)) if reserved else 0
            if base != place.base:
                more = base - place.base
                sku.base += more
                after = sku.after
                after[0] += more
                for channel, percent in BUFFERED:
                    before = -(-place.base * percent // 100)
                    after[channel] += more - (-(-base * percent // 100) - before)
                place.base = base
            if short != place.short:
                sku.short += short - place.short
                place.short = short

    def _hold(self, sku: Sku, location: str | None, units: int) -> None:
        if location is None:
            sku.claims += units
        else:
            _touch(sku, location, self._touched).reserved += units

    # --- reservations ----------------------------------------------------------------------------

    def _step(self, sku: Sku, m: Movement, clock: int) -> bool:
        name, kind = m.reservation, m.type
        assert name is not None
        self._changed(m.sku, name)
        one = sku.reservations.get(name)
        if one is not None and one.status != EARLY and is_forgotten(one, clock):
            one = None
        if kind == "reserve":
            return self._reserve(sku, name, m, one, clock)
        if one is None or one.status == EARLY:
            if one is None:
                one = sku.reservations[name] = Reservation()
            one.early.append(Early(kind, clock, m.quantity, m.location))
            return True
        if one.status == OPEN:
            self._step_of_open(sku, one, m, clock)
        elif kind == "confirm":
            self._reinstate(sku, one, m)
        elif kind in ("fulfil", "sale"):
            one.fulfilled_since += m.quantity or 0
        return True

    def _step_of_open(self, sku: Sku, one: Reservation, m: Movement, clock: int) -> None:
        if m.type == "allocate":
            if one.location is None:
                self._hold(sku, None, -one.left)
                one.location = m.location
                self._hold(sku, m.location, one.left)
            return
        if one.location is not None:
            _touch(sku, one.location, self._touched)
        if m.type == "confirm":
            one.confirmed = True
            return
        taken = one.left if m.quantity is None else min(m.quantity, one.left)
        self._hold(sku, one.location, -taken)
        one.left -= taken
        if one.left == 0:
            one.status, one.ended_at = ENDED, clock

    def _reinstate(self, sku: Sku, one: Reservation, m: Movement) -> None:
        """Takes again, by force, what had expired although the customer was in time."""
        again = max(0, one.expired - one.fulfilled_since)
        if one.status != EXPIRED or again == 0 or one.expires is None or m.at >= one.expires:
            return
        one.status, one.ended_at, one.confirmed = OPEN, NEVER, True
        one.expired = one.fulfilled_since = 0
        one.left = again
        self._hold(sku, one.location, again)

    def _reserve(
        self, sku: Sku, name: str, m: Movement, known: Reservation | None, clock: int
    ) -> bool:
        early = [] if known is None else known.early
        steps = [step for step in early if clock - step.arrived_at <= WINDOW]
        asked = m.quantity or 0
        for step in steps:
            if step.type in RESOLVING:
                asked -= asked if step.quantity is None else min(step.quantity, asked)
        taken, accepted = asked, True
        if m.policy != "force":
            there = _available_to(sku, m)
            if there < asked:
                taken = there if m.allow_partial else 0
                accepted = taken > 0
        one = Reservation(OPEN, m.location, m.expires, m.correlation_id)
        sku.reservations[name] = one
        for step in steps:
            if step.type == "allocate" and one.location is None:
                one.location = step.location
            one.confirmed = one.confirmed or (step.type == "confirm" and taken > 0)
        if taken == 0:
            one.status, one.ended_at = ENDED, clock
            return accepted
        one.left = taken
        self._hold(sku, one.location, taken)
        if one.expires is not None and not one.confirmed and one.expires > clock:
            self._schedule(one.expires, m.sku, name)
        return True


def _available_to(sku: Sku, m: Movement) -> int:
    """What a strict reservation may take."""
    if m.location is None:
        if m.channel is None:
            return max(0, sku.base - sku.claims - sku.short)
        return available(sku, CHANNELS.index(m.channel))
    place = sku.places.get(m.location)
    there = 0 if place is None else place.base
    if m.channel is not None:
        there -= -(-there * BUFFER_PERCENT[CHANNELS.index(m.channel)] // 100)
    return there if sku.claims == 0 else min(there, max(0, sku.base - sku.claims))


def _touch(sku: Sku, location: str, touched: set[str]) -> Place:
    touched.add(location)
    place = sku.places.get(location)
    if place is None:
        place = sku.places[location] = Place()
    return place


def _shift(place: Place, disposition: int, units: int, at: int, clock: int) -> None:
    """Changes a disposition unless its newest count has seen the movement."""
    if at <= place.counted[disposition]:
        return
    place.quantities[disposition] += units
    place.recent.append((at, units, disposition))
    if len(place.recent) % PRUNED_AT == 0:
        _prune(place, clock)


def _prune(place: Place, clock: int) -> None:
    counted, horizon = place.counted, clock - WINDOW
    place.recent = [one for one in place.recent if one[0] > max(horizon, counted[one[2]])]


def _sale(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    _shift(_touch(sku, m.location or "", touched), SELLABLE, -(m.quantity or 0), m.at, clock)


def _add(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    disposition = SELLABLE if m.disposition is None else NUMBER_OF[m.disposition]
    _shift(_touch(sku, m.location or "", touched), disposition, m.quantity or 0, m.at, clock)


def _receipt(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    place = _touch(sku, m.location or "", touched)
    quantity = m.quantity or 0
    told = quantity if m.from_location is not None else min(quantity, max(0, place.incoming))
    place.incoming -= told
    _add(sku, m, clock, touched)


def _expect(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    place = _touch(sku, m.location or "", touched)
    quantity = m.quantity or 0
    place.incoming += quantity if quantity > 0 else -min(-quantity, max(0, place.incoming))


def _transfer(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    _touch(sku, m.to_location or "", touched).incoming += m.quantity or 0
    _sale(sku, m, clock, touched)


def _reclassify(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    place = _touch(sku, m.location or "", touched)
    quantity = m.quantity or 0
    _shift(place, NUMBER_OF[m.from_ or ""], -quantity, m.at, clock)
    _shift(place, NUMBER_OF[m.to or ""], quantity, m.at, clock)


def _count(sku: Sku, m: Movement, clock: int, touched: set[str]) -> None:
    """A count at T is what lay there at T, plus all that has moved since."""
    place = _touch(sku, m.location or "", touched)
    disposition = SELLABLE if m.disposition is None else NUMBER_OF[m.disposition]
    if m.at <= place.counted[disposition]:
        return
    since = sum(u for at, u, which in place.recent if which == disposition and at > m.at)
    place.quantities[disposition] = (m.quantity or 0) + since
    place.counted[disposition] = m.at
    _prune(place, clock)


_MOVES: Final = {
    "sale": _sale,
    "fulfil": _sale,
    "return": _add,
    "adjustment": _add,
    "receipt": _receipt,
    "expect": _expect,
    "transfer": _transfer,
    "reclassify": _reclassify,
    "count": _count,
}
_STEPS: Final = frozenset({"reserve", "confirm", "allocate", "release", "fulfil", "sale"})
