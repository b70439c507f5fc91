"""The dispatch worker: what was published goes where it is wanted; first, into the read model.

How far each partition has been brought is kept in Redis beside the rows, not with the brokers. So
a Redis that was flushed, replaced or set back to an older copy is noticed by its positions, also
while nothing is published, and what it lacks is read again from the compacted topics.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from redis import RedisError

from engine.kafka.catalogue import AVAILABILITY, STANDINGS
from engine.kafka.clients import make_member, stop_client
from engine.kafka.folder_lock import locked
from engine.kafka.lag import Lag
from engine.kafka.patience import passes
from engine.kafka.read_model import ROWS_AT_ONCE, ReadModel, Row, field_of
from engine.kafka.running import check_topics, run_until_stopped, telling_refusals
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics, served

KIND: Final = "dispatch"
LOCK_FILE: Final = f"{KIND}.lock"
LOOK_EVERY_S: Final = 1.0
"""How often Redis is asked whether it still has what it had."""
READ_EVERY_MS: Final = 200
RECORDS_AT_ONCE: Final = 5_000
RETRY_AFTER_S: Final = 0.5


class _Published(msgspec.Struct, gc=False):
    """What of a publication the read model has to know."""

    sku: str
    channel: str
    location: str | None
    version: int


def run(settings: KafkaSettings) -> None:
    """Run a dispatch worker until SIGTERM or SIGINT.

    Raises:
        SellableError: it cannot start, or must not go on.
    """
    settings.refuse_clear_redis()
    metrics = WorkerMetrics()
    with (
        locked(settings.data, LOCK_FILE),
        served(metrics, settings.metrics_listen),
        telling_refusals(settings),
    ):
        run_until_stopped(lambda stop: dispatch(settings, metrics, stop))


def read_model_of(settings: KafkaSettings) -> ReadModel:
    """The read model of an engine with these settings."""
    prefix = f"{settings.redis_prefix}:{settings.topic_prefix}".rstrip(":")
    return ReadModel(settings.redis_url.get_secret_value(), prefix)


def availability_pattern(settings: KafkaSettings) -> str:
    """Matches the topics of all channels, those that are added later too."""
    topics = re.escape(settings.topic(AVAILABILITY.partition("{")[0]))
    return f"^{topics}.+$"


async def dispatch(settings: KafkaSettings, metrics: WorkerMetrics, stop: asyncio.Event) -> None:
    """Work until asked to stop.

    Raises:
        SellableError: it cannot start, or must not go on.
        KafkaError: the brokers refuse.
    """
    log = structlog.get_logger("sellable.dispatch").bind(worker=settings.worker_id)
    await check_topics(settings, (STANDINGS,))  # there with every engine, before its channels are
    member = make_member(settings, KIND, auto_offset_reset="none")
    model = read_model_of(settings)
    worker = _Dispatch(member, model, metrics)
    async with AsyncExitStack() as ending:
        ending.push_async_callback(model.close)
        ending.push_async_callback(stop_client, member)
        member.subscribe(pattern=availability_pattern(settings), listener=worker.places)
        await member.start()
        log.info("the worker runs", kind=KIND)
        while not stop.is_set():
            await worker.step()
    log.info("the worker has stopped", kind=KIND)


class _Places(ConsumerRebalanceListener):  # type: ignore[misc]  # it has no types
    """The partitions of this worker: `lost` are those whose position has to be asked of Redis."""

    def __init__(self, member: AIOKafkaConsumer) -> None:
        self.at: dict[TopicPartition, int | None] = {}
        self.lost: set[TopicPartition] = set()
        self._member = member

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Leave them: what was written stands in Redis with its position."""
        for place in revoked:
            self.at.pop(place, None)
            self.lost.discard(place)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Read nothing of them before Redis has said from where."""
        for place in assigned:
            self.lose(place)

    def lose(self, place: TopicPartition) -> None:
        """Stop to read a partition until Redis has said from where."""
        self._member.pause(place)
        self._member.seek(place, 0)
        self.lost.add(place)


class _Dispatch:
    """The steps of a dispatch worker."""

    def __init__(self, member: AIOKafkaConsumer, model: ReadModel, metrics: WorkerMetrics) -> None:
        self.places = _Places(member)
        self._member = member
        self._model = model
        self._metrics = metrics
        self._lag = Lag(member, metrics)
        self._looked_at = 0.0
        self._asked_eviction = False
        self._read = msgspec.json.Decoder(_Published).decode
        self._log = structlog.get_logger("sellable.dispatch")

    async def step(self) -> None:
        """Bring to Redis what has come; while it or the brokers are away, wait for them."""
        try:
            await self._look()
            await self._find_lost()
            await self._bring()
            self._metrics.read_model_up.set(1)
        except RedisError as error:
            self._metrics.read_model_up.set(0)
            self._log.warning("Redis did not answer, trying again", error=str(error))
            for place in list(self.places.at):
                self.places.lose(place)
            await asyncio.sleep(RETRY_AFTER_S)
        except KafkaError as error:
            if not passes(error):
                raise
            self._log.warning("the brokers do not answer, trying again", error=repr(error))
            await asyncio.sleep(RETRY_AFTER_S)

    async def _look(self) -> None:
        """Now and then ask Redis whether it still stands where it was brought."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        if not self._asked_eviction:
            self._asked_eviction = True
            if await self._model.evicts():
                self._log.warning("this Redis may throw rows away: set maxmemory-policy noeviction")
        known = dict(self.places.at)
        for place, stored in zip(known, await self._stored(list(known)), strict=True):
            if stored != known[place] and self.places.at.get(place) == known[place]:
                self.places.lose(place)
        await self._pass_markers()
        self._lag.measure(self.places.at)
        self._looked_at = time.monotonic()

    async def _pass_markers(self) -> None:
        """Bring positions over what holds no message, such as the marks of new owners.

        Whoever compares the positions in Redis with the ends of the topics then sees that nothing
        is missing.
        """
        for place, at in list(self.places.at.items()):
            if place in self.places.lost:
                continue
            position = await self._member.position(place)
            if position > (at or 0):
                done = await self._model.write(name_of_place(place), at, [(position, ())])
                if done.moved:
                    self.places.lose(place)
                elif place in self.places.at:
                    self.places.at[place] = position

    async def _find_lost(self) -> None:
        """Go on with the lost partitions from where Redis stands."""
        lost = list(self.places.lost)
        if not lost:
            return
        stored = await self._stored(lost)
        first = await self._member.beginning_offsets(lost)
        for place, position in zip(lost, stored, strict=True):
            if place not in self.places.lost:
                continue  # it was given away meanwhile
            if position is None and self.places.at.get(place) is not None:
                self._metrics.read_model_rebuilds.inc()
                self._log.warning(
                    "Redis has lost a partition, it is written again",
                    topic=place.topic,
                    partition=place.partition,
                )
            self.places.at[place] = position
            self.places.lost.discard(place)
            self._member.seek(place, max(first[place], position or 0))
            self._member.resume(place)

    async def _stored(self, places: Sequence[TopicPartition]) -> list[int | None]:
        """Where Redis stands."""
        return await self._model.positions([name_of_place(place) for place in places])

    async def _bring(self) -> None:
        try:
            found = await self._member.getmany(
                timeout_ms=READ_EVERY_MS, max_records=RECORDS_AT_ONCE
            )
        except OffsetOutOfRangeError as error:
            for place in error.args[0]:
                # The topic was made anew: its versions decide what is newer.
                self._member.seek(place, (await self._member.beginning_offsets([place]))[place])
            return
        except NoOffsetForPartitionError:
            return
        for place, records in found.items():
            if place in self.places.at and place not in self.places.lost:
                await self._write(place, records)

    async def _write(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        batches = list(self._batches(records))
        done = await self._model.write(name_of_place(place), self.places.at[place], batches)
        if done.moved:
            if place in self.places.at:
                self.places.lose(place)
            return
        if place in self.places.at:
            self.places.at[place] = batches[-1][0]
        self._lag.took(place, records[-1].timestamp)
        self._metrics.read_model_writes.labels("written").inc(done.written)
        self._metrics.read_model_writes.labels("older").inc(done.older)

    def _batches(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, list[Row]]]:
        """Rows by the hundreds, each with the position behind its last."""
        for start in range(0, len(records), ROWS_AT_ONCE):
            chunk = records[start : start + ROWS_AT_ONCE]
            rows = [row for record in chunk if (row := self._row(record)) is not None]
            yield chunk[-1].offset + 1, rows

    def _row(self, record: ConsumerRecord) -> Row | None:
        if record.value is None:
            return _gone(record)
        try:
            said = self._read(record.value)
        except (msgspec.MsgspecError, ValueError) as error:
            self._metrics.read_model_writes.labels("unreadable").inc()
            self._log.error(
                "a message is no publication",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
            return None
        field = field_of(said.channel, said.location)
        return Row(said.sku, field, said.version, record.value)


def name_of_place(place: TopicPartition) -> str:
    """The name of a partition among the positions in Redis."""
    return f"{place.topic}/{place.partition}"


def _gone(record: ConsumerRecord) -> Row | None:
    """The row of a key that was taken away."""
    if not record.key:
        return None
    sku, _, location = record.key.decode(errors="replace").partition("|")
    channel = record.topic[record.topic.index(AVAILABILITY.partition("{")[0]) :].partition(".")[2]
    return Row(sku, field_of(channel, location or None), 0, None)
