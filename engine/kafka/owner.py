"""The owner of one partition of the ledger: takes envelopes, commits steps, sends outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced

from engine.kafka.backlog import Backlog
from engine.kafka.catalogue import (
    CHANGELOG,
    DECISIONS,
    ENVELOPES,
    EXCEPTIONS,
    FINDINGS,
    OBSERVED,
    OUTCOMES,
    POSTINGS,
    QUANTITIES,
    SNAPSHOTS,
    of_channel,
)
from engine.kafka.changelog import MICROSECONDS_PER_MS, Changelog
from engine.kafka.contents import Contents
from engine.kafka.envelope_reading import Envelope
from engine.kafka.envelopes import (
    CONTROL,
    ControlEntry,
    PoisonEnvelopeError,
    decode,
    encode_time,
)
from engine.kafka.fencing import Identity, fenced, renew
from engine.kafka.ledger_snapshot import ledger_snapshot
from engine.kafka.orders import MOVEMENT
from engine.kafka.outbox import Outbox, Sender
from engine.kafka.partition import RULES, Partition
from engine.kafka.patience import patiently
from engine.kafka.rules_content import read_rules
from engine.kafka.settings import KafkaSettings
from engine.kafka.step_figures import StepFigures
from engine.kafka.table import LocalTable
from engine.kafka.timekeeping import Appended, TimeKeeper
from engine.kafka.together import Together
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics

NOTE_AFTER_S: Final = 1.0
"""What was delivered is noted with the next step, or by itself when there is none for so long."""
WAITING_ENVELOPES: Final = 16
"""Envelopes that wait beside those at hand; before a partition is given away they are taken."""
OUTPUTS: Final = (DECISIONS, POSTINGS, FINDINGS, EXCEPTIONS, OUTCOMES, OBSERVED, SNAPSHOTS)


class Owner:
    """A partition at work. `failed` is told of an error that ends its work in the background."""

    def __init__(
        self,
        settings: KafkaSettings,
        partition: Partition,
        table: LocalTable,
        identity: Identity,
        producer: AIOKafkaProducer,
        contents: Contents,
        metrics: WorkerMetrics,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.partition = partition
        self.table = table
        self._settings = settings
        self._identity = identity
        self._producer = producer
        self._contents = contents
        self._figures = StepFigures(metrics, partition.number)
        self._failed = failed
        self._channels = {channel.name for channel in partition.engine.rules.channels}
        changelog = Changelog(producer, changelog_place(settings, partition.number))
        self._together = Together(changelog, table)
        self._sender = Sender(producer, partition.number, settings.topic)
        self._outbox = Outbox(self._sender, self._delivered, failed)
        self._inbox: Backlog[Envelope] = Backlog(
            self._take, failed, WAITING_ENVELOPES, at_once=WAITING_ENVELOPES
        )
        self._time = TimeKeeper(self._next_due, self._append_time, failed)
        self._at_work = asyncio.Lock()
        self._note_timer: asyncio.TimerHandle | None = None
        self._noting: asyncio.Task[None] | None = None
        # Set when a step was begun and not committed: the state in memory is ahead of the log.
        self._broken = False

    # --- start and end -------------------------------------------------------------------------

    async def start(self) -> None:
        """Send again what may not have been delivered, and finish a snapshot that was begun."""
        self._outbox.start()
        self._inbox.start()
        for parcel in self.partition.undelivered():
            await self._outbox.put(parcel)
        if self.partition.engine.standing.cut is not None:
            await self._write_snapshot()
        self._time.look()

    async def rest(self) -> None:
        """Come to rest: all is sent and noted, and nothing is written until `resume`.

        Raises:
            FencedError: another worker owns the partition by now.
            KafkaError: the brokers refuse.
        """
        await self._time.rest()
        await self._inbox.settle()
        await self._outbox.settle()
        await self._note()
        await self._outbox.stop()

    def resume(self) -> None:
        """Go on after a rest."""
        self._outbox.start()
        self._time.look()

    async def close(self) -> None:
        """Let go of the partition; what is committed stays so. Closing twice does nothing."""
        self._time.abandon()
        if self._note_timer is not None:
            self._note_timer.cancel()
        if self._noting is not None:
            self._noting.cancel()
        await self._inbox.stop()
        await self._outbox.stop()
        await self._producer.stop()
        self.table.close()

    async def renew(self) -> None:
        """Keep the brokers from forgetting the owner.

        Raises:
            FencedError: another worker owns the partition by now.
        """
        await renew(
            self._settings,
            self._identity,
            [
                *output_places(self._settings, self.partition.number),
                *quantity_places(self._settings, self.partition.number, self._channels),
            ],
        )

    def _next_due(self) -> int | None:
        """When something falls due; None as long as envelopes are at hand, which bring the time."""
        return None if self._broken else self.partition.next_due()

    # --- envelopes -----------------------------------------------------------------------------

    async def take(self, envelope: Envelope) -> None:
        """Have an envelope taken after those before it; waits while too many wait already.

        So the partitions of a worker do not wait for one another's writes.
        """
        await self._inbox.put(envelope)

    async def _take(self, envelopes: list[Envelope]) -> None:
        """Take envelopes whole, one after the other: afterwards what each did is durable.

        Raises:
            EnvelopeGapError: envelopes are missing before one.
            FencedError: another worker owns the partition by now.
            SellableError: the state breaks an invariant, or the disk fails.
        """
        async with self._at_work:
            assert not self._broken, "a partition whose step failed is never used again"
            self._broken = True
            for envelope in envelopes:
                await self._take_one(envelope)
            await self._commit()
            self._broken = False
        self._figures.took_envelopes(len(envelopes))
        self._time.taken(envelopes[-1].offset)

    async def _take_one(self, envelope: Envelope) -> None:
        """Take an envelope; what it did may wait to be committed together with what comes next."""
        content = await self._content_of(envelope)
        for step in self.partition.take(envelope, content):
            self._together.add(step)
            if step.cut:
                await self._commit()
                await self._write_snapshot()
        if self._together.is_full:
            await self._commit()
        else:
            await asyncio.sleep(0)  # others have their turn

    async def _content_of(self, envelope: Envelope) -> RuleSet | bytes | None:
        """What a control entry names, as soon as it is there."""
        if envelope.value[:1] != bytes((CONTROL,)):
            return None
        try:
            entry = decode(envelope.value)
        except PoisonEnvelopeError:
            return None
        if not isinstance(entry, ControlEntry) or not entry.name:
            return None
        if entry.kind != RULES:
            return (await self._contents.read(entry.name)).get(MOVEMENT)
        rules = await read_rules(self._contents, entry.name)
        if rules is not None:
            await self._claim_channels({channel.name for channel in rules.channels})
        return rules

    async def _claim_channels(self, channels: set[str]) -> None:
        """Shut earlier owners out of the topics of channels that are new."""
        new = channels - self._channels
        if new:
            places = quantity_places(self._settings, self.partition.number, new)
            await renew(self._settings, self._identity, places)
            self._channels |= new

    async def _commit(self) -> None:
        """Make the steps that were taken durable, and have their outputs sent."""
        for step in await self._together.commit(self.partition.record.life):
            self._figures.count(step)
            if step.parcel is not None:
                await self._outbox.put(step.parcel)

    async def _write_snapshot(self) -> None:
        engine = self.partition.engine
        for messages in ledger_snapshot(engine, self.table, self.partition.number):
            await self._sender.send({SNAPSHOTS: messages})
        self._together.add(self.partition.cut_written())
        await self._commit()

    async def _append_time(self) -> Appended:
        topic = self._settings.topic(ENVELOPES)
        send = partial(self._producer.send, topic, encode_time(), partition=self.partition.number)
        try:
            told = await (await patiently(send))
        except (ProducerFenced, OutOfOrderSequenceNumber) as error:
            raise fenced(f"{topic}/{self.partition.number}") from error
        return Appended(told.offset, told.timestamp * MICROSECONDS_PER_MS)

    # --- what was delivered --------------------------------------------------------------------

    def _delivered(self, number: int) -> None:
        self.partition.delivered(number)
        if self._note_timer is not None:
            self._note_timer.cancel()
        loop = asyncio.get_running_loop()
        self._note_timer = loop.call_later(NOTE_AFTER_S, self._note_soon)

    def _note_soon(self) -> None:
        self._noting = asyncio.create_task(self._try_note())

    async def _try_note(self) -> None:
        try:
            await self._note()
        except Exception as error:  # noqa: BLE001 - whatever it is, the partition has to stop
            self._failed(error)

    async def _note(self) -> None:
        """Commit that outputs are delivered, where no step did."""
        if self._note_timer is not None:
            self._note_timer.cancel()
            self._note_timer = None
        async with self._at_work:
            step = None if self._broken else self.partition.note_delivered()
            if step is not None:
                self._together.add(step)
                await self._commit()
            self.table.flush()


def changelog_place(settings: KafkaSettings, number: int) -> TopicPartition:
    """Where the changelog of a partition is."""
    return TopicPartition(settings.topic(CHANGELOG), number)


def output_places(settings: KafkaSettings, number: int) -> list[TopicPartition]:
    """Where the outputs of a partition go, whatever the channels are."""
    return [TopicPartition(settings.topic(topic), number) for topic in OUTPUTS]


def quantity_places(
    settings: KafkaSettings, number: int, channels: Collection[str]
) -> list[TopicPartition]:
    """Where the quantities of a partition go."""
    return [
        TopicPartition(settings.topic(of_channel(QUANTITIES, channel)), number)
        for channel in sorted(channels)
    ]
