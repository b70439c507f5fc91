"""The owner of one channel: reads its quantities from all partitions, and writes what it is told.

`max_rate` and the order of risk are promises of a channel as a whole, so one worker at a time owns
it, and the brokers refuse the publications of any earlier one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from engine.kafka.batches import Record, read_whole_records
from engine.kafka.catalogue import AVAILABILITY, QUANTITIES, SNAPSHOTS, STANDINGS, of_channel
from engine.kafka.changelog import BATCH_BYTES
from engine.kafka.channel_publisher import ChannelPublisher, Publication
from engine.kafka.channel_snapshot import ChannelCut, ChannelCuts, channel_snapshot
from engine.kafka.channel_standing import TELL_EVERY_S, ChannelTold, encode_standing
from engine.kafka.clients import make_consumer, running
from engine.kafka.contents import Contents
from engine.kafka.fencing import RENEW_AFTER_S, Identity, claim, fenced_producer, renew
from engine.kafka.lag import Lag
from engine.kafka.ledger_record import Message
from engine.kafka.messages import (
    RULES_KEY,
    SNAPSHOT_KEY,
    Quantity,
    RulesNotice,
    SnapshotNotice,
)
from engine.kafka.outbox import Sender
from engine.kafka.partitioning import murmur2
from engine.kafka.publications import publication_message, read_publication
from engine.kafka.rules_content import read_rules
from engine.kafka.running import task_group
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics

SETTLE_S: Final = 0.05
"""A tick is taken up so long after its time: so long the ledger's quantities of it may travel.

