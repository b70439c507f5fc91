"""Reservations and their steps, sent to the ledger and answered from what it tells.

A reservation of one line is decided by the ledger itself. Lines of several SKUs lie in several
partitions, which decide by themselves: so each is held first, for a short time; when all are held,
they are confirmed, otherwise what is held is given back. A reservation with an `expires_at` of its
own needs no other: its lines are held until then. If this process ends in between, what is held
ends by itself at its time, unless the caller repeats the call under its Idempotency-Key before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from aiokafka.errors import KafkaError

from engine.api.kafka.post import Parcelled, Post, Told
from engine.api.kafka.remembered import Asked, Remembered
from engine.api.kafka.replica import Replica
from engine.api.kafka.turns import Turns
from engine.api.runtime import Repeatable
from engine.contracts import records
from engine.contracts.answers import ExceptionBrief
from engine.contracts.calls import Caller, ReservationLine, ReservationOrder, StepOrder
from engine.contracts.decisions import ACCEPTED, PARTIAL, Decision
from engine.contracts.exceptions import (
    CONFLICTING_DUPLICATE,
    RESERVATION_EXISTS,
    ExceptionRecord,
    Refusal,
)
from engine.contracts.instants import SECOND, format_instant, parse_instant
from engine.contracts.outcomes import DUPLICATE, REFUSED
from engine.contracts.records import ReservationRecord
from engine.contracts.reservation_answers import LineAnswer, ReservationAnswer, StepAnswer
from engine.core.step import Foreseen, Outcome
from engine.embedded.reservation_requests import (
    NOT_TAKEN,
    exists,
    not_allowed,
    overall,
    reserve_line,
    state_of,
    step_line,
    taken,
    unknown_reservation,
    untaken,
)
from engine.kafka.orders import order_dismissal
from engine.kafka.partitioning import partition_of
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError

HOLD_SECONDS: Final = 30
"""How long the lines of a reservation of several SKUs are held that is to have no expiry; longer
than a call may take."""
FORCE: Final = "force"
GIVEN_BACK: Final = "another line was not taken"
TAKEN: Final = (ACCEPTED, PARTIAL)
REPEATED: Final = (CONFLICTING_DUPLICATE, RESERVATION_EXISTS)
"""Codes by which the ledger refuses what it has taken before under another time."""
LOST_BY_REDIS: Final = "the call was repeated after Redis had lost what was answered"


class Reserving:
    """Reserves for the callers of one process."""

    def __init__(
        self, settings: KafkaSettings, post: Post, replica: Replica, remembered: Remembered
    ) -> None:
        self._settings = settings
        self._post = post
        self._replica = replica
        self._remembered = remembered
        self._turns = Turns()
        self._log = structlog.get_logger("sellable.api")

    def find(self, sku: str, name: str) -> ReservationRecord | None:
        """A reservation as it stands, None when it is not remembered."""
        table = self._replica.tables[self._partition(sku)]
        stored = table.get(records.reservation_name(sku, name))
        return None if stored is None else msgspec.msgpack.decode(stored, type=ReservationRecord)

    async def reserve(self, order: ReservationOrder, origin: str) -> Repeatable[ReservationAnswer]:
        """Take all lines of a reservation, or none.

        Raises:
            KeyReusedError: the idempotency key belongs to another request.
            OverloadedError: too much waits already; nothing was taken.
            UnknownOutcomeError: the ledger did not tell in time.
            RedisAwayError: Redis does not answer, and an idempotency key is given.
        """
        name, key = order.body.reservation, order.idempotency
        digest = () if key is None else (key.digest,)
        async with self._turns.take(*digest, *((line.sku, name) for line in order.lines)):
            asked = await self._remembered.ask(key, _now(), ReservationAnswer)
            if asked.answer is not None:
                return Repeatable(asked.answer, True)
            answer = await self._reserve(order, origin, asked)
            await self._remembered.keep(key, asked.at, answer)
        return Repeatable(answer, False)

    async def step(self, order: StepOrder, origin: str) -> Repeatable[StepAnswer]:
        """Take a step of a reservation.

        Raises:
            NotFoundError: there is no such reservation.
            NotAllowedError: it is not one of the caller's channels.
            KeyReusedError: the idempotency key belongs to another request.
            OverloadedError: too much waits already; nothing was taken.
            UnknownOutcomeError: the ledger did not tell in time.
            RedisAwayError: Redis does not answer, and an idempotency key is given.
        """
        sku, name, key = order.sku, order.reservation, order.idempotency
        digest = () if key is None else (key.digest,)
        async with self._turns.take(*digest, (sku, name)):
            record = self.find(sku, name)
            if record is None:
                raise unknown_reservation(sku, name)
            if not order.caller.may_use(record.channel):
                raise not_allowed(name)
            asked = await self._remembered.ask(key, _now(), StepAnswer)
            if asked.answer is not None:
                return Repeatable(asked.answer, True)
            line = Parcelled(self._partition(sku), step_line(order, asked.at), (sku, name))
            (told,) = await self._post.send([line], origin)
            repeated = key is not None and told.outcome.code == CONFLICTING_DUPLICATE
            if repeated:
                await self._dismiss([told])
            answer = StepAnswer(
                outcome=DUPLICATE if repeated else told.outcome.outcome,
                decided_at=asked.at,
                reservation=state_of(sku, name, self.find(sku, name) or record),
                decisions=list(told.decisions),
                exceptions=[] if repeated else briefs(told.exceptions),
            )
            await self._remembered.keep(key, asked.at, answer)
        return Repeatable(answer, False)

    # --- a reservation -------------------------------------------------------------------------

    async def _reserve(
        self, order: ReservationOrder, origin: str, asked: Asked[ReservationAnswer]
    ) -> ReservationAnswer:
        is_first = not asked.before and asked.is_sure
        refused = self._taken_names(order) if is_first else {}
        if refused:
            # The ledger could only refuse it, and an exception would wait for somebody in vain.
            lines = [untaken(line, refused.get(line.sku, _FREE)) for line in order.lines]
            return _answer(order, asked.at, lines, ())
        held = _held(order, asked.at)
        told = await self._post.send(
            [
                self._parcelled(line.sku, order, reserve_line(held, line, asked.at))
                for line in order.lines
            ],
            origin,
        )
        lines = [self._line(order, *each) for each in zip(order.lines, told, strict=True)]
        settled: list[Told] = []
        if len(lines) > 1:
            settled = await self._settle(order, held is not order, lines, asked.at, origin)
        everything = [*told, *settled]
        if not asked.is_sure:
            everything = await self._dismiss(everything)
        return _answer(order, asked.at, lines, everything)

    async def _dismiss(self, told: Sequence[Told]) -> list[Told]:
        """Close what was raised because a call came again whose time Redis had lost.

        The ledger took nothing of it, and nobody has to look at it. Returns what else was told.
        """
        kept = []
        for one in told:
            if one.outcome.code not in REPEATED:
                kept.append(one)
                continue
            for each in one.exceptions:
                try:
                    await order_dismissal(self._settings, each.exception, LOST_BY_REDIS)
                except (KafkaError, BrokersError) as error:
                    self._log.warning(
                        "an exception of a repeated call stays open",
                        exception=each.exception,
                        error=str(error),
                    )
        return kept

    def _taken_names(self, order: ReservationOrder) -> dict[str, Foreseen]:
        """The lines whose names are taken, by SKU, and why they would be refused."""
        name = order.body.reservation
        found = {}
        for line in order.lines:
            record = self.find(line.sku, name)
            if record is not None and record.status != records.EARLY:
                found[line.sku] = Foreseen(REFUSED, refusal=exists(line.sku, name))
        return found

    def _line(self, order: ReservationOrder, line: ReservationLine, told: Told) -> LineAnswer:
        """What became of a line; of one that was decided before, how it stands now."""
        code = told.outcome.code
        if told.outcome.outcome == DUPLICATE or code == CONFLICTING_DUPLICATE:
            answer = untaken(line, Foreseen(DUPLICATE))
            record = self.find(line.sku, order.body.reservation)
            if record is not None and record.status == records.OPEN and record.left:
                answer.outcome = ACCEPTED if record.left >= line.quantity else PARTIAL
                answer.quantity = record.left
            return answer
        refusal = None
        if code is not None:
            message = told.exceptions[0].message if told.exceptions else code
            refusal = Refusal(code, message)
        return taken(line, Outcome(told.outcome.outcome, refusal), told.decisions)

    async def _settle(
        self,
        order: ReservationOrder,
        only_held: bool,
        lines: Sequence[LineAnswer],
        at: str,
        origin: str,
    ) -> list[Told]:
        """Confirm the lines of several SKUs when all are held, or give back those that are."""
        got = [line for line in lines if line.outcome in TAKEN]
        if len(got) == len(lines):
            return await self._steps("confirm", order, got, at, origin) if only_held else []
        told = await self._steps("release", order, got, at, origin, reason=GIVEN_BACK)
        for line in got:
            line.outcome, line.quantity = NOT_TAKEN, 0
        return told

    async def _steps(
        self,
        kind: str,
        order: ReservationOrder,
        lines: Sequence[LineAnswer],
        at: str,
        origin: str,
        **fields: str,
    ) -> list[Told]:
        """Take the same step of several lines of a reservation."""
        name = order.body.reservation
        caller = Caller(order.caller.source)
        correlation = order.body.correlation_id
        if correlation is not None:
            fields["correlation_id"] = correlation
        steps = [
            StepOrder(kind, line.sku, name, dict(fields), caller, f"{order.id}-{kind}")
            for line in lines
        ]
        return await self._post.send(
            [self._parcelled(step.sku, order, step_line(step, at)) for step in steps], origin
        )

    def _parcelled(self, sku: str, order: ReservationOrder, line: bytes) -> Parcelled:
        return Parcelled(self._partition(sku), line, (sku, order.body.reservation))

    def _partition(self, sku: str) -> int:
        return partition_of(sku, len(self._replica.tables))


def briefs(exceptions: Sequence[ExceptionRecord]) -> list[ExceptionBrief]:
    """Exceptions as they are told to whoever has caused them."""
    return [
        ExceptionBrief(one.exception, one.code, one.severity, one.message) for one in exceptions
    ]


_FREE: Final = Foreseen(ACCEPTED)


def _held(order: ReservationOrder, at: str) -> ReservationOrder:
    """The order by which lines are held until all of them are."""
    body = order.body
    if len(order.lines) == 1 or body.expires_at is not None or body.policy == FORCE:
        return order
    until = format_instant(parse_instant(at) + HOLD_SECONDS * SECOND)
    return msgspec.structs.replace(order, body=msgspec.structs.replace(body, expires_at=until))


def _answer(
    order: ReservationOrder, at: str, lines: list[LineAnswer], told: Sequence[Told]
) -> ReservationAnswer:
    decisions: list[Decision] = [one for each in told for one in each.decisions]
    return ReservationAnswer(
        reservation=order.body.reservation,
        outcome=overall(lines),
        decided_at=at,
        lines=lines,
        decisions=decisions,
        exceptions=[one for each in told for one in briefs(each.exceptions)],
    )


def _now() -> str:
    return format_instant(time.time_ns() // 1_000)
