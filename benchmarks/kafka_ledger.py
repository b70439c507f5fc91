"""What does the ledger worker cost a movement? A real broker, the CPU time of its process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiokafka import TopicPartition

from benchmarks.inv1_lines import CHANNELS
from benchmarks.kafka_log import PARTITIONS, Log, make_timed_topics, write_workload
from benchmarks.kafka_workers import running_broker, start
from engine.kafka.catalogue import QUANTITIES, of_channel
from engine.kafka.clients import make_consumer, running
from engine.kafka.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class LedgerCost:
    """What a run took: `cpu_s` of the worker alone, from when it served to when it had all.

    `quantities` is how often a channel's quantity of a key was told anew.
    """

    movements: int
    quantities: int
    cpu_s: float
    wall_s: float
    peak_bytes: int


def measure_ledger(lines: Path, rate: int, folder: Path, tell: Callable[[str], None]) -> LedgerCost:
    """Run a ledger worker over the lines; raises AssertionError when any has no outcome."""
    with running_broker(folder, PARTITIONS) as settings:
        make_timed_topics(settings)
        tell("writing the log")
        log = write_workload(settings, [lines], rate, tell)
        tell("running the ledger worker")
        return _measure(settings, folder, log)


def _measure(settings: KafkaSettings, folder: Path, log: Log) -> LedgerCost:
    ledger = start(settings, "ledger", folder / "ledger.log")
    ledger.says("partition is served", PARTITIONS)
    before_s, started = ledger.cpu_s(), time.monotonic()
    ledger.until(
        lambda: ledger.count("sellable_movements_total") >= log.movements,
        "all movements have an outcome",
    )
    cost = LedgerCost(
        movements=log.movements,
        quantities=asyncio.run(_messages(settings)),
        cpu_s=ledger.cpu_s() - before_s,
        wall_s=time.monotonic() - started,
        peak_bytes=ledger.peak_bytes(),
    )
    outcomes = int(ledger.count("sellable_movements_total"))
    assert outcomes == log.movements, f"{log.movements} movements have {outcomes} outcomes"
    ledger.stop()
    return cost


async def _messages(settings: KafkaSettings) -> int:
    """How many messages the topics of quantities hold; some are the markers of claims."""
    places = [
        TopicPartition(settings.topic(of_channel(QUANTITIES, channel)), number)
        for channel in CHANNELS
        for number in range(PARTITIONS)
    ]
    async with running(make_consumer(settings, "bench")) as consumer:
        return sum((await consumer.end_offsets(places)).values())
