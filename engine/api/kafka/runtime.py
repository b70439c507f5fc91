"""The engine on Kafka as the service sees it: writes through the ledger's log, lookups beside it.

Published numbers come from the read model in Redis, everything else from a copy of the ledger's
tables, which this process keeps. Everything runs on the event loop of the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec
import structlog
from aiokafka.errors import KafkaError

from engine.api.figures import Figures, figures_of
from engine.api.kafka import exceptions
from engine.api.kafka.looking import Looking
from engine.api.kafka.post import Parcelled, Post, Told
from engine.api.kafka.progress import Progress
from engine.api.kafka.publishing import Publishing
from engine.api.kafka.remembered import Remembered
from engine.api.kafka.replaying import Replaying
from engine.api.kafka.replica import Replica
from engine.api.kafka.reserving import Reserving, briefs
from engine.api.kafka.rules import BrokersAwayError, RulesInForce
from engine.api.kafka.trying import Trying
from engine.api.runtime import Freshness, Page, Phase, Repeatable
from engine.contracts.answers import (
    ChannelStanding,
    ExceptionShown,
    KeyShown,
    MovementAnswer,
    PublishedKey,
    Stock,
)
from engine.contracts.calls import LookupKey, ReservationOrder, StepOrder
from engine.contracts.exceptions import ADVICE
from engine.contracts.outcomes import MovementOutcome, ObservationOutcome
from engine.contracts.reservation_answers import ReservationAnswer, ReservationState, StepAnswer
from engine.core.dead_letters import DeadLetter, Wanted
from engine.embedded.counter import WAITING_MOVEMENTS, starting, stopping
from engine.embedded.reservation_requests import state_of, unknown_reservation
from engine.embedded.rules_desk import PublishedRules, RulesOrder
from engine.embedded.rules_trial import TrialWanted, Tried
from engine.embedded.shown import NumberExplained
from engine.kafka.batches import Batch
from engine.kafka.catalogue import CHANGELOG, CONTENTS, ENVELOPES, STANDINGS
from engine.kafka.clients import make_producer
from engine.kafka.dispatch import read_model_of
from engine.kafka.routing import Router
from engine.kafka.running import (
    check_topics,
    ledger_partitions,
    task_group,
    telling_refusals,
)
from engine.kafka.settings import KafkaSettings
from engine.rules.shown import RulesShown, show_rules

KIND: Final = "api"
RETRY_AFTER_S: Final = 0.5


class _Parts:
    """What a process that serves needs, once it knows how many partitions the ledger has."""

    def __init__(self, settings: KafkaSettings, most_waiting: int) -> None:
        self.producer = make_producer(settings, KIND)
        self.post = Post(settings, self.producer, most_waiting)
        self.replica = Replica(settings, self.post.heard)
        self.rules = RulesInForce(settings, self.replica)
        self.model = read_model_of(settings)
        self.remembered = Remembered(settings)
        self.progress = Progress(settings, self.replica, self.model)
        self.looking = Looking(self.replica, self.rules, self.model)
        self.reserving = Reserving(settings, self.post, self.replica, self.remembered)
        self.replaying = Replaying(settings, self.post, self.replica)
        self.trying = Trying(self.replica, self.rules)
        self.publishing = Publishing(settings, self.replica, self.rules)
        self.router = Router(settings.partitions)

    async def watch(self) -> None:
        """Look how far everything is."""
        await self.progress.watch(await self.rules.newest())


class KafkaRuntime:
    """A process that serves the engine on Kafka. It is made before it can serve, to say so."""

    def __init__(self, settings: KafkaSettings, most_waiting: int = WAITING_MOVEMENTS) -> None:
        self._settings = settings
        self._most_waiting = most_waiting
        self._phase = Phase.RESTORING
        self._opened: _Parts | None = None
        self._log = structlog.get_logger("sellable.api").bind(worker=settings.worker_id)

    # --- the process's side --------------------------------------------------------------------

    async def run(self) -> None:
        """Restore, then serve until cancelled.

        Raises:
            SellableError: topics are missing, or the data folder cannot be used.
            BrokersError: the brokers refuse.
        """
        settings = self._settings
        partitions = await ledger_partitions(settings, (ENVELOPES, CHANGELOG))
        await check_topics(settings, (CONTENTS, STANDINGS))
        parts = _Parts(settings.model_copy(update={"partitions": partitions}), self._most_waiting)
        with telling_refusals(settings):
            async with AsyncExitStack() as ending:
                for part in (parts.model, parts.remembered, parts.progress, parts.replica):
                    ending.push_async_callback(part.close)
                ending.push_async_callback(parts.producer.stop)
                ending.push_async_callback(parts.post.close)
                await self._serve(parts)

    async def _serve(self, parts: _Parts) -> None:
        await parts.producer.start()
        await parts.replica.open()
        await parts.progress.open()
        began = time.monotonic()
        await parts.replica.catch_up()
        self._opened = parts
        self._phase = Phase.SERVING
        self._log.info(
            "the worker runs", kind=KIND, restored_in_s=round(time.monotonic() - began, 3)
        )
        async with task_group() as tasks:
            tasks.create_task(for_ever(parts.replica.read))
            tasks.create_task(for_ever(parts.watch))

    async def finish(self) -> None:
        """Take no more writes, and answer those that were taken."""
        self._phase = Phase.STOPPING
        if self._opened is not None:
            await self._opened.post.finish()

    # --- writes --------------------------------------------------------------------------------

    async def take(self, lines: Sequence[bytes], origin: str) -> list[MovementAnswer]:
        """Take movements; answered when all of them are durable."""
        parts = self._writing
        told = await parts.post.send(_parcelled(parts.router, lines, origin), origin)
        return [_movement_answer(*each) for each in zip(lines, told, strict=True)]

    async def observe(self, lines: Sequence[bytes], origin: str) -> list[ObservationOutcome]:
        """Take observations; answered when what came of all of them is durable."""
        parts = self._writing
        parcelled = _parcelled(parts.router, lines, origin)
        told = await parts.post.send(parcelled, origin, observed=True)
        return [one.outcome for one in told if isinstance(one.outcome, ObservationOutcome)]

    async def reserve(self, order: ReservationOrder, origin: str) -> Repeatable[ReservationAnswer]:
        """Take all lines of a reservation, or none."""
        return await self._writing.reserving.reserve(order, origin)

    async def step(self, order: StepOrder, origin: str) -> Repeatable[StepAnswer]:
        """Take a step of a reservation."""
        return await self._writing.reserving.step(order, origin)

    async def replay(
        self, exception: str, changes: Mapping[str, str], accept_old: bool
    ) -> Mapping[str, Any]:
        """Take a refused movement again, with some fields changed."""
        return await self._writing.replaying.replay(exception, changes, accept_old)

    async def dismiss(self, exception: str, reason: str) -> Mapping[str, Any]:
        """Close an exception."""
        return await self._writing.replaying.dismiss(exception, reason)

    async def publish_rules(self, order: RulesOrder) -> PublishedRules:
        """Have the leading ingest worker announce other rules; answered when they are in force."""
        return await self._writing.publishing.publish(order)

    # --- lookups -------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """What it is doing now."""
        return self._phase

    @property
    def _parts(self) -> _Parts:
        if self._opened is None:
            raise starting()
        return self._opened

    @property
    def _writing(self) -> _Parts:
        if self._phase is Phase.STOPPING:
            raise stopping()
        return self._parts

    def freshness(self) -> Freshness:
        """How fresh what is told is."""
        if self._opened is None:
            return Freshness(None, None)
        return self._opened.progress.freshness

    def figures(self) -> Figures:
        """What the metrics tell."""
        parts = self._opened
        if parts is None:
            return figures_of((), 0, ())
        standings = parts.looking.standings()
        return figures_of(standings, parts.post.waiting, parts.progress.standings)

    async def channel_kinds(self) -> Mapping[str, bool]:
        """The configured channels, and whether each has a number for each location."""
        rules = await self._parts.rules.newest()
        return {channel.name: channel.by_location for channel in rules.channels}

    async def look_up(self, keys: Sequence[LookupKey]) -> list[PublishedKey]:
        """What was told last of each key, in the order of the keys."""
        return await self._parts.looking.look_up(keys)

    async def look_up_sku(
        self, sku: str, channel: str, locations: Sequence[str]
    ) -> list[PublishedKey]:
        """What a channel was told last of a SKU: at these locations in their order, or at all."""
        return await self._parts.looking.look_up_sku(sku, channel, locations)

    async def knows(self, sku: str) -> bool:
        """Whether anything ever came of the SKU."""
        return self._parts.looking.knows(sku)

    async def page(self, channel: str, after: str, limit: int) -> Page[PublishedKey]:
        """The next keys of a channel, in order of their names."""
        return Page(*await self._parts.looking.page(channel, after, limit))

    async def shown(self, sku: str, channels: Sequence[str]) -> list[KeyShown]:
        """The keys of a SKU with their values now, and when what is pending is due."""
        return await self._parts.looking.shown(sku, channels)

    async def stock(self, sku: str, location: str | None) -> Stock:
        """The stock of a SKU."""
        return self._parts.looking.stock(sku, location)

    async def reservation(self, sku: str, name: str) -> ReservationState:
        """A reservation as it stands."""
        record = self._parts.reserving.find(sku, name)
        if record is None:
            raise unknown_reservation(sku, name)
        return state_of(sku, name, record)

    async def explain(self, sku: str, channel: str, location: str | None) -> NumberExplained:
        """The way from physical stock to the published number."""
        return await self._parts.looking.explain(sku, channel, location)

    async def channels(self) -> Sequence[ChannelStanding]:
        """How far each channel is behind."""
        return self._parts.progress.standings

    async def rules(self) -> RulesShown:
        """The rules in force."""
        rules = await self._parts.rules.newest()
        return show_rules(rules, self.freshness().taken or 0)

    async def try_rules(self, wanted: TrialWanted) -> Tried:
        """What would change on live stock under other rules; one caller at a time."""
        return await self._parts.trying.run(wanted)

    async def exceptions(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> Page[ExceptionShown]:
        """The next exceptions, oldest first."""
        letters, following = exceptions.page_of(self._parts.replica.tables, wanted, after, limit)
        return Page([_exception_shown(letter) for letter in letters], following)

    async def exception(self, exception: str) -> ExceptionShown:
        """One exception."""
        _, letter = exceptions.find(self._parts.replica.tables, exception)
        return _exception_shown(letter)


async def for_ever(step: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; brokers that are away are waited for."""
    log = structlog.get_logger("sellable.api")
    while True:
        try:
            await step()
        except (KafkaError, BrokersAwayError) as error:
            log.warning("the brokers do not answer, trying again", error=repr(error))
            await asyncio.sleep(RETRY_AFTER_S)


def _parcelled(router: Router, lines: Sequence[bytes], origin: str) -> list[Parcelled]:
    """The lines in their order, each with the partition of its SKU."""
    parcelled: list[Parcelled | None] = [None] * len(lines)
    split = router.split(origin, Batch(list(range(len(lines))), list(lines), 0))
    for partition, part in split.items():
        for index, payload in zip(part.offsets, part.payloads, strict=True):
            parcelled[index] = Parcelled(partition, payload)
    return [one for one in parcelled if one is not None]


def _movement_answer(line: bytes, told: Told) -> MovementAnswer:
    outcome = told.outcome
    assert isinstance(outcome, MovementOutcome), "a movement was sent"
    answer = MovementAnswer(outcome.source, outcome.id, outcome.sku, outcome.outcome, outcome.code)
    if told.exceptions:
        answer.exceptions = briefs(told.exceptions)
    return answer


def _exception_shown(letter: DeadLetter) -> ExceptionShown:
    return ExceptionShown(
        **msgspec.structs.asdict(letter.record),
        status=letter.status,
        changed_at=letter.changed_at,
        note=letter.note,
        advice=ADVICE.get(letter.record.code, ""),
    )
