"""An engine on Kafka for a test: its topics, messages sent in, and what is in the ledger's log."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from engine.kafka.catalogue import ENVELOPES, wanted
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.envelopes import Entry, Movements, decode
from engine.kafka.ingest import ingest
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.processes import Child

PATIENCE_S = 120.0
PROJECT = Path(__file__).parents[2]
CHANNELS = "channels:\n  web-shop: {publish: {low_stock: 5}}\n"


def movement(number: int, sku: str | None = None, **more: object) -> bytes:
    """A sale, as a till would send it."""
    fields: dict[str, object] = {
        "id": f"m-{number}",
        "source": "till-1",
        "type": "sale",
        "sku": sku or f"SKU-{number % 50:03}",
        "location": "S-1",
        "quantity": 1,
        "occurred_at": "2026-11-20T09:00:00Z",
    }
    return json.dumps({**fields, **more}).encode()


def write_rules(folder: Path, **files: str) -> None:
    """Write a rules folder with one channel; `files` are more by their names without suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "channels.yaml").write_text(CHANNELS)
    for name, text in files.items():
        (folder / name).write_text(text)


async def make_topics(settings: KafkaSettings, channels: Sequence[str] = ("web-shop",)) -> None:
    """Make the topics of an engine."""
    await create(settings, wanted(settings, channels))


async def send(
    settings: KafkaSettings, topic: str, values: Iterable[bytes | None], **more: object
) -> None:
    """Send messages to a topic, without keys, and wait until they are durable."""
    async with running(make_producer(settings, "test")) as producer:
        name = settings.topic(topic)
        # A message without a value needs a key; none of the others has one.
        sent = [
            await producer.send(name, value, key=b"none" if value is None else None, **more)
            for value in values
        ]
        await asyncio.gather(*sent)


@asynccontextmanager
async def ingesting(
    settings: KafkaSettings, metrics: WorkerMetrics | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """An ingest worker in this process, stopped in good order at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(ingest(settings, metrics or WorkerMetrics(), stop))
    try:
        yield task
    finally:
        stop.set()
        await task


class Log:
    """The ledger's log, read from its start; `entries` by partition, in order."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer = make_consumer(settings, "test-log")
        self.entries: dict[int, list[Entry]] = {}

    async def __aenter__(self) -> Log:
        await self._consumer.start()
        topic = self._settings.topic(ENVELOPES)
        places = [TopicPartition(topic, each) for each in range(self._settings.partitions)]
        self._consumer.assign(places)
        self.entries = {place.partition: [] for place in places}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self, wait_ms: int = 200) -> None:
        """Take what has come."""
        for place, records in (await self._consumer.getmany(timeout_ms=wait_ms)).items():
            self.entries[place.partition] += [decode(record.value) for record in records]

    async def until(self, movements: int) -> dict[int, list[tuple[str, int, bytes]]]:
        """Read until so many different movements are there; they are returned by partition."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(map(len, self.taken().values())) < movements:
                await self.read()
        await self.read()
        return self.taken()

    def taken(self) -> dict[int, list[tuple[str, int, bytes]]]:
        """The movements as the ledger takes them: (source, offset, payload), none twice.

        A run that was sent again is known by its offsets, which otherwise only rise.
        """
        return {
            partition: _taken(entry for entry in entries if isinstance(entry, Movements))
            for partition, entries in self.entries.items()
        }

    def sent(self) -> int:
        """How many movements are in the log, those sent again included."""
        return sum(
            len(entry.payloads)
            for entries in self.entries.values()
            for entry in entries
            if isinstance(entry, Movements)
        )


async def read_all(settings: KafkaSettings, topic: str) -> list[ConsumerRecord]:
    """Every message that is in a topic now."""
    name = settings.topic(topic)
    found: list[ConsumerRecord] = []
    async with running(make_consumer(settings, "test")) as consumer:
        partitions = await _partitions(consumer, name)
        places = [TopicPartition(name, each) for each in sorted(partitions)]
        consumer.assign(places)
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


async def _partitions(consumer: AIOKafkaConsumer, name: str) -> set[int]:
    """The partitions of a topic, also of a broker that has only just come back."""
    consumer._client.set_topics([name])
    found: set[int] | None = None
    async with asyncio.timeout(PATIENCE_S):
        while not found:
            await consumer._client.force_metadata_update()
            found = consumer.partitions_for_topic(name)
    return found


def _taken(envelopes: Iterable[Movements]) -> list[tuple[str, int, bytes]]:
    marks: dict[str, int] = {}
    found = []
    for envelope in envelopes:
        for run in envelope.runs:
            for offset, payload in zip(run.offsets, run.payloads, strict=True):
                if offset > marks.get(run.source, -1):
                    marks[run.source] = offset
                    found.append((run.source, offset, payload))
    return found


def worker(settings: KafkaSettings, kind: str, log: Path, **more: object) -> Child:
    """A worker in a process of its own, as the command line starts it; `more` are its options."""
    return Child(worker_words(settings, kind, **more), log, {"PYTHONPATH": str(PROJECT)})


def worker_words(settings: KafkaSettings, kind: str, **more: object) -> list[str]:
    """The command line of a worker; `more` are options beside the ones that tests set."""
    command = [kind] if kind == "api" else ["worker", kind]
    words = [sys.executable, "-m", "engine.cli.main", *command]
    names = ("brokers", "rules", "data", "topic_prefix", "session_timeout_ms")
    given = {name: getattr(settings, name) for name in names}
    for name, value in {**given, **more}.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return words