What a channel does not hold back goes on before that and afterwards, as it comes."""
SETTLE_US: Final = int(SETTLE_S * 1_000_000)
SNAPSHOT_AFTER_US: Final = 500_000
"""A snapshot is written so long after its tick, when the publications of the tick are out."""
POLL_MS: Final = 200
MEASURE_EVERY_S: Final = 1.0
FETCH_BYTES: Final = 2 * 1024 * 1024
BATCHES_AT_ONCE: Final = 16
MICROSECONDS_PER_SECOND: Final = 1_000_000

_decode_quantity = msgspec.json.Decoder(Quantity).decode
_decode_notice = msgspec.json.Decoder(RulesNotice).decode
_decode_snapshot_notice = msgspec.json.Decoder(SnapshotNotice).decode


class ChannelOwner:
    """One channel at work in this worker."""

    def __init__(
        self, settings: KafkaSettings, channel: str, contents: Contents, metrics: WorkerMetrics
    ) -> None:
        self.publisher = ChannelPublisher(channel)
        self._settings = settings
        self._channel = channel
        self._contents = contents
        self._metrics = metrics
        self._notice: RulesNotice | None = None
        self._cuts = ChannelCuts(self.publisher, settings.partitions)
        self._complete: list[ChannelCut] = []
        self._published = 0
        self._told_at = 0.0
        self._is_live = False
        self._came = asyncio.Event()
        self._telling = asyncio.Lock()
        self._is_resting = False
        self._log = structlog.get_logger("sellable.publish").bind(channel=channel)

    async def run(self) -> None:
        """Own the channel until cancelled.

        Raises:
            FencedError: another worker owns it by now.
            KafkaError: the brokers refuse.
        """
        settings, channel = self._settings, self._channel
        availability = _places(settings, of_channel(AVAILABILITY, channel))
        quantities = _places(settings, of_channel(QUANTITIES, channel))
        standings = TopicPartition(settings.topic(STANDINGS), 0)
        written = [*availability, self._snapshot_place, standings]
        identity = await claim(settings, f"publish-{channel}", written)
        producer = await fenced_producer(settings, identity, max_batch_size=BATCH_BYTES)
        consumer = make_consumer(
            settings,
            f"publish-{channel}",
            max_partition_fetch_bytes=FETCH_BYTES,
            max_poll_records=BATCHES_AT_ONCE,
        )
        try:
            async with running(consumer, patient=True):
                read_whole_records(consumer)
                await self._rebuild(consumer, availability, quantities)
                lag = Lag(consumer, self._metrics)
                async with task_group() as tasks:
                    tasks.create_task(self._read(consumer, lag))
                    tasks.create_task(_measure(lag, quantities))
                    tasks.create_task(self._tell(producer))
                    tasks.create_task(self._snapshot(producer))
                    tasks.create_task(self._renew(identity, written))
        finally:
            await producer.stop()

    async def rest(self) -> None:
        """Publish nothing more until `resume`; what is on its way has arrived."""
        if not self._is_resting:
            await self._telling.acquire()
            self._is_resting = True

    def resume(self) -> None:
        """Go on after a rest."""
        if self._is_resting:
            self._is_resting = False
            self._telling.release()

    # --- rebuild -------------------------------------------------------------------------------

    async def _rebuild(
        self,
        consumer: AIOKafkaConsumer,
        availability: Sequence[TopicPartition],
        quantities: Sequence[TopicPartition],
    ) -> None:
        started = time.monotonic()
        await _read_all(consumer, availability, self._take_publications)
        # Versions count the publications of a key.
        self._published = sum(key.last.version for key in self.publisher.keys.values())
        await _read_all(consumer, quantities, self._take_quantities)
        self._is_live = True
        self._log.info(
            "channel is served",
            keys=len(self.publisher.keys),
            seconds=round(time.monotonic() - started, 3),
        )

    async def _take_publications(self, place: TopicPartition, records: Sequence[Record]) -> None:
        restore, partition = self.publisher.restore, place.partition
        for record in records:
            try:
                restore(*read_publication(record.value or b"", record.headers), partition)
            except (msgspec.MsgspecError, ValueError) as error:
                self._leave_aside(place, record, error)

    # --- quantities ----------------------------------------------------------------------------

    async def _read(self, consumer: AIOKafkaConsumer, lag: Lag) -> None:
        while True:
            for place, batches in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for records in batches:
                    await self._take_quantities(place, records)
                self._came.set()
                lag.took(place, batches[-1][-1].timestamp)

    async def _take_quantities(self, place: TopicPartition, records: Sequence[Record]) -> None:
        take, partition = self.publisher.take, place.partition
        for record in records:
            key, value = record.key or b"", record.value or b""
            try:
                if key[:1] != b"\x00":
                    take(_decode_quantity(value), partition)
                elif key == RULES_KEY:
                    await self._take_notice(_decode_notice(value))
                elif key == SNAPSHOT_KEY and self._is_live:
                    # What was told before this owner came is not as it was at the cut any more.
                    cut = self._cuts.told(partition, _decode_snapshot_notice(value))
                    if cut is not None:
                        self._complete.append(cut)
            except (msgspec.MsgspecError, ValueError) as error:
                self._leave_aside(place, record, error)

    def _leave_aside(self, place: TopicPartition, record: Record, error: Exception) -> None:
        """Somebody else has written to the engine's own topics: it is told, and changes nothing."""
        self._metrics.unreadable.labels(place.topic).inc()
        self._log.error(
            "a message cannot be read",
            topic=place.topic,
            partition=place.partition,
            offset=record.offset,
            error=str(error),
        )

    async def _take_notice(self, notice: RulesNotice) -> None:
        """Put in force what the ledger put in force last, in whichever partition first."""
        if self._notice is not None and (notice.at, notice.rules) <= (
            self._notice.at,
            self._notice.rules,
        ):
            return
        known, self._notice = self._notice, notice
        if known is not None and known.rules == notice.rules:
            return
        rules = await read_rules(self._contents, notice.rules)
        if rules is not None:
            self.publisher.change_rules(rules)

    # --- publications --------------------------------------------------------------------------

    async def _tell(self, producer: AIOKafkaProducer) -> None:
        senders = [
            Sender(producer, number, self._settings.topic)
            for number in range(self._settings.partitions)
        ]
        while True:
            tick = await self._next_tick()
            while (left_s := self._left_s(tick)) > 0:
                if await self._comes_within(left_s):
                    async with self._telling:
                        await self._publish(senders, self.publisher.pass_on())
            async with self._telling:
                await self._publish(senders, self.publisher.tick(tick))
                await self._tell_standing(senders[0], tick)
            self._count()

    async def _next_tick(self) -> int:
        """The next tick that was not taken up yet, as soon as it is known how long ticks are."""
        length = self.publisher.tick_length
        while length is None:
            await asyncio.sleep(SETTLE_S)
            length = self.publisher.tick_length
        now = _wall_clock() - SETTLE_US
        return max(now - now % length, self.publisher.last_tick) + length

    def _left_s(self, tick: int) -> float:
        """How long until a tick is taken up."""
        return (tick + SETTLE_US - _wall_clock()) / MICROSECONDS_PER_SECOND

    async def _comes_within(self, seconds: float) -> bool:
        """Wait for more quantities, for some seconds at most; whether some came."""
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            return False
        self._came.clear()
        return True

    async def _publish(self, senders: Sequence[Sender], told_now: Iterable[Publication]) -> None:
        messages: dict[int, list[Message]] = {}
        waited: list[int] = []
        for publication in told_now:
            messages.setdefault(publication.partition, []).append(publication_message(publication))
            waited.append(publication.since)
        topic = of_channel(AVAILABILITY, self._channel)
        await asyncio.gather(
            *(senders[number].send({topic: told}) for number, told in messages.items())
        )
        now = _wall_clock()
        observe = self._metrics.publication_delay_seconds.labels(self._channel).observe
        for since in waited:
            observe((now - since) / MICROSECONDS_PER_SECOND)
        self._metrics.publications.labels(self._channel).inc(len(waited))
        self._published += len(waited)

    async def _tell_standing(self, sender: Sender, tick: int) -> None:
        """Tell now and then how far the channel is, once all that is due on the tick is told."""
        now = time.monotonic()
        if now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        publisher = self.publisher
        told = ChannelTold(
            self._channel,
            tick,
            self._published,
            publisher.pending(),
            publisher.by_rate(),
            publisher.oldest(),
        )
        await sender.send({STANDINGS: [(self._channel.encode(), encode_standing(told), [])]})

    def _count(self) -> None:
        oldest = self.publisher.oldest()
        waited = 0 if oldest is None else _wall_clock() - oldest
        self._metrics.pending.labels(self._channel).set(self.publisher.pending())
        self._metrics.oldest_pending_seconds.labels(self._channel).set(
            waited / MICROSECONDS_PER_SECOND
        )

    # --- snapshots -----------------------------------------------------------------------------

    @property
    def _snapshot_place(self) -> TopicPartition:
        number = murmur2(self._channel.encode()) % self._settings.partitions
        return TopicPartition(self._settings.topic(SNAPSHOTS), number)

    async def _snapshot(self, producer: AIOKafkaProducer) -> None:
        """Write the cuts that are complete, after the publications of their ticks."""
        sender = Sender(producer, self._snapshot_place.partition, self._settings.topic)
        while True:
            await asyncio.sleep(SETTLE_S)
            while self._complete and self._complete[0].at <= _wall_clock() - SNAPSHOT_AFTER_US:
                cut = self._complete.pop(0)
                for messages in channel_snapshot(self.publisher, cut):
                    async with self._telling:
                        await sender.send({SNAPSHOTS: messages})
                self._cuts.close(cut)

    async def _renew(self, identity: Identity, places: Sequence[TopicPartition]) -> None:
        while True:
            await asyncio.sleep(RENEW_AFTER_S)
            await renew(self._settings, identity, places)


async def _measure(lag: Lag, places: Sequence[TopicPartition]) -> None:
    while True:
        lag.measure(places)
        await asyncio.sleep(MEASURE_EVERY_S)


async def _read_all(
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    take: Callable[[TopicPartition, Sequence[Record]], Awaitable[None]],
) -> None:
    """Read partitions from their starts up to where they end now; they stay assigned."""
    consumer.assign(list(places))
    await consumer.seek_to_beginning(*places)
    missing: Mapping[TopicPartition, int] = await consumer.end_offsets(list(places))
    while missing:
        for place, batches in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            for records in batches:
                await take(place, records)
        missing = {
            place: end for place, end in missing.items() if await consumer.position(place) < end
        }


def _places(settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    name = settings.topic(topic)
    return [TopicPartition(name, number) for number in range(settings.partitions)]


def _wall_clock() -> int:
    """The time of day as an instant."""
    return time.time_ns() // 1_000
