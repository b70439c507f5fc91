"""The Kafka broker that the peers share, on the other cores, and its topics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.inv1_lines import CHANNELS
from benchmarks.peers.jobs import Job
from tests.kafka.broker import make_broker

OUTPUTS = tuple(f"availability.{channel}" for channel in CHANNELS)
REFUSED = "exceptions"
BATCH_BYTES = 256 * 1024
SEGMENT_BYTES = 256 * 1024 * 1024
MS_PER_SECOND = 1_000
MARKERS_LOOKED_PAST = 8
RECORDS_AT_ONCE = 20_000
FETCH_BYTES = 8 * 1024 * 1024

Answer = TypeVar("Answer")


@contextmanager
def own_broker(folder: Path) -> Iterator[str]:
    """A broker on all cores but the last, on which the peers run; gives its address.

    Raises:
        MissingPartError: there is neither Java nor a Docker engine.
    """
    cores = os.sched_getaffinity(0)
    broker = make_broker(folder)
    os.sched_setaffinity(0, cores - {max(cores)} or cores)
    try:
        broker.start()
    finally:
        os.sched_setaffinity(0, cores)
    try:
        yield broker.bootstrap
    finally:
        broker.kill()


def make_topics(brokers: str, names: Sequence[str]) -> None:
    """Make topics of one partition that keep everything."""
    config = {"retention.ms": "-1", "segment.bytes": str(SEGMENT_BYTES)}

    async def make(admin: AIOKafkaAdminClient) -> None:
        topics = [NewTopic(name, 1, 1, topic_configs=config) for name in names]
        answer = await admin.create_topics(topics)
        wrong = [error for _, code, error in answer.topic_errors if code]
        if wrong:
            raise OSError(f"topics could not be made: {wrong}")

    _with_admin(brokers, make)


def make_outputs(job: Job) -> None:
    """Make the topics of the channels, and that of what is refused, under the name of the job."""
    make_topics(job.brokers, [f"{job.name}.{name}" for name in (*OUTPUTS, REFUSED)])


def drop_topics(brokers: str, prefix: str) -> None:
    """Delete all topics whose names begin so."""

    async def drop(admin: AIOKafkaAdminClient) -> None:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await admin.delete_topics(names)

    _with_admin(brokers, drop)


def fill_topic(brokers: str, topic: str, path: Path) -> None:
    """Write every line of a file as a message, without its newline and without a key."""
    asyncio.run(_fill(brokers, topic, path))


def read_topic(brokers: str, topic: str) -> Iterator[tuple[bytes | None, bytes]]:
    """Key and value of every committed message of a topic with one partition."""
    with asyncio.Runner() as runner:
        batches = _batches(brokers, topic)
        try:
            while (batch := runner.run(anext(batches, None))) is not None:
                for message in batch:
                    yield message.key, message.value
        finally:
            runner.run(batches.aclose())


def last_append(brokers: str, topics: Sequence[str]) -> list[float]:
    """When the last message of each topic was written, in seconds since the Unix epoch."""
    return [asyncio.run(_last_timestamp(brokers, topic)) for topic in topics]


async def _last_timestamp(brokers: str, topic: str) -> float:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        newest = 0
        for back in range(1, MARKERS_LOOKED_PAST):  # a marker of a transaction is no message
            consumer.seek(partition, max(0, end - back))
            found = await consumer.getmany(partition, timeout_ms=200)
            messages = found.get(partition, [])
            if messages:
                newest = messages[-1].timestamp
                break
        return newest / MS_PER_SECOND
    finally:
        await consumer.stop()


async def _batches(brokers: str, topic: str) -> AsyncGenerator[list[Any], None]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            found = await consumer.getmany(partition, timeout_ms=200, max_records=RECORDS_AT_ONCE)
            yield found.get(partition, [])
    finally:
        await consumer.stop()


async def _fill(brokers: str, topic: str, path: Path) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        with path.open("rb") as file:
            for line in file:
                value = line.rstrip(b"\n")
                if batch.append(key=None, value=value, timestamp=None) is None:
                    await producer.send_batch(batch, topic, partition=0)
                    batch = producer.create_batch()
                    batch.append(key=None, value=value, timestamp=None)
        await producer.send_batch(batch, topic, partition=0)
        await producer.flush()
    finally:
        await producer.stop()


def _with_admin(brokers: str, do: Any) -> None:
    async def ask() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
        await admin.start()
        try:
            await do(admin)
        finally:
            await admin.close()

    _finish(ask())


def _finish(work: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(work)
