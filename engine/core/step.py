"""One step: a batch of movements and the time go in, changed state and outputs come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.contracts import exceptions as codes
from engine.contracts.exceptions import Refusal, refusal
from engine.contracts.instants import format_duration, format_instant
from engine.contracts.movements import Movement
from engine.contracts.records import TRAIL_LENGTH, Trace
from engine.core.parts import EVENT, Parts
from engine.core.sales import count_sale
from engine.core.timeline import advance
from engine.ledger import effects, reservations
from engine.ledger.book import Sku
from engine.ledger.effects import APPLIED, REJECTED, Effect

EFFECTS: dict[str, Effect] = {
    "sale": reservations.sale_or_fulfil,
    "return": effects.return_,
    "receipt": effects.receipt,
    "expect": effects.expect,
    "transfer": effects.transfer,
    "adjustment": effects.adjustment,
    "count": effects.count,
    "reclassify": effects.reclassify,
    "reserve": reservations.reserve,
    "confirm": reservations.confirm,
    "allocate": reservations.allocate,
    "release": reservations.release,
    "fulfil": reservations.fulfil,
}
# Goods that moved have moved, whatever a till's clock says.
MOVED_ALREADY = frozenset({"sale", "return", "fulfil", "receipt", "transfer"})
SOLD = frozenset({"sale", "fulfil"})
# They may leave the location that they name as it is.
STEPS = frozenset({"reserve", "confirm", "allocate", "release"})
LONGEST_TRAIL = 4 * TRAIL_LENGTH  # traces in memory before the older ones are dropped
DUPLICATE, REFUSED = "duplicate", "refused"


class Prepared(NamedTuple):
    """A decoded batch: per line a movement or why it is refused."""

    lines: Sequence[bytes]
    movements: list[Movement | Refusal]
    origin: Callable[[int], str]


class Outcome(NamedTuple):
    """What became of one movement; the refusal only when it was refused."""

    outcome: str
    refusal: Refusal | None = None


class Foreseen(NamedTuple):
    """What a reserve would come to: the outcome of its decision, `duplicate` or `refused`.

    `quantity` is what it would take, base units.
    """

    outcome: str
    quantity: int = 0
    refusal: Refusal | None = None


def prepare(parts: Parts, lines: Sequence[bytes], origin: Callable[[int], str]) -> Prepared:
    """Decode a batch; `origin` tells where a line came from."""
    decode = parts.decoder.decode
    return Prepared(lines, [decode(line) for line in lines], origin)


def take(
    parts: Parts,
    batch: Prepared,
    start: int,
    outcomes: list[Outcome] | None = None,
    accept_old: bool = False,
) -> int:
    """Take the movements from `start` on; return the index of the first that was not taken.

    It stops early when a commit has to come before the next movement. Where a batch is cut makes
    no difference to any result. With the wall clock the caller has advanced the clock before.
    """
    book, figures = parts.book, parts.standing.figures
    by_event = parts.standing.clock_mode == EVENT
    settings = parts.settings
    ahead = settings.max_jump if by_event else settings.max_future
    known = _sealed_identities(parts, batch.movements[start:] if start else batch.movements)
    recent = parts.identities.recent
    tracks_sales, traces_keys = parts.publisher.tracks_sales, book.traces_per_key
    tracks_key_sales = parts.publisher.tracks_key_sales
    warnings, young, sku_of = book.warnings, book.young, book.sku
    clock = book.clock
    oldest, newest = book.identities_from(), clock + ahead
    applied = 0
    index = start
    for index in range(start, len(batch.movements)):
        movement = batch.movements[index]
        if isinstance(movement, Refusal):
            refuse(parts, batch, index, movement, outcomes)
            continue
        at, kind, skewed = movement.at, movement.type, False
        if not oldest <= at <= newest or (kind == "count" and at < book.counts_from()):
            fault = judge_time(parts, movement, accept_old)
            if fault is not None:
                refuse(parts, batch, index, fault, outcomes)
                continue
            skewed = parts.running and at > clock
        identity, content = movement.identity, movement.content
        seen = recent.get(identity)
        if seen is None and known:
            seen = known.get(identity)
        if seen is not None and seen != content:
            refuse(parts, batch, index, _conflict(movement), outcomes)
            continue
        sku = young.get(movement.sku) or sku_of(movement.sku)
        if kind == "reserve" and seen is None and _is_known(parts, sku, movement):
            refuse(parts, batch, index, _exists(movement), outcomes)
            continue
        if seen is not None:
            figures.duplicate += 1
            if outcomes is not None:
                outcomes.append(Outcome(DUPLICATE))
            continue
        # At the clock's own instant something may be due still, when a commit had to come before.
        if at >= clock and by_event and not skewed:
            if at >= parts.boundary and not advance(parts, at):
                break
            book.clock = clock = at
            oldest, newest = book.identities_from(), clock + ahead
        if skewed:
            _note_skew(parts, movement)
        recent[identity] = content
        outcome = EFFECTS[kind](book, sku, movement)
        if outcome == APPLIED:
            applied += 1
        elif outcome == REJECTED:
            figures.rejected += 1
        else:
            figures.absorbed += 1
        if outcome != REJECTED:
            if kind in STEPS and movement.location is not None:
                book.begin(sku, movement.location)
            trace: Trace = (
                movement.source,
                movement.id,
                movement.correlation_id,
                kind,
                movement.location,
                movement.quantity,
                movement.at,
            )
            trail = sku.record.trail
            trail.append(trace)
            if book.traces_after:
                trail.extend(book.traces_after)
                trace = trail[-1]
                book.traces_after.clear()
            if len(trail) > LONGEST_TRAIL:
                del trail[:-TRAIL_LENGTH]
            if not (sku.dirty and sku.changed):
                book.mark(sku)
            if traces_keys:
                book.trace_keys(sku, trace)
        if warnings:
            _keep_warnings(parts, batch, index, movement, outcome)
        if (tracks_sales or tracks_key_sales) and kind in SOLD:
            count_sale(sku.record, movement.quantity or 0, clock)
            if tracks_key_sales:
                key = sku.keys[movement.location or ""]
                count_sale(key, movement.quantity or 0, clock)
        if kind == "reserve":
            expiry = book.expiries.next
            if expiry is not None and expiry < parts.boundary:
                parts.boundary = expiry
        if outcomes is not None:
            outcomes.append(Outcome(outcome))
    else:
        index = len(batch.movements)
    figures.applied += applied
    figures.received = (
        figures.applied + figures.duplicate + figures.absorbed + figures.rejected + figures.refused
    )
    return index


def _sealed_identities(parts: Parts, movements: Sequence[Movement | Refusal]) -> dict[bytes, bytes]:
    """Return those of the movements' identities that lie in sealed blocks, with their contents."""
    if not parts.identities.blocks:
        return {}
    asked = [movement.identity for movement in movements if isinstance(movement, Movement)]
    return parts.identities.suspects(asked)


