"""The changelog of a partition: every step in one record batch, which is there whole or not.

Steps that are committed together share a batch, and count as one here. A step that is too large
for one batch is written ahead: its parts under keys of their own, then the number of the parts,
with which the step counts as done; then the records themselves, in any number of batches; then the
parts are dropped again. Whoever restores and finds the number does the rest. So no reader ever
takes half a step for a whole one, and compaction cannot make one: keys of the table are only
overwritten once the step is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.kafka.fencing import fenced, send_batch
from engine.kafka.ledger_record import REDO
from engine.kafka.packing import fill
from engine.stores.base import StoreReader

BATCH_BYTES: Final = 7 * 1024 * 1024
"""Longest record batch, before compression; the topic takes 8 MiB."""
PART_BYTES: Final = 4 * 1024 * 1024
"""A part of a step that is written ahead holds at most so much, and one record more."""
MICROSECONDS_PER_MS: Final = 1_000

Records = Iterable[tuple[bytes, bytes | None]]

_encode = msgspec.msgpack.Encoder().encode


class Written(NamedTuple):
    """Where a batch ended: the offset after its last record, and its append time, microseconds."""

    next_offset: int
    at: int


class Changelog:
    """Writes the steps of one partition, in order, as its owner."""

    def __init__(self, producer: AIOKafkaProducer, place: TopicPartition) -> None:
        self._producer = producer
        self._place = place

    async def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes]) -> Written:
        """Write a step; it is durable afterwards.

        Raises:
            FencedError: another worker owns the partition by now; nothing was written.
            KafkaError: the brokers refuse.
        """
        dropped = list(deletes)
        batch = self._batch(_records(puts, dropped))
        if batch is not None:
            return await self._send(batch)
        return await self._write_ahead(puts, dropped)

    async def _write_ahead(self, puts: Mapping[bytes, bytes], deletes: list[bytes]) -> Written:
        names = []
        for index, part in enumerate(_parts(puts, deletes)):
            names.append(part_name(index))
            await self._send_all([(names[-1], _encode(part))])
        await self._send_all([(REDO, _encode(len(names)))])
        return await self.finish(puts, deletes, [REDO, *names])

    async def finish(
        self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], parts: Iterable[bytes]
    ) -> Written:
        """Write a step whose parts are written ahead, and drop them then, their number first.

        Raises:
            FencedError: another worker owns the partition by now, and finishes the step.
            KafkaError: the brokers refuse.
        """
        await self._send_all(_records(puts, deletes))
        return await self._send_all((name, None) for name in parts)

    async def _send_all(self, records: Records) -> Written:
        """Write records in as many batches as they need."""
        written: Written | None = None
        batch = self._producer.create_batch()
        now = time.time_ns() // 1_000_000
        for key, value in records:
            if batch.append(timestamp=now, key=key, value=value) is not None:
                continue
            written = await self._send(batch)
            batch = self._producer.create_batch()
            taken = batch.append(timestamp=now, key=key, value=value)
            assert taken is not None, "every record fits into a batch of its own"
        if batch.record_count():
            written = await self._send(batch)
        assert written is not None, "there is something to write"
        return written

    def _batch(self, records: Records) -> BatchBuilder | None:
        """All records in one batch, None when they do not fit."""
        batch = self._producer.create_batch()
        return batch if fill(batch, time.time_ns() // 1_000_000, records) else None

    async def _send(self, batch: BatchBuilder) -> Written:
        batch.close()
        count = batch.record_count()
        try:
            place = self._place
            sent = await send_batch(self._producer, batch, place.topic, place.partition)
            told = await sent
        except (ProducerFenced, OutOfOrderSequenceNumber) as error:
            raise fenced(f"{self._place.topic}/{self._place.partition}") from error
        return Written(told.offset + count, told.timestamp * MICROSECONDS_PER_MS)


def part_name(index: int) -> bytes:
    """The key of a part of a step that was written ahead."""
    return REDO + index.to_bytes(4, "big")


def written_ahead(table: StoreReader) -> Iterator[tuple[dict[bytes, bytes], list[bytes]]]:
    """The parts of a step that was written ahead and is done, as found in a restored table."""
    count = table.get(REDO)
    if count is None:
        return
    for index in range(msgspec.msgpack.decode(count, type=int)):
        stored = table.get(part_name(index))
        assert stored is not None, "the parts of a step are written before their number"
        yield msgspec.msgpack.decode(stored, type=tuple[dict[bytes, bytes], list[bytes]])


def _records(puts: Mapping[bytes, bytes], deletes: Iterable[bytes]) -> Records:
    yield from puts.items()
    for name in deletes:
        yield name, None


def _parts(
    puts: Mapping[bytes, bytes], deletes: list[bytes]
) -> Iterator[tuple[dict[bytes, bytes], list[bytes]]]:
    part: dict[bytes, bytes] = {}
    size = 0
    for key, value in puts.items():
        part[key] = value
        size += len(key) + len(value)
        if size >= PART_BYTES:
            yield part, []
            part, size = {}, 0
    dropped: list[bytes] = []
    for key in deletes:
        dropped.append(key)
        size += len(key)
        if size >= PART_BYTES:
            yield part, dropped
            part, dropped, size = {}, [], 0
    yield part, dropped
