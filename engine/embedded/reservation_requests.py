"""Reservations at the counter: all of their lines or none, decided in the order of their coming.

A reservation of one line is decided by the engine itself. One of several is looked at first: if
every line could be taken now, all are; nothing comes between the look and the taking, for there is
one engine. Otherwise only the lines without stock are put to the engine, so that each has its
decision record, and nothing is held, not even for a moment.

What the engine could only refuse (an unknown channel, a name that is taken) is answered and not
put to it: whoever asked knows already, and an exception would wait for an operator in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from engine.contracts import records
from engine.contracts.answers import ExceptionBrief
from engine.contracts.calls import ReservationLine, ReservationOrder, StepOrder
from engine.contracts.decisions import ACCEPTED, PARTIAL, REJECTED, Decision
from engine.contracts.decisions import EXPIRED as DECIDED_EXPIRED
from engine.contracts.errors import NotFoundError, UsageError
from engine.contracts.exceptions import RESERVATION_EXISTS, Refusal
from engine.contracts.instants import format_instant
from engine.contracts.outcomes import DUPLICATE, REFUSED
from engine.contracts.records import ReservationRecord
from engine.contracts.reservation_answers import (
    EARLY,
    ENDED,
    EXPIRED,
    OPEN,
    LineAnswer,
    ReservationAnswer,
    ReservationState,
    StepAnswer,
)
from engine.core.step import Foreseen, Outcome
from engine.embedded.counter import Request
from engine.embedded.group import Group, Part
from engine.embedded.runtime import Runtime

NOT_TAKEN: Final = "not_taken"
_STATUSES: Final = {
    records.EARLY: EARLY,
    records.OPEN: OPEN,
    records.ENDED: ENDED,
    records.EXPIRED: EXPIRED,
}

_encode = msgspec.json.Encoder().encode


class NotAllowedError(UsageError):
    """The caller's key does not reach that far."""

    http_status = 403
    title = "Not allowed"


def not_allowed(name: str) -> NotAllowedError:
    """The error for a reservation of a channel that the caller may not touch."""
    return NotAllowedError(
        f"the reservation {name} belongs to another channel", "Use a key for its channel."
    )


def reservation(order: ReservationOrder, origin: str) -> Request:
    """A request to take a reservation; the answer is a `ReservationAnswer`."""

    def begin(group: Group, request: Request) -> None:
        digest = None if order.idempotency is None else order.idempotency.digest
        name = order.body.reservation
        group.before_reservations([(line.sku, name) for line in order.lines], digest)
        if order.idempotency is not None:
            known = group.answered.find(order.idempotency, ReservationAnswer)
            if known is not None:
                request.answer, request.repeated = known, True
                return
        if len(order.lines) > 1:
            group.flush()
        _Reserving(order, group, request).begin(origin)

    return Request(len(order.lines), begin)


def step(order: StepOrder, origin: str) -> Request:
    """A request to take a step of a reservation; the answer is a `StepAnswer`.

    Its errors are `NotFoundError` when there is no such reservation, and `NotAllowedError`.
    """

    def begin(group: Group, request: Request) -> None:
        digest = None if order.idempotency is None else order.idempotency.digest
        ref = (order.sku, order.reservation)
        group.before_reservations([ref], digest)
        if order.idempotency is not None:
            known = group.answered.find(order.idempotency, StepAnswer)
            if known is not None:
                request.answer, request.repeated = known, True
                return
        runtime = group.runtime
        record = runtime.engine.reservation(*ref)
        if record is None:
            raise unknown_reservation(*ref)
        if not order.caller.may_use(record.channel):
            raise not_allowed(order.reservation)
        now = _told_now(runtime)

        def finish(part: Part) -> None:
            after = runtime.engine.reservation(*ref) or record
            request.answer = StepAnswer(
                outcome=part.outcomes[0].outcome,
                decided_at=now,
                reservation=state_of(*ref, after),
                decisions=list(part.decisions),
                exceptions=_all_of(part),
            )
            if order.idempotency is not None:
                group.answered.keep(order.idempotency, request.answer)

        line = step_line(order, now)
        group.add_reservations([line], origin, [ref], digest, finish)

    return Request(1, begin)


def state_of(sku: str, name: str, record: ReservationRecord) -> ReservationState:
    """How a reservation stands, as it is told."""
    return ReservationState(
        reservation=name,
        sku=sku,
        status=_STATUSES[record.status],
        quantity=record.left,
        location=record.location,
        channel=record.channel,
        confirmed=record.confirmed,
        expires_at=None if record.expires is None else format_instant(record.expires),
        correlation_id=record.correlation_id,
    )


def unknown_reservation(sku: str, name: str) -> NotFoundError:
    """The error for a reservation that is not there."""
    return NotFoundError(
        f"{sku} has no reservation {name}",
        "Check SKU and name. A step whose reserve is still on its way through another system can "
        "be sent to /v1/movements: there it waits for it.",
    )


