"""Reservations: stock that is promised, in every order in which their steps may arrive.

A reservation is held at a location, or, without one, is a claim on the locations of its channel.
Steps that come before their reserve are remembered; the reserve then asks for what is left.
"""

from __future__ import annotations

from engine.contracts import records
from engine.contracts.decisions import Decision
from engine.contracts.instants import format_instant
from engine.contracts.movements import Movement
from engine.contracts.records import EarlyStep, ReservationRecord, Trace
from engine.ledger.book import SELLABLE, Book, Sku
from engine.ledger.effects import (
    ABSORBED,
    APPLIED,
    REJECTED,
    check_stock,
    sale,
    shift,
    shortfall,
    text,
    units,
)

NO_CHANNEL = -1
RESOLVING = frozenset({"release", "fulfil", "sale"})  # steps that end a part of a reservation


def reserve(book: Book, sku: Sku, movement: Movement) -> str:
    """Take a reservation, or what is available of it, less the steps that came early."""
    name = text(movement.reservation)
    steps = _early_steps(book, sku, name)
    ends, wanted, excess = _early_ends(steps, units(movement.quantity))
    taken, outcome, reason = _decide(book, sku, movement, wanted)
    record = ReservationRecord(
        location=movement.location,
        channel=movement.channel,
        expires=movement.expires,
        correlation_id=movement.correlation_id,
    )
    book.keep_reservation(sku, name, record)
    _tell(book, sku, name, record, outcome, taken, movement.quantity, reason, movement)
    if excess:
        book.warn("excess_release", _excess(name, excess))
    before = _short_at(book, sku, record)
    if outcome == "rejected" or taken == 0:
        book.settle(sku, name, record, records.ENDED)
    else:
        record.status = records.OPEN
        record.confirmed = any(step.type == "confirm" for step in steps)
        _hold(book, sku, record, taken)
    for step, end in zip(steps, ends, strict=True):
        if step.type == "allocate" and record.location is None:
            _place(book, sku, record, text(step.location))
            before = _short_at(book, sku, record, before_holding=record.left)
        if end:
            kind = "released" if step.type == "release" else "fulfilled"
            _tell(book, sku, name, record, kind, end, step.quantity or end, step.reason, step)
    if record.left:
        _await_expiry(book, sku, name, record)
    _check_oversold(book, sku, record, before)
    return REJECTED if outcome == "rejected" else APPLIED


def foresee(book: Book, sku: Sku, movement: Movement) -> tuple[int, str, str | None]:
    """Return what a reserve would take now, its decision's outcome and reason; change nothing."""
    steps = _early_steps(book, sku, text(movement.reservation))
    _, wanted, _ = _early_ends(steps, units(movement.quantity))
    return _decide(book, sku, movement, wanted)


def _early_steps(book: Book, sku: Sku, name: str) -> list[EarlyStep]:
    """Return the steps that came before their reserve and are still remembered."""
    record = book.reservation(sku, name)
    if record is None or record.status != records.EARLY:
        return []
    horizon = book.clock - book.windows.for_reservations
    return [step for step in record.early if step.arrived_at >= horizon]


def _early_ends(steps: list[EarlyStep], requested: int) -> tuple[list[int], int, int]:
    """Return what each early step resolves, what is left to ask for, and what they had too much."""
    left, excess = requested, 0
    ends: list[int] = []
    for step in steps:
        asked = 0
        if step.type in RESOLVING:
            asked = left if step.quantity is None else step.quantity
        resolved = min(asked, left)
        ends.append(resolved)
        left -= resolved
        excess += asked - resolved
    return ends, left, excess


def _decide(book: Book, sku: Sku, movement: Movement, wanted: int) -> tuple[int, str, str | None]:
    """Return what is taken of `wanted`, the decision's outcome, and its reason."""
    if movement.policy == "force" or wanted == 0:
        return wanted, "accepted", movement.reason
    available = book.available(sku, movement.location, movement.channel)
    if wanted <= available:
        return wanted, "accepted", movement.reason
    if movement.allow_partial and available > 0:
        return available, "partial", movement.reason
    return 0, "rejected", str(available)


def _await_expiry(book: Book, sku: Sku, name: str, record: ReservationRecord) -> None:
    if record.expires is None or record.confirmed:
        return
    if record.expires <= book.clock:
        book.traces_after.append(_expiry_trace(name, record, record.left, book.clock))
        expire(book, sku, name, record)
    else:
        book.schedule(sku, name, record.expires)


