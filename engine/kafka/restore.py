"""Fast restore: what a local copy misses is read from the changelog before the partition serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from engine.kafka.batches import Record, read_whole_records
from engine.kafka.clients import make_consumer, running
from engine.kafka.ledger_record import CLAIM
from engine.kafka.settings import KafkaSettings
from engine.kafka.table import LocalTable

MIB: Final = 1024 * 1024
FETCH_BYTES: Final = 4 * MIB
"""Fetched of one partition at a time."""
BATCHES_AT_ONCE: Final = 32
POLL_MS: Final = 500
MICROSECONDS_PER_MS: Final = 1_000

Progress = Callable[[int, int, float], None]


@dataclass(slots=True)
class Restoring:
    """A partition on its way: records are read up to, not including, the offset `end`."""

    place: TopicPartition
    table: LocalTable
    end: int
    begin: int = 0
    restored: int = 0
    at: int = 0


async def restore(settings: KafkaSettings, tables: Sequence[Restoring], progress: Progress) -> None:
    """Bring local copies up to date; `progress` is told partition, records so far, share done.

    Raises:
        KafkaError: the brokers refuse.
    """
    missing = {one.place: one for one in tables if one.table.position.next_offset < one.end}
    if not missing:
        return
    consumer = make_consumer(
        settings,
        "restore",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=FETCH_BYTES * len(missing),
        max_poll_records=BATCHES_AT_ONCE,
    )
    async with running(consumer, patient=True):
        read_whole_records(consumer)
        consumer.assign(list(missing))
        for place, one in missing.items():
            one.begin = one.table.position.next_offset
            consumer.seek(place, one.begin)
        while missing:
            for place, batches in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                if place in missing:
                    for records in batches:
                        follow(missing[place], records)
            await _finish(consumer, missing, progress)


def follow(one: Restoring, records: Sequence[Record]) -> None:
    """Take what the changelog has next into the local copy."""
    found = {
        record.key: record.value
        for record in records
        if record.offset < one.end and record.key is not None and record.key != CLAIM
    }
    one.restored += len(records)
    one.at = max(one.at, records[-1].timestamp * MICROSECONDS_PER_MS)
    _apply(one, found, min(records[-1].offset + 1, one.end))


def _apply(one: Restoring, records: dict[bytes, bytes | None], next_offset: int) -> None:
    one.table.apply(records, next_offset, one.at, one.table.position.life)


async def _finish(
    consumer: AIOKafkaConsumer, missing: dict[TopicPartition, Restoring], progress: Progress
) -> None:
    """Let go of the partitions that are complete."""
    for place, one in list(missing.items()):
        position = await consumer.position(place)
        done = position >= one.end
        if done:
            _apply(one, {}, one.end)
            del missing[place]
            consumer.pause(place)
        share = 1.0 if done else (position - one.begin) / max(1, one.end - one.begin)
        progress(place.partition, one.restored, share)