def _is_known(parts: Parts, sku: Sku, movement: Movement) -> bool:
    clock = parts.book.clock
    if parts.standing.clock_mode == EVENT and _moves_clock(parts, movement.at):
        clock = max(clock, movement.at)
    return reservations.exists(parts.book, sku, movement.reservation or "", clock)


def _moves_clock(parts: Parts, at: int) -> bool:
    """Return whether a movement of that time may move the event clock."""
    return not parts.running or at <= parts.book.clock + parts.settings.max_jump


def replay(parts: Parts, exception: str, line: bytes, accept_old: bool) -> Outcome | None:
    """Take a mended movement; None when a commit has to come before it.

    Unlike a movement that comes in, one that is refused again leaves nothing behind.
    """
    batch = prepare(parts, [line], lambda _: f"replay of {exception}")
    fault = _fault_of(parts, batch.movements[0], accept_old)
    if fault is not None:
        return Outcome(REFUSED, fault)
    outcomes: list[Outcome] = []
    return outcomes[0] if take(parts, batch, 0, outcomes, accept_old) else None


def foresee(parts: Parts, movement: Movement | Refusal) -> Foreseen:
    """Tell what a reserve would come to if it were taken now; change nothing."""
    fault = _fault_of(parts, movement, accept_old=False)
    if fault is not None or isinstance(movement, Refusal):
        return Foreseen(REFUSED, refusal=fault)
    if parts.identities.seen(movement.identity) is not None:
        return Foreseen(DUPLICATE)
    taken, outcome, _ = reservations.foresee(parts.book, parts.book.sku(movement.sku), movement)
    return Foreseen(outcome, taken)


