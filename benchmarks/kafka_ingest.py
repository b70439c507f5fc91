"""What does ingest cost a movement? A real broker, a real worker, the CPU time of its process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks.inv1_lines import CHANNELS
from benchmarks.kafka_log import PARTITIONS
from benchmarks.kafka_workers import Worker, running_broker, start
from engine.kafka.catalogue import wanted
from engine.kafka.clients import make_producer, running
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create


@dataclass(frozen=True, slots=True)
class IngestCost:
    """What a run took: `cpu_s` of the worker alone, `wall_s` from the first message to the last."""

    movements: int
    envelopes: int
    cpu_s: float
    wall_s: float
    peak_bytes: int


def measure_ingest(lines: Path, folder: Path, tell: Callable[[str], None]) -> IngestCost:
    """Run ingest over the lines of a file; raises AssertionError when any is missing."""
    with running_broker(folder, PARTITIONS) as settings:
        asyncio.run(_make_topics(settings))
        ingest = start(settings, "ingest", folder / "ingest.log")
        ingest.says("the worker runs")
        tell("sending the workload through ingest")
        return _measure(settings, ingest, lines)


def _measure(settings: KafkaSettings, ingest: Worker, lines: Path) -> IngestCost:
    before_s, started = ingest.cpu_s(), time.monotonic()
    count = asyncio.run(_produce(settings, lines))
    ingest.until(
        lambda: ingest.count("sellable_received_total") >= count, "all movements were received"
    )
    wall_s = time.monotonic() - started
    time.sleep(1)  # the last envelopes are acknowledged
    envelopes = int(ingest.count("sellable_envelopes_total"))
    used_s = ingest.cpu_s() - before_s
    cost = IngestCost(count, envelopes, used_s, wall_s, ingest.peak_bytes())
    ingest.stop()
    return cost


async def _make_topics(settings: KafkaSettings) -> None:
    await create(settings, wanted(settings, CHANNELS))


async def _produce(settings: KafkaSettings, lines: Path) -> int:
    """Send the lines in whole batches, to the partitions in turn; returns how many they are."""
    topic = settings.topic("movements.pos")
    count = 0
    async with running(make_producer(settings, "bench")) as producer:
        for number, chunk in enumerate(_chunks(lines.read_bytes().splitlines())):
            await _send(producer, topic, number % PARTITIONS, chunk)
            count += len(chunk)
        await producer.flush()
    return count


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, chunk: list[bytes]) -> None:
    batch = producer.create_batch()
    for line in chunk:
        batch.append(key=None, value=line, timestamp=None)
    batch.close()
    await producer.send_batch(batch, topic, partition=partition)


def _chunks(lines: list[bytes], size: int = 1_000) -> Iterator[list[bytes]]:
    return (lines[start : start + size] for start in range(0, len(lines), size))
