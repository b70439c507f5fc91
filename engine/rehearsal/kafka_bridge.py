"""Between the files of a rehearsal and the topics of the workers, in a process of its own.

`python -m engine.rehearsal.kafka_bridge CONFIGURATION`, a file with a `Configuration` as JSON. It
sends what is appended to the entrance, files what the workers tell, each record once, and writes
samples of where they stand.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from engine.contracts.errors import SellableError
from engine.kafka.catalogue import (
    AVAILABILITY,
    DECISIONS,
    EXCEPTIONS,
    OUTCOMES,
    POSTINGS,
    STANDINGS,
    of_channel,
)
from engine.kafka.channel_standing import ChannelTold, read_standing
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.messages import OUTPUT_ID
from engine.kafka.running import run_until_stopped, task_group
from engine.kafka.settings import KafkaSettings, load_settings
from engine.rehearsal.lines import look
from engine.rehearsal.samples import SAMPLE_SECONDS, Sample
from engine.telemetry.logs import set_up_logs

PAUSE_SECONDS: Final = 0.005
READ_BYTES: Final = 1 << 20
UNDER_WAY: Final = 10_000  # messages that may be on their way to the brokers at once
POLL_MS: Final = 50
QUIET_SECONDS: Final = 1.0  # nothing came for so long after the workers have ended: that was all
CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")  # of processor time, a second
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
USER_TIME, SYSTEM_TIME, RESIDENT_PAGES = 11, 12, 21  # fields of /proc/PID/stat behind the name


class Configuration(msgspec.Struct):
    """Which files stand for what.

    `settings` are those of the workers, `source` is the topic `movements.NAME` to send to;
    `workers` holds the process ids of the workers by name.
    """

    settings: str
    channels: list[str]
    source: str
    entrance: str
    out: str
    samples: str
    workers: str


class Filing:
    """Files outputs, one file a topic, each record once, however often it was sent."""

    def __init__(self, settings: KafkaSettings, channels: Sequence[str], out: Path) -> None:
        told = [EXCEPTIONS, POSTINGS, DECISIONS]
        told += [of_channel(AVAILABILITY, channel) for channel in channels]
        self._names = {settings.topic(name): name for name in (*told, OUTCOMES, STANDINGS)}
        self._out = {name: out / f"{name}.ndjson" for name in told}
        self._files: dict[str, IO[bytes]] = {}
        self._numbers: dict[TopicPartition, int] = {}
        self._channels = list(channels)
        self._standings: dict[str, ChannelTold] = {}
        self._received = 0

    @property
    def topics(self) -> list[str]:
        """The topics to be read."""
        return list(self._names)

    def open(self, closing: ExitStack) -> None:
        """Open the files."""
        for name, path in self._out.items():
            self._files[name] = closing.enter_context(path.open("ab"))

    def take(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """File what came of a partition."""
        name = self._names[place.topic]
        if name == STANDINGS:
            for record in records:
                told = read_standing(record.value)
                self._standings[told.channel] = told
            return
        fresh = [record.value for record in records if self._is_fresh(place, record)]
        if name == OUTCOMES:
            self._received += len(fresh)
        elif fresh:
            file = self._files[name]
            file.write(b"\n".join(fresh) + b"\n")
            file.flush()

    def _is_fresh(self, place: TopicPartition, record: ConsumerRecord) -> bool:
        """Whether an output was not sent before: in a partition their numbers rise."""
        identity = dict(record.headers).get(OUTPUT_ID)
        if identity is None:
            return record.value is not None
        number = int(identity.rpartition(b"-")[2])
        if number <= self._numbers.get(place, 0):
            return False
        self._numbers[place] = number
        return True

    def sample(self, cpu: float, memory: int) -> Sample:
        """Where the workers stand."""
        told = [self._standings.get(name, ChannelTold(name)) for name in self._channels]
        return Sample(
            at=time.time_ns() // 1_000,
            received=self._received,
            pending={each.channel: each.pending for each in told},
            by_rate={each.channel: each.by_rate for each in told},
            known_to=min((each.tick or 0 for each in told), default=0),
            cpu=round(cpu, 3),
            memory=memory,
        )


async def bridge(configuration: Configuration, stop: asyncio.Event) -> None:
    """Work until asked to stop; then what the workers have told by then is filed.

    Raises:
        KafkaError: the brokers refuse.
    """
    settings = load_settings(Path(configuration.settings))
    filing = Filing(settings, configuration.channels, Path(configuration.out))
    with ExitStack() as closing:
        filing.open(closing)
        async with (
            running(make_producer(settings, "rehearsal")) as producer,
            running(make_consumer(settings, "rehearsal", max_poll_records=UNDER_WAY)) as consumer,
        ):
            await _assign(consumer, filing.topics)
            topic = settings.topic(f"movements.{configuration.source}")
            async with task_group() as tasks:
                sending = tasks.create_task(_send(producer, topic, Path(configuration.entrance)))
                sampling = tasks.create_task(_sample(filing, configuration))
                await _file(consumer, filing, stop)
                sending.cancel()
                sampling.cancel()


async def _assign(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> None:
    consumer._client.set_topics(topics)
    await consumer._client.force_metadata_update()
    places = [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)


async def _file(consumer: AIOKafkaConsumer, filing: Filing, stop: asyncio.Event) -> None:
    came_at = time.monotonic()
    while not stop.is_set() or time.monotonic() - came_at < QUIET_SECONDS:
        for place, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            filing.take(place, records)
            came_at = time.monotonic()


async def _send(producer: AIOKafkaProducer, topic: str, entrance: Path) -> None:
    """Send what is appended to a file, each line when it is whole, a SKU's in their order."""
    under_way: deque[asyncio.Future[object]] = deque()
    rest = b""
    with entrance.open("rb") as file:
        while True:
            data = file.read(READ_BYTES)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                key = look(line).sku.encode() or None
                under_way.append(await producer.send(topic, line, key=key))
            while under_way and (under_way[0].done() or len(under_way) > UNDER_WAY):
                await under_way.popleft()
            if not data:
                await asyncio.sleep(PAUSE_SECONDS)


async def _sample(filing: Filing, configuration: Configuration) -> None:
    """Write down where the workers stand, again and again."""
    encode = msgspec.json.Encoder().encode
    with Path(configuration.samples).open("ab") as file:
        while True:
            cpu, memory = _used(Path(configuration.workers))
            file.write(encode(filing.sample(cpu, memory)) + b"\n")
            file.flush()
            await asyncio.sleep(SAMPLE_SECONDS)


def _used(workers: Path) -> tuple[float, int]:
    """Processor seconds and memory in bytes of the workers that run."""
    pids = msgspec.json.decode(workers.read_bytes(), type=dict[str, int])
    cpu, memory = 0, 0
    for pid in pids.values():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue  # it was just killed
        fields = stat.rpartition(b") ")[2].split()
        cpu += int(fields[USER_TIME]) + int(fields[SYSTEM_TIME])
        memory += int(fields[RESIDENT_PAGES]) * PAGE_BYTES
    return cpu / CLOCK_TICKS, memory


def main() -> None:
    """Run as the file named by the first argument says; ends with 1 when that fails."""
    set_up_logs()
    configuration = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Configuration)
    try:
        run_until_stopped(lambda stop: bridge(configuration, stop))
    except SellableError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
