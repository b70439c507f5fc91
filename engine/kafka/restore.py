"""Fast restore: what a local copy misses is read from the changelog before the partition serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from engine.kafka.clients import make_consumer
from engine.kafka.ledger_record import CLAIM
from engine.kafka.settings import KafkaSettings
from engine.kafka.table import LocalTable

MIB: Final = 1024 * 1024
FETCH_BYTES: Final = 4 * MIB
"""Fetched of one partition at a time."""
RECORDS_PER_WRITE: Final = 20_000
POLL_MS: Final = 500

Progress = Callable[[int, int, float], None]


@dataclass(slots=True)
class Restoring:
    """A partition on its way: records are read up to, not including, the offset `end`."""

    place: TopicPartition
    table: LocalTable
    end: int
    begin: int = 0
    restored: int = 0
    waiting: dict[bytes, bytes | None] = field(default_factory=dict)
    at: int = 0

    def write(self, next_offset: int) -> None:
        """Put what was read into the table."""
        puts = {key: value for key, value in self.waiting.items() if value is not None}
        deletes = [key for key, value in self.waiting.items() if value is None]
        self.table.apply(puts, deletes, next_offset, self.at, self.table.position.life)
        self.waiting.clear()


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
        max_poll_records=RECORDS_PER_WRITE,
    )
    await consumer.start()
    try:
        consumer.assign(list(missing))
        for place, one in missing.items():
            one.begin = one.table.position.next_offset
            consumer.seek(place, one.begin)
        while missing:
            for place, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                if place in missing:
                    _take(missing[place], records)
            await _finish(consumer, missing, progress)
    finally:
        await consumer.stop()


def _take(one: Restoring, records: Sequence[Any]) -> None:
    waiting = one.waiting
    for record in records:
        if record.offset < one.end and record.key != CLAIM:
            waiting[record.key] = record.value
    one.restored += len(records)
    one.at = max(one.at, records[-1].timestamp * 1_000)
    if len(waiting) >= RECORDS_PER_WRITE:
        one.write(min(records[-1].offset + 1, one.end))


async def _finish(
    consumer: AIOKafkaConsumer, missing: dict[TopicPartition, Restoring], progress: Progress
) -> None:
    """Let go of the partitions that are complete."""
    for place, one in list(missing.items()):
        position = await consumer.position(place)
        done = position >= one.end
        if done:
            one.write(one.end)
            del missing[place]
            consumer.pause(place)
        share = 1.0 if done else (position - one.begin) / max(1, one.end - one.begin)
        progress(place.partition, one.restored, share)
