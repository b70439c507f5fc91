"""From a movement that is produced to the availability that it causes, consumed: all of Kafka.

A broker, an ingest, a ledger and a publish worker run on this machine. Open loop: movements are
produced at a fixed rate whatever becomes of them. What is measured of each publication, when a
consumer has it:

* *after its tick*: since the tick that it carries, the engine's own time;
* *after the next tick*: since the first tick after its cause was produced. A movement that is still
  on its way into the log when the tick comes is published on the one after that: such ones count a
  second more here;
* *since produced*: since its cause was produced, the wait for the tick included.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console

from benchmarks.inv1_lines import CHANNELS
from benchmarks.kafka_workers import PATIENCE_S, Worker, running_broker, start
from benchmarks.latency import (
    SKUS,
    TICK_SECONDS,
    WARM_UP_SECONDS,
    opening_lines,
    print_quantiles,
    sales,
)
from engine.contracts.instants import parse_instant
from engine.kafka.batches import Record, read_whole_records
from engine.kafka.catalogue import AVAILABILITY, of_channel, wanted
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create

TOPIC = "movements.pos"
BATCH = 1_000
POLL_MS = 20
SETTLE_S = 5.0
MICROSECONDS = 1_000_000


class Cause(msgspec.Struct):
    """The movement that a publication names."""

    id: str


class Publication(msgspec.Struct):
    """What is needed of a publication."""

    computed_at: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class KafkaLatency:
    """Seconds by what they are counted from, one for each publication, at an offered rate.

    `cpu_share` is what each kind of worker used of one core while movements were offered.
    """

    rate: int
    seconds: Mapping[str, list[float]]
    cpu_share: Mapping[str, float]


class Watcher:
    """Consumes the channels, and notes when each publication was there."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self.keys = 0
        self.seen: list[tuple[float, Record]] = []

    async def run(self) -> None:
        """Consume until cancelled."""
        async with running(make_consumer(self._settings, "bench", max_poll_records=64)) as consumer:
            read_whole_records(consumer)
            places = [
                TopicPartition(self._settings.topic(of_channel(AVAILABILITY, channel)), number)
                for channel in CHANNELS
                for number in range(self._settings.partitions)
            ]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while True:
                await self._take(consumer)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for batches in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            now = time.time()
            for records in batches:
                self.seen += [(now, record) for record in records]

    def measured(self, offered_at: list[float], first: int) -> dict[str, list[float]]:
        """What became of the movements from `first` on."""
        decode = msgspec.json.Decoder(Publication).decode
        found: dict[str, list[float]] = {
            name: [] for name in ("after its tick", "after the next tick", "since produced")
        }
        for now, record in self.seen:
            told = decode(record.value or b"")
            if not told.cause.id.isdigit() or int(told.cause.id) < first:
                continue
            produced = offered_at[int(told.cause.id)]
            tick = math.ceil(produced / TICK_SECONDS) * TICK_SECONDS
            found["after its tick"].append(now - parse_instant(told.computed_at) / MICROSECONDS)
            found["after the next tick"].append(now - tick)
            found["since produced"].append(now - produced)
        return found


def measure_kafka_latency(
    rate: int, seconds: int, partitions: int, folder: Path, tell: Callable[[str], None]
) -> KafkaLatency:
    """Offer `rate` movements a second for `seconds`, after a warm-up, and measure.

    Raises:
        AssertionError: a worker ended by itself, or keys were not published.
    """
    with running_broker(folder, partitions) as settings, ExitStack() as ending:
        return asyncio.run(_measure(settings, rate, seconds, folder, tell, ending))


async def _measure(
    settings: KafkaSettings,
    rate: int,
    seconds: int,
    folder: Path,
    tell: Callable[[str], None],
    ending: ExitStack,
) -> KafkaLatency:
    await create(settings, wanted(settings, CHANNELS))
    workers: dict[str, Worker] = {}
    for kind in ("ingest", "ledger", "publish"):
        one = start(settings, kind, folder / f"{kind}.log", data=folder / kind)
        ending.callback(one.child.stop, signal.SIGKILL)
        await asyncio.to_thread(one.says, "the worker runs")
        workers[kind] = one
    watcher = Watcher(settings)
    watching = asyncio.create_task(watcher.run())
    try:
        tell("opening every key")
        await _produce_openings(settings)
        await _until_published(watcher, SKUS * len(CHANNELS))
        tell(f"offering {rate:,} movements a second for {WARM_UP_SECONDS + seconds} s")
        before = {kind: one.cpu_s() for kind, one in workers.items()}
        offered_at = await _offer(settings, rate, WARM_UP_SECONDS + seconds)
        lasted = WARM_UP_SECONDS + seconds
        shares = {kind: (one.cpu_s() - before[kind]) / lasted for kind, one in workers.items()}
        await asyncio.sleep(SETTLE_S)
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return KafkaLatency(rate, watcher.measured(offered_at, WARM_UP_SECONDS * rate), shares)


async def _produce_openings(settings: KafkaSettings) -> None:
    lines = list(opening_lines())
    async with running(make_producer(settings, "bench")) as producer:
        for number, begin in enumerate(range(0, len(lines), BATCH)):
            batch = producer.create_batch()
            for line in lines[begin : begin + BATCH]:
                batch.append(key=None, value=line, timestamp=None)
            batch.close()
            place = number % settings.partitions
            await producer.send_batch(batch, settings.topic(TOPIC), partition=place)
        await producer.flush()


async def _until_published(watcher: Watcher, keys: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len({(record.key, record.value) for _, record in watcher.seen}) < keys:
        assert time.monotonic() < deadline, "not every key was published"
        await asyncio.sleep(1)
    await asyncio.sleep(SETTLE_S)


async def _offer(settings: KafkaSettings, rate: int, seconds: int) -> list[float]:
    """Produce sales at the rate; returns when each was due to be produced."""
    offered_at: list[float] = []
    topic = settings.topic(TOPIC)
    async with running(make_producer(settings, "bench")) as producer:
        for number, (due, lines) in enumerate(sales(rate, seconds, time.time())):
            await asyncio.sleep(max(0.0, due - time.time()))
            offered_at.extend([due] * len(lines))
            batch = producer.create_batch()
            for line in lines:
                batch.append(key=None, value=line, timestamp=None)
            batch.close()
            await producer.send_batch(batch, topic, partition=number % settings.partitions)
        await producer.flush()
    return offered_at


def print_kafka_latency(latency: KafkaLatency, console: Console) -> None:
    """Prints the quantiles, and how busy the workers were."""
    title = f"kafka-latency, {latency.rate:,} movements a second offered"
    print_quantiles(title, latency.seconds, console)
    busy = ", ".join(f"{kind} {share:.0%}" for kind, share in latency.cpu_share.items())
    console.print(f"CPU of one core meanwhile: {busy}", highlight=False)