def _fault_of(parts: Parts, movement: Movement | Refusal, accept_old: bool) -> Refusal | None:
    if isinstance(movement, Refusal):
        return movement
    fault = judge_time(parts, movement, accept_old)
    if fault is not None:
        return fault
    seen = parts.identities.seen(movement.identity)
    if seen is not None:
        return None if seen == movement.content else _conflict(movement)
    sku = parts.book.sku(movement.sku)
    if movement.type == "reserve" and _is_known(parts, sku, movement):
        return _exists(movement)
    return None


def judge_time(parts: Parts, movement: Movement, accept_old: bool = False) -> Refusal | None:
    """Return why a movement's time is refused, if it is."""
    if not parts.running:
        return None
    book, settings, at = parts.book, parts.settings, movement.at
    clock = book.clock
    if movement.type == "count" and at < book.counts_from():
        why = too_old(clock, "count_window", settings.count_window, at)
        return _refusal(
            movement, codes.COUNT_TOO_OLD, f"the count is of {format_instant(at)}, {why}"
        )
    if at < book.identities_from():
        if accept_old:
            return None
        why = too_old(clock, "dedupe_window", settings.dedupe_window, at)
        return _refusal(
            movement,
            codes.TOO_OLD,
            f"it occurred at {format_instant(at)}, {why}: nobody can tell any more whether it "
            "was seen",
        )
    by_event = parts.standing.clock_mode == EVENT
    ahead = settings.max_jump if by_event else settings.max_future
    if at <= clock + ahead or movement.type in MOVED_ALREADY or movement.policy == "force":
        return None
    return _refusal(
        movement,
        codes.FUTURE_DATED,
        f"it is dated {format_instant(at)}, more than {format_duration(ahead)} after the clock, "
        f"{format_instant(clock)}",
    )


def too_old(clock: int, window: str, length: int, at: int) -> str:
    """Say why what is of `at` is too old: by a window of that length, or a shorter one before."""
    before = f"before the clock, {format_instant(clock)}"
    if at < clock - length:
        return f"older than {window} ({format_duration(length)}) {before}"
    return f"{before}, by more than a shorter {window} that was in force since"


def refuse(
    parts: Parts,
    batch: Prepared,
    index: int,
    fault: Refusal,
    outcomes: list[Outcome] | None,
) -> None:
    """Keep a refused movement as an exception; nothing else changes."""
    figures = parts.standing.figures
    figures.refused += 1
    _keep(parts, fault.code, fault.severity, fault.message, REFUSED, batch, index, fault)
    if outcomes is not None:
        outcomes.append(Outcome(REFUSED, fault))


def _keep(
    parts: Parts,
    code: str,
    severity: str,
    message: str,
    outcome: str,
    batch: Prepared,
    index: int,
    about: Refusal | Movement,
) -> None:
    counted = parts.standing.figures.exceptions
    counted[code] = counted.get(code, 0) + 1
    movement = batch.movements[index]
    parts.letters.add(
        code,
        severity,
        message,
        outcome,
        batch.lines[index],
        batch.origin(index),
        format_instant(parts.book.clock) if parts.running else None,
        movement.correlation_id or about.correlation_id,
    )


def _keep_warnings(
    parts: Parts, batch: Prepared, index: int, movement: Movement, outcome: str
) -> None:
    book = parts.book
    for code, message in book.warnings:
        severity = codes.severity_of(code, movement.type, movement.quantity)
        _keep(parts, code, severity, message, outcome, batch, index, movement)
    book.warnings.clear()


def _note_skew(parts: Parts, movement: Movement) -> None:
    """Apply goods that moved as if it were now, whatever a till's clock says."""
    clock = parts.book.clock
    parts.book.warn(
        codes.CLOCK_SKEW,
        f"it is dated {format_instant(movement.at)}, too far after the clock: applied as of "
        f"{format_instant(clock)}",
    )
    movement.at = clock


def _conflict(movement: Movement) -> Refusal:
    return _refusal(
        movement,
        codes.CONFLICTING_DUPLICATE,
        f"source {movement.source}, id {movement.id}, sku {movement.sku} was seen before with "
        "other content: the first one counts",
    )


def _exists(movement: Movement) -> Refusal:
    return _refusal(
        movement,
        codes.RESERVATION_EXISTS,
        f"{movement.sku} has, or had, a reservation {movement.reservation} already",
    )


def _refusal(movement: Movement, code: str, message: str) -> Refusal:
    return refusal(
        code,
        message,
        movement_type=movement.type,
        quantity=movement.quantity,
        correlation_id=movement.correlation_id,
    )
