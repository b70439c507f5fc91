"""What does ingest cost a movement? A real broker, a real worker, the CPU time of its process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks.rules import write_rules
from engine.kafka.catalogue import wanted
from engine.kafka.clients import make_producer
from engine.kafka.settings import KafkaSettings, load_settings
from engine.kafka.topics_admin import create
from tests.kafka.broker import make_broker
from tests.kafka.cluster import worker
from tests.kafka.processes import Child, free_port, until

CHANNELS = ("marketplace-a", "marketplace-b", "web-shop")
PARTITIONS = 12
PATIENCE_S = 600.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STAT_USER, STAT_SYSTEM = 11, 12  # of /proc/PID/stat, counted after the name of the program


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
    broker = make_broker(folder / "broker")
    broker.start()
    try:
        settings = load_settings(
            brokers=broker.bootstrap,
            rules=write_rules(folder / "rules"),
            data=folder / "data",
            partitions=PARTITIONS,
        )
        asyncio.run(_make_topics(settings))
        listen = f"127.0.0.1:{free_port()}"
        child = worker(settings, "ingest", folder / "ingest.log", metrics_listen=listen)
        until(lambda: "the worker runs" in child.said(), "the worker runs")
        tell("sending the workload through ingest")
        return _measure(settings, child, lines, listen)
    finally:
        broker.kill()


def _measure(settings: KafkaSettings, child: Child, lines: Path, listen: str) -> IngestCost:
    before_s, started = _cpu_s(child.process.pid), time.monotonic()
    count = asyncio.run(_produce(settings, lines))

    def is_done() -> bool:
        assert child.process.poll() is None, child.said()
        time.sleep(0.05)
        return metric(listen, "sellable_received_total") >= count

    until(is_done, "all movements were received", PATIENCE_S)
    wall_s = time.monotonic() - started
    time.sleep(1)  # the last envelopes are acknowledged
    envelopes = int(metric(listen, "sellable_envelopes_total"))
    peak_bytes = peak(child.process.pid)
    cpu_s = _cpu_s(child.process.pid) - before_s
    assert child.stop(signal.SIGTERM) == 0, child.said()
    return IngestCost(count, envelopes, cpu_s, wall_s, peak_bytes)


async def _make_topics(settings: KafkaSettings) -> None:
    await create(settings, wanted(settings, CHANNELS))


async def _produce(settings: KafkaSettings, lines: Path) -> int:
    """Send the lines in whole batches, to the partitions in turn; returns how many they are."""
    topic = settings.topic("movements.pos")
    count = 0
    async with make_producer(settings, "bench") as producer:
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


def metric(listen: str, name: str) -> float:
    """The sum of a worker's metric over its labels."""
    with urllib.request.urlopen(f"http://{listen}/metrics") as answer:
        rows = answer.read().decode().splitlines()
    return sum(
        float(row.rpartition(" ")[2]) for row in rows if row.split("{")[0].split(" ")[0] == name
    )


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    row = next(row for row in status.splitlines() if row.startswith("VmHWM"))
    return int(row.split()[1]) * 1024


def _cpu_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[STAT_USER]) + int(stat[STAT_SYSTEM])) / TICKS_PER_SECOND
