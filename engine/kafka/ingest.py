"""The ingest worker: movements and observations, keyed in any way, become envelopes by SKU.

Nothing is judged and nothing is dropped: what cannot be applied is refused by the ledger, once, at
a definite place in its log. Sent at least once; the offsets that go with every run make it exact.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from engine.kafka.announce import Announcer, rules_are_announced
from engine.kafka.batches import Batch, read_batches
from engine.kafka.catalogue import (
    CATALOGUE_ITEMS,
    CATALOGUE_LOCATIONS,
    CHANGELOG,
    CONTENTS,
    ENVELOPES,
    OBSERVATIONS,
    OUTCOMES,
    RESERVATIONS,
)
from engine.kafka.clients import make_member, make_producer, stop_client
from engine.kafka.folder_lock import locked
from engine.kafka.lag import Lag
from engine.kafka.routing import Router
from engine.kafka.running import (
    check_topics,
    ledger_partitions,
    run_until_stopped,
    telling_refusals,
)
from engine.kafka.sending import MS_PER_SECOND, Sending
from engine.kafka.settings import KafkaSettings
from engine.kafka.sources import Sources
from engine.rules.loader import load_rules
from engine.telemetry.metrics import WorkerMetrics, served

KIND: Final = "ingest"
LOCK_FILE: Final = f"{KIND}.lock"
COMMIT_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 0.2
"""How long the worker waits for messages before it looks whether it is to stop."""
BATCHES_AT_ONCE: Final = 64
SETTLE_S: Final = 20.0
"""How long a stop or a change of hands waits for the brokers; what is not in the log by then is
read again by whoever comes next."""


def run(settings: KafkaSettings) -> None:
    """Run an ingest worker until SIGTERM or SIGINT.

    Raises:
        SellableError: it cannot start, or must not go on.
    """
    metrics = WorkerMetrics()
    with (
        locked(settings.data, LOCK_FILE),
        served(metrics, settings.metrics_listen),
        telling_refusals(settings),
    ):
        run_until_stopped(lambda stop: ingest(settings, metrics, stop))


def incoming_pattern(settings: KafkaSettings) -> str:
    """Matches the topics that are read: `movements.*` but for the outcomes, and two more.

    The topic of the catalogue's locations is in it so that the group gives it to one worker, which
    then leads.
    """
    prefix = re.escape(settings.topic_prefix)
    single = map(re.escape, (RESERVATIONS, OBSERVATIONS, CATALOGUE_LOCATIONS))
    names = "|".join(("movements\\..+", *single))
    return f"^{prefix}(?!{re.escape(OUTCOMES)}$)({names})$"


async def ingest(settings: KafkaSettings, metrics: WorkerMetrics, stop: asyncio.Event) -> None:
    """Work until asked to stop; then everything that was read is in the log.

    Raises:
        SellableError: it cannot start, or must not go on.
        KafkaError: the brokers refuse.
    """
    log = structlog.get_logger("sellable.ingest").bind(worker=settings.worker_id)
    load_rules(settings.rules, settings.overrides)  # with mistakes in the rules nothing is started
    partitions = await ledger_partitions(settings, (ENVELOPES, CHANGELOG))
    await check_topics(settings, (CONTENTS, CATALOGUE_LOCATIONS, CATALOGUE_ITEMS))
    producer = make_producer(settings, KIND)
    member = make_member(settings, KIND, auto_offset_reset="none", isolation_level="read_committed")
    announcer = Announcer(settings, metrics, partitions)
    sending = Sending(producer, settings.topic(ENVELOPES), partitions, settings, metrics)
    worker = _Ingest(settings, metrics, member, sending, announcer, Router(partitions))
    async with AsyncExitStack() as ending:
        for end in (
            producer.stop,
            partial(stop_client, member),
            announcer.close,
            sending.close,
        ):
            ending.push_async_callback(end)
        await producer.start()
        await worker.start(stop)
        log.info("the worker runs", kind=KIND, partitions=partitions)
        await worker.work(stop)
    log.info("the worker has stopped", kind=KIND)


class _Ingest:
    """The loop of an ingest worker."""

    def __init__(
        self,
        settings: KafkaSettings,
        metrics: WorkerMetrics,
        member: AIOKafkaConsumer,
        sending: Sending,
        announcer: Announcer,
        router: Router,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._member = member
        self._sending = sending
        self._announcer = announcer
        self._router = router
        self._lag = Lag(member, metrics)
        self._log = structlog.get_logger("sellable.ingest").bind(worker=settings.worker_id)
        leader = TopicPartition(settings.topic(CATALOGUE_LOCATIONS), 0)
        self._sources = Sources(member, settings.topic_prefix, leader, self._settle, announcer.lead)

    async def start(self, stop: asyncio.Event) -> None:
        """Join the group, and wait for the first rules.

        The leading worker announces them. A ledger that met a movement before any rules could do
        nothing with it.
        """
        self._member.subscribe(pattern=incoming_pattern(self._settings), listener=self._sources)
        await self._member.start()
        read_batches(self._member)
        while not stop.is_set() and not await rules_are_announced(self._settings):
            self._raise_failures()
            self._log.info("waiting for the first rules to be announced")
            await asyncio.sleep(COMMIT_EVERY_S)

    async def work(self, stop: asyncio.Event) -> None:
        """Read and send until asked to stop."""
        commit_at = time.monotonic() + COMMIT_EVERY_S
        while not stop.is_set():
            self._raise_failures()
            for place, batches in (await self._read()).items():
                self._take(place, batches)
            self._sending.send_due()
            if time.monotonic() >= commit_at:
                await self._sources.commit(self._sending.open_offsets())
                self._lag.measure(self._sources.all())
                commit_at = time.monotonic() + COMMIT_EVERY_S
        await self._settle(frozenset(self._sources.all()))

    async def _read(self) -> dict[TopicPartition, list[Batch]]:
        if self._sending.is_full:
            await self._sending.room(LOOK_EVERY_S)
            return {}
        due_in_s = self._sending.due_in_s()
        wait_s = LOOK_EVERY_S if due_in_s is None else min(due_in_s, LOOK_EVERY_S)
        try:
            found: dict[TopicPartition, list[Batch]] = await self._member.getmany(
                timeout_ms=round(wait_s * MS_PER_SECOND), max_records=BATCHES_AT_ONCE
            )
        except OffsetOutOfRangeError as error:
            await self._sources.prepare(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            return {}  # it was just assigned, and is about to be told where to start
        return found

    def _take(self, place: TopicPartition, batches: list[Batch]) -> None:
        """Split what was read by ledger partitions."""
        source = self._sources.get(place)
        if source is None:
            return  # not prepared yet: it is read again, from where it is to start
        unrouted, received = self._router.unrouted, 0
        origin = f"{source.topic}/{place.partition}"
        for batch in batches:
            self._sending.add(source, self._router.split(origin, batch))
            received += len(batch.offsets)
        last = batches[-1]
        self._sources.took(place, last.offsets[-1])
        self._lag.took(place, last.written_ms)
        self._metrics.received.labels(source.topic).inc(received)
        if self._router.unrouted > unrouted:
            count = self._router.unrouted - unrouted
            self._metrics.unrouted.inc(count)
            self._log.warning("messages without a readable SKU", origin=origin, messages=count)

    async def _settle(self, places: frozenset[TopicPartition]) -> None:
        """Bring what was read of these places into the log, and commit how far that is."""
        await self._sending.flush(places, SETTLE_S)
        await self._sources.commit(self._sending.open_offsets())
        self._sending.drop(places)

    def _raise_failures(self) -> None:
        for failure in (self._sources.failure, self._sending.failure, self._announcer.failure):
            if failure is not None:
                raise failure