class _Reserving:
    """One reservation order at work."""

    def __init__(self, order: ReservationOrder, group: Group, request: Request) -> None:
        self.order = order
        self.group = group
        self.request = request
        self.runtime: Runtime = group.runtime
        self.now = _told_now(self.runtime)
        self.lines = [reserve_line(order, line, self.now) for line in order.lines]

    def begin(self, origin: str) -> None:
        """Put the lines to the engine that are to be decided by it."""
        foreseen = self._foresee()
        outcomes = {one.outcome for one in foreseen}
        if outcomes <= {ACCEPTED, PARTIAL}:
            chosen = list(range(len(self.lines)))
        elif outcomes & {REFUSED, DUPLICATE}:
            chosen = []
        else:
            chosen = [place for place, one in enumerate(foreseen) if one.outcome == REJECTED]
        name = self.order.body.reservation
        wanted = [self.order.lines[place] for place in chosen]

        def finish(part: Part) -> None:
            self._answer(foreseen, dict(zip(chosen, range(len(chosen)), strict=True)), part)

        self.group.add_reservations(
            [self.lines[place] for place in chosen],
            origin,
            [(line.sku, name) for line in wanted],
            None if self.order.idempotency is None else self.order.idempotency.digest,
            finish,
        )

    def _foresee(self) -> list[Foreseen]:
        """What each line would come to; of a single one, only whether its name is taken."""
        engine, name = self.runtime.engine, self.order.body.reservation
        if len(self.lines) > 1:
            prepared = engine.prepare(self.lines, lambda _: "")
            return [engine.foresee(movement) for movement in prepared.movements]
        record = engine.reservation(self.order.lines[0].sku, name)
        if record is None or record.status == records.EARLY:
            return [Foreseen(ACCEPTED)]
        return [Foreseen(REFUSED, refusal=exists(self.order.lines[0].sku, name))]

    def _answer(self, foreseen: list[Foreseen], places: dict[int, int], part: Part) -> None:
        decided: dict[str, list[Decision]] = {}
        for decision in part.decisions:
            decided.setdefault(decision.sku, []).append(decision)
        lines = []
        for place, (line, one) in enumerate(zip(self.order.lines, foreseen, strict=True)):
            if place not in places:
                lines.append(untaken(line, one))
                continue
            outcome, decisions = part.outcomes[places[place]], decided.get(line.sku, [])
            lines.append(taken(line, outcome, decisions))
            as_foreseen = bool(decisions) and decisions[0].outcome == one.outcome
            assert len(foreseen) == 1 or as_foreseen, f"{line} came to {outcome}, not to {one}"
        answer = ReservationAnswer(
            reservation=self.order.body.reservation,
            outcome=overall(lines),
            decided_at=self.now,
            lines=lines,
            decisions=list(part.decisions),
            exceptions=_all_of(part),
        )
        self.request.answer = answer
        if self.order.idempotency is not None:
            self.group.answered.keep(self.order.idempotency, answer)


def step_line(order: StepOrder, now: str) -> bytes:
    """The movement of a step; `now` is when it happened where the order does not say."""
    return _encode(
        {
            "id": order.id,
            "source": order.caller.source,
            "type": order.type,
            "sku": order.sku,
            "reservation": order.reservation,
            "occurred_at": now,
            **order.fields,
        }
    )


def reserve_line(order: ReservationOrder, line: ReservationLine, now: str) -> bytes:
    """The movement that asks for a line of a reservation; `now` is when it was asked for."""
    body = order.body
    partial = body.allow_partial if line.allow_partial is None else line.allow_partial
    told: dict[str, Any] = {
        "id": order.id,
        "source": order.caller.source,
        "type": "reserve",
        "sku": line.sku,
        "quantity": line.quantity,
        "reservation": body.reservation,
        "occurred_at": now,
    }
    optional = {
        "location": line.location,
        "channel": body.channel,
        "policy": body.policy,
        "allow_partial": partial,
        "expires_at": body.expires_at,
        "reason": body.reason,
        "reference": body.reference,
        "correlation_id": body.correlation_id,
    }
    told.update((name, value) for name, value in optional.items() if value is not None)
    return _encode(told)


def taken(line: ReservationLine, outcome: Outcome, decisions: Sequence[Decision]) -> LineAnswer:
    """The answer for a line that was put to the engine."""
    answer = LineAnswer(line.sku, line.location, line.quantity, 0, outcome.outcome)
    if outcome.refusal is not None:
        answer.code, answer.message = outcome.refusal.code, outcome.refusal.message
    elif decisions:
        answer.outcome, answer.quantity = decisions[0].outcome, decisions[0].quantity
        if answer.outcome == REJECTED:
            answer.message = f"{decisions[0].reason} available"
        if decisions[-1].outcome == DECIDED_EXPIRED:
            answer.outcome, answer.quantity = DECIDED_EXPIRED, 0
    return answer


def untaken(line: ReservationLine, foreseen: Foreseen) -> LineAnswer:
    """The answer for a line that was not put to the engine."""
    answer = LineAnswer(line.sku, line.location, line.quantity, 0, NOT_TAKEN)
    if foreseen.outcome in (REFUSED, DUPLICATE):
        answer.outcome = foreseen.outcome
    if foreseen.refusal is not None:
        answer.code, answer.message = foreseen.refusal.code, foreseen.refusal.message
    return answer


def overall(lines: Sequence[LineAnswer]) -> str:
    """What became of a reservation, by what became of its lines."""
    outcomes = [line.outcome for line in lines]
    for outcome in (REFUSED, DUPLICATE, REJECTED, DECIDED_EXPIRED, PARTIAL):
        if outcome in outcomes:
            return outcome
    return ACCEPTED


def _told_now(runtime: Runtime) -> str:
    """The engine's clock, to which it was advanced for this group."""
    clock = runtime.engine.clock
    return format_instant(runtime.now() if clock is None else clock)


def exists(sku: str, name: str) -> Refusal:
    """Why a reservation is refused whose name is taken."""
    return Refusal(RESERVATION_EXISTS, f"{sku} has, or had, a reservation {name} already")


def _all_of(part: Part) -> list[ExceptionBrief]:
    return [brief for briefs in part.exceptions for brief in briefs]
