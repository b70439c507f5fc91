"""What does the publish worker cost a changed quantity? A real broker, the CPU time of its process.

Every round brings another quantity of every key of three channels that hold nothing back, as the
ledger writes them; the next round begins when all of them are published.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.inv1_lines import CHANNELS, sku_name
from benchmarks.kafka_log import MICROSECONDS_PER_MS, PARTITIONS, make_timed_topics, now_ms
from benchmarks.kafka_workers import Worker, running_broker, start
from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.kafka.catalogue import QUANTITIES, of_channel
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import write_content
from engine.kafka.ledger_record import Message
from engine.kafka.messages import RULES_KEY, Quantity, RulesNotice
from engine.kafka.partitioning import partition_of
from engine.kafka.settings import KafkaSettings

ROUNDS = 3
MESSAGES_A_BATCH = 500
PUBLISHED = "sellable_publications_total"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PublishCost:
    """What the rounds took; the first one, in which every key is new, is not among them."""

    quantities: int
    cpu_s: float
    wall_s: float
    peak_bytes: int


def measure_publish(skus: int, folder: Path, tell: Callable[[str], None]) -> PublishCost:
    """Run a publish worker; raises AssertionError when it publishes more or less than it was told.

    `skus` is the number of SKUs; each has a key on each of three channels.
    """
    with running_broker(folder, PARTITIONS) as settings:
        make_timed_topics(settings)
        asyncio.run(_begin(settings))
        publish = start(settings, "publish", folder / "publish.log")
        publish.says("channel is served", len(CHANNELS))
        _round(settings, publish, skus, 1, tell)
        before_s, started = publish.cpu_s(), time.monotonic()
        for number in range(2, ROUNDS + 2):
            _round(settings, publish, skus, number, tell)
        cost = PublishCost(
            quantities=skus * len(CHANNELS) * ROUNDS,
            cpu_s=publish.cpu_s() - before_s,
            wall_s=time.monotonic() - started,
            peak_bytes=publish.peak_bytes(),
        )
        publish.stop()
        return cost


async def _begin(settings: KafkaSettings) -> None:
    """Put the rules in force, as the ledger tells the channels."""
    files = {path.name: path.read_bytes() for path in settings.rules.iterdir()}
    async with running(make_producer(settings, "bench")) as producer:
        name = await write_content(producer, settings, files)
        notice = _encode(RulesNotice(name, now_ms() * MICROSECONDS_PER_MS))
        for channel in CHANNELS:
            topic = settings.topic(of_channel(QUANTITIES, channel))
            for number in range(PARTITIONS):
                await producer.send_and_wait(topic, notice, key=RULES_KEY, partition=number)


def _round(
    settings: KafkaSettings, publish: Worker, skus: int, number: int, tell: Callable[[str], None]
) -> None:
    tell(f"round {number}")
    wanted = skus * len(CHANNELS) * number
    asyncio.run(_write(settings, skus, number))
    publish.until(lambda: publish.count(PUBLISHED) >= wanted, "all quantities are published")
    published = int(publish.count(PUBLISHED))
    assert published == wanted, f"{wanted} quantities led to {published} publications"


async def _write(settings: KafkaSettings, skus: int, number: int) -> None:
    async with running(make_producer(settings, "bench")) as producer:
        for channel in CHANNELS:
            topic = settings.topic(of_channel(QUANTITIES, channel))
            waiting: list[list[Message]] = [[] for _ in range(PARTITIONS)]
            for partition, message in _quantities(channel, skus, number):
                told = waiting[partition]
                told.append(message)
                if len(told) == MESSAGES_A_BATCH:
                    await _send(producer, topic, partition, told)
                    told.clear()
            for partition, told in enumerate(waiting):
                if told:
                    await _send(producer, topic, partition, told)
        await producer.flush()


def _quantities(channel: str, skus: int, number: int) -> Iterator[tuple[int, Message]]:
    now = now_ms() * MICROSECONDS_PER_MS
    computed_at = format_instant(now)
    for index in range(skus):
        sku = sku_name(index)
        cause = Cause("pos-0042", f"pos-0042-{number}-{index:08d}", None)
        quantity = 10 + (index + number) % 90
        told = Quantity(
            sku, channel, None, quantity, "in_stock", number, computed_at, cause, 0, now
        )
        yield partition_of(sku, PARTITIONS), (sku.encode(), _encode(told), [])


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, messages: list[Message]
) -> None:
    batch = producer.create_batch()
    for key, value, headers in messages:
        batch.append(key=key, value=value, timestamp=None, headers=headers)
    batch.close()
    await producer.send_batch(batch, topic, partition=partition)
