"""A copy of the ledger's tables in a process that serves HTTP, kept up with the changelog.

The changelog tells every step of the ledger in one record batch: the state after it, and the
outputs that belong to it. So whoever follows it knows the stock, and what became of a movement,
from one place and in one order: an answer is never ahead of the state that is told next.

Only what is looked at is kept: keys, SKUs, reservations, exceptions, figures. What the ledger
remembers for itself (identities, timers) is read over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from engine.contracts import records
from engine.core.figures import Standing
from engine.kafka.batches import Record, read_whole_records
from engine.kafka.catalogue import CHANGELOG
from engine.kafka.clients import make_consumer, stop_client
from engine.kafka.ledger_record import (
    LEDGER,
    OUTBOX,
    LedgerRecord,
    TablePosition,
    read_ledger_record,
)
from engine.kafka.settings import KafkaSettings
from engine.kafka.table import LocalTable
from engine.kafka.taking_over import STALE_AFTER_US

FOLDER: Final = "replica"
KEPT: Final = frozenset(
    (records.KEY, records.SKU, records.RESERVATION, records.EXCEPTION, records.META, LEDGER)
)
FETCH_BYTES: Final = 4 * 1024 * 1024
BATCHES_AT_ONCE: Final = 16
POLL_MS: Final = 200
MICROSECONDS_PER_MS: Final = 1_000

Heard = Callable[[bytes], None]


class Replica:
    """The tables of all partitions of the ledger, for one event loop.

    `heard` is told the parcel of every step as it is stored, after the step is in the table.
    """

    def __init__(self, settings: KafkaSettings, heard: Heard) -> None:
        self._settings = settings
        self._heard = heard
        self._topic = settings.topic(CHANGELOG)
        self._tables: list[LocalTable] = []
        self._ledgers: list[LedgerRecord] = []
        self._figures: list[Standing | None] = []  # decoded only when somebody asks
        self._missing: Mapping[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._log = structlog.get_logger("sellable.api")

    @property
    def tables(self) -> Sequence[LocalTable]:
        """The tables by the numbers of their partitions."""
        return self._tables

    @property
    def ledgers(self) -> Sequence[LedgerRecord]:
        """Where each partition stands in its log, as far as the copy has come."""
        return self._ledgers

    def standing(self, number: int) -> Standing:
        """What the engine of a partition knows about itself."""
        found = self._figures[number]
        if found is None:
            stored = self._tables[number].get(records.META)
            found = Standing()
            if stored is not None:
                found = msgspec.msgpack.decode(stored, type=Standing)
            self._figures[number] = found
        return found

    async def open(self) -> None:
        """Open the local copies, and begin to read where each of them ends.

        Raises:
            SellableError: the data folder cannot be used.
            KafkaError: the brokers refuse.
        """
        folder = self._settings.data / FOLDER
        self._tables = [_table(folder / str(n)) for n in range(self._settings.partitions)]
        self._ledgers = [_ledger_of(table) for table in self._tables]
        self._figures = [None] * len(self._tables)
        consumer = make_consumer(
            self._settings,
            "replica",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES * len(self._tables),
            max_poll_records=BATCHES_AT_ONCE,
        )
        self._consumer = consumer
        await consumer.start()
        read_whole_records(consumer)
        places = [TopicPartition(self._topic, number) for number in range(len(self._tables))]
        consumer.assign(places)
        first = await consumer.beginning_offsets(places)
        self._missing = await consumer.end_offsets(places)
        for place, table in zip(places, self._tables, strict=True):
            if table.position.next_offset > self._missing[place]:
                self._forget(place.partition, "the changelog is another one")
            consumer.seek(place, max(first[place], table.position.next_offset))

    async def catch_up(self) -> None:
        """Read up to where the changelog ended when it was opened.

        Raises:
            KafkaError: the brokers refuse.
        """
        assert self._consumer is not None
        while self._missing:
            await self.read()
            self._missing = {
                place: end
                for place, end in self._missing.items()
                if await self._consumer.position(place) < end
            }

    async def read(self) -> None:
        """Take what has come, or wait a moment for it.

        Raises:
            KafkaError: the brokers refuse.
        """
        assert self._consumer is not None
        found = await self._consumer.getmany(timeout_ms=POLL_MS)
        for place, batches in found.items():
            for batch in batches:
                self._take(place, batch)

    async def close(self) -> None:
        """Let go of the brokers and of the files."""
        if self._consumer is not None:
            await stop_client(self._consumer)
        for table in self._tables:
            table.close()

    def _take(self, place: TopicPartition, batch: Sequence[Record]) -> None:
        number = place.partition
        table = self._tables[number]
        found: dict[bytes, bytes | None] = {}
        parcels: list[bytes] = []
        for record in batch:
            key, value = record.key, record.value
            if key is None:
                continue
            if key[:1] in KEPT:
                found[key] = value
            elif key[:1] == OUTBOX and value is not None:
                parcels.append(value)
        life = table.position.life
        told = found.get(LEDGER)
        if told is not None:
            ledger = read_ledger_record(told)
            if life and ledger.life != life:
                self._begin_anew(place)
                return
            life = ledger.life
            self._ledgers[number] = ledger
        at = batch[-1].timestamp * MICROSECONDS_PER_MS
        table.apply(found, batch[-1].offset + 1, at, life)
        if records.META in found:
            self._figures[number] = None
        for parcel in parcels:
            self._heard(parcel)

    def _begin_anew(self, place: TopicPartition) -> None:
        """The changelog was made anew under the same name: nothing of the old one counts."""
        assert self._consumer is not None
        self._forget(place.partition, "the changelog was made anew")
        self._consumer.seek(place, 0)

    def _forget(self, number: int, reason: str) -> None:
        self._log.warning("the local copy is made anew", partition=number, reason=reason)
        self._tables[number].wipe()
        self._ledgers[number] = LedgerRecord(life="")
        self._figures[number] = None


def _table(folder: Path) -> LocalTable:
    """A local copy; one that was left for too long is read from the start again.

    Beyond that time the changelog may have forgotten which records were dropped.
    """
    table = LocalTable(folder)
    position: TablePosition = table.position
    now = time.time_ns() // 1_000
    if position.next_offset and now - position.at > STALE_AFTER_US:
        table.wipe()
    return table


def _ledger_of(table: LocalTable) -> LedgerRecord:
    stored = table.get(LEDGER)
    return LedgerRecord(life="") if stored is None else read_ledger_record(stored)