def confirm(book: Book, sku: Sku, movement: Movement) -> str:
    """The customer stays with it: the reservation no longer expires."""
    name = text(movement.reservation)
    record = book.reservation(sku, name)
    if record is None or record.status == records.EARLY:
        _note_early(book, sku, name, record, movement)
    elif record.status == records.OPEN:
        _touch_place(book, sku, record)
        if not record.confirmed:
            record.confirmed = True
            book.unschedule(sku, name, record)
            book.keep_reservation(sku, name, record)
    elif record.status == records.EXPIRED:
        _confirm_expired(book, sku, name, record, movement)
    return APPLIED


def _confirm_expired(
    book: Book, sku: Sku, name: str, record: ReservationRecord, movement: Movement
) -> None:
    """Warn; and when the customer was in time, take again by force what had expired."""
    book.warn("confirmed_after_end", _late_confirm(record, movement.at))
    again = max(0, record.expired - record.fulfilled_since)
    if again == 0 or record.expires is None or movement.at >= record.expires:
        return
    before = _short_at(book, sku, record)
    record.status = records.OPEN
    record.confirmed = True
    record.expired = record.fulfilled_since = 0
    _hold(book, sku, record, again)
    book.keep_reservation(sku, name, record)
    _tell(book, sku, name, record, "accepted", again, again, "reinstated", movement)
    _check_oversold(book, sku, record, before)


def allocate(book: Book, sku: Sku, movement: Movement) -> str:
    """An unallocated reservation gets its location."""
    name = text(movement.reservation)
    record = book.reservation(sku, name)
    if record is None or record.status == records.EARLY:
        _note_early(book, sku, name, record, movement)
    elif record.status == records.OPEN and record.location is None:
        _place(book, sku, record, text(movement.location))
        book.keep_reservation(sku, name, record)
        _check_oversold(book, sku, record, _short_at(book, sku, record, record.left))
    return APPLIED


def release(book: Book, sku: Sku, movement: Movement) -> str:
    """The customer gives back some or all of it."""
    name = text(movement.reservation)
    record = book.reservation(sku, name)
    quantity = movement.quantity
    if record is None or record.status == records.EARLY:
        _note_early(book, sku, name, record, movement)
    elif record.status == records.OPEN:
        asked = record.left if quantity is None else quantity
        _resolve(book, sku, name, record, "released", asked, movement)
    elif quantity is not None:
        book.warn("excess_release", _excess(name, quantity))
    return APPLIED


def fulfil(book: Book, sku: Sku, movement: Movement) -> str:
    """The goods leave the shelf where the movement says, and the reservation resolves."""
    name = text(movement.reservation)
    quantity = units(movement.quantity)
    location = text(movement.location)
    key = book.key(sku, location)
    before, short = key.sellable, shortfall(key)
    record = book.reservation(sku, name)
    touched = False
    if record is None or record.status == records.EARLY:
        _note_early(book, sku, name, record, movement)
    elif record.status == records.OPEN:
        touched = record.location == location
        _resolve(book, sku, name, record, "fulfilled", quantity, movement)
    else:
        record.fulfilled_since += quantity
        book.keep_reservation(sku, name, record)
        book.warn(
            "fulfilled_after_end",
            f"reservation {name} had ended; its {quantity} units left {location} all the same",
        )
    absorbed = shift(book, sku, location, key, movement, SELLABLE, -quantity, movement.type)
    check_stock(book, sku, location, key, before, short)
    if not touched:
        book.touch(sku, location, key)
    return ABSORBED if absorbed else APPLIED


def sale_or_fulfil(book: Book, sku: Sku, movement: Movement) -> str:
    """Sell; a sale that names a reservation fulfils it."""
    return (
        sale(book, sku, movement) if movement.reservation is None else fulfil(book, sku, movement)
    )


def expire(book: Book, sku: Sku, name: str, record: ReservationRecord) -> None:
    """End a reservation that nobody confirmed in time."""
    quantity = record.left
    record.expired = quantity
    record.fulfilled_since = 0
    _free(book, sku, record, quantity)
    book.settle(sku, name, record, records.EXPIRED)
    book.keep_reservation(sku, name, record)
    _tell(book, sku, name, record, "expired", quantity, quantity, None, record)


def expire_due(book: Book, instant: int) -> None:
    """Expire what is due at the instant, which is the book's clock, by SKU and reservation."""
    while (due := book.expiries.due(instant)) is not None:
        sku, name = book.sku(due.sku), due.reservation
        record = book.reservation(sku, name)
        assert record is not None, "what is to expire is open"
        trace = _expiry_trace(name, record, record.left, due.at)
        expire(book, sku, name, record)
        sku.record.trail.append(trace)
        book.mark(sku)
        book.trace_keys(sku, trace)


def _expiry_trace(name: str, record: ReservationRecord, quantity: int, at: int) -> Trace:
    who, correlation = f"expiry:{name}", record.correlation_id
    return ("engine", who, correlation, "expiry", record.location, quantity, at)


def exists(book: Book, sku: Sku, name: str, clock: int) -> bool:
    """Return whether a reserve of this name is remembered at the clock, however it ended."""
    record = book.reservation(sku, name)
    if record is None or record.status == records.EARLY:
        return False
    return record.status == records.OPEN or record.settled_at >= clock - book.memory_of(record)


def _note_early(
    book: Book, sku: Sku, name: str, record: ReservationRecord | None, movement: Movement
) -> None:
    """Keep a step whose reserve has not come."""
    if record is None:
        record = ReservationRecord()
    record.early.append(
        EarlyStep(
            type=movement.type,
            arrived_at=book.clock,
            quantity=movement.quantity,
            location=movement.location,
            reason=movement.reason,
            correlation_id=movement.correlation_id,
        )
    )
    book.settle(sku, name, record, records.EARLY)
    book.keep_reservation(sku, name, record)


def _resolve(
    book: Book,
    sku: Sku,
    name: str,
    record: ReservationRecord,
    outcome: str,
    asked: int,
    movement: Movement,
) -> None:
    """Resolve up to `asked` of an open reservation, and end it when nothing is left."""
    resolved = min(asked, record.left)
    _free(book, sku, record, resolved)
    _tell(book, sku, name, record, outcome, resolved, asked, movement.reason, movement)
    if asked > resolved:
        book.warn("excess_release", _excess(name, asked - resolved))
    if record.left == 0:
        book.settle(sku, name, record, records.ENDED)
    book.keep_reservation(sku, name, record)


def _claim_slot(book: Book, record: ReservationRecord) -> int:
    return NO_CHANNEL if record.channel is None else book.channel_slots[record.channel]


def _hold(book: Book, sku: Sku, record: ReservationRecord, quantity: int) -> None:
    record.left += quantity
    if record.location is None:
        slot = _claim_slot(book, record)
        claims = sku.record.claims
        claims[slot] = claims.get(slot, 0) + quantity
        sku.record.everywhere = True
        return
    key = book.key(sku, record.location)
    key.reserved += quantity
    book.touch(sku, record.location, key)


def _free(book: Book, sku: Sku, record: ReservationRecord, quantity: int) -> None:
    record.left -= quantity
    if record.location is None:
        slot = _claim_slot(book, record)
        claims = sku.record.claims
        claims[slot] -= quantity
        if claims[slot] == 0:
            del claims[slot]
        sku.record.everywhere = True
        return
    key = book.key(sku, record.location)
    key.reserved -= quantity
    assert key.reserved >= 0, f"{sku.name} at {record.location}: more was freed than was reserved"
    book.touch(sku, record.location, key)


def _place(book: Book, sku: Sku, record: ReservationRecord, location: str) -> None:
    """Give a claim its location."""
    quantity = record.left
    if quantity:
        _free(book, sku, record, quantity)
    record.location = location
    if quantity:
        _hold(book, sku, record, quantity)


def _short_at(book: Book, sku: Sku, record: ReservationRecord, before_holding: int = 0) -> int:
    """Return what is short where the reservation lies, as it was before it held a quantity."""
    if record.location is None:
        return 0
    key = book.key(sku, record.location)
    missing = key.reserved - before_holding - max(0, key.sellable)
    return max(0, missing)


def _check_oversold(book: Book, sku: Sku, record: ReservationRecord, before: int) -> None:
    if record.location is not None:
        key = book.key(sku, record.location)
        check_stock(book, sku, record.location, key, key.sellable, before)


def _touch_place(book: Book, sku: Sku, record: ReservationRecord) -> None:
    if record.location is not None:
        book.touch(sku, record.location, book.key(sku, record.location))


def _tell(
    book: Book,
    sku: Sku,
    name: str,
    record: ReservationRecord,
    outcome: str,
    quantity: int,
    requested: int | None,
    reason: str | None,
    told_by: Movement | EarlyStep | ReservationRecord,
) -> None:
    book.decisions.append(
        Decision(
            reservation=name,
            sku=sku.name,
            location=record.location,
            channel=record.channel,
            outcome=outcome,
            quantity=quantity,
            requested=requested,
            reason=reason,
            decided_at=format_instant(book.clock),
            correlation_id=told_by.correlation_id,
        )
    )


def _excess(name: str, excess: int) -> str:
    return f"reservation {name}: {excess} more was resolved than was left of it"


def _late_confirm(record: ReservationRecord, confirmed_at: int) -> str:
    expires = "" if record.expires is None else f" at {format_instant(record.expires)}"
    return f"it had expired{expires}; the confirmation occurred at {format_instant(confirmed_at)}"
