"""Envelopes on their way into the log: due ones are sent, each again until the brokers have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from engine.kafka.envelopes import encode_movements
from engine.kafka.lanes import Lane, Source
from engine.kafka.patience import passes
from engine.kafka.routing import Part
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics

RETRY_AFTER_S: Final = 0.2
MAX_WAITING_MOVEMENTS: Final = 60_000
"""Movements that wait in all lanes; beyond it nothing more is read until the brokers took some."""
MS_PER_SECOND: Final = 1_000


class Sending:
    """The lanes of an ingest worker, and the sends that empty them.

    `failure` is set when the brokers refused an envelope for good: then nothing more may be sent.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partitions: int,
        settings: KafkaSettings,
        metrics: WorkerMetrics,
    ) -> None:
        self.failure: KafkaError | None = None
        self._producer = producer
        self._topic = topic
        self._lanes = [
            Lane(settings.envelope_movements, settings.envelope_bytes) for _ in range(partitions)
        ]
        self._metrics = metrics
        self._patience_s = settings.linger_ms / MS_PER_SECOND
        self._moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("sellable.ingest")

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more should be read."""
        return sum(lane.waiting for lane in self._lanes) >= MAX_WAITING_MOVEMENTS

    def add(self, source: Source, parts: dict[int, Part]) -> None:
        """Let the parts of a batch wait, each in the lane of its ledger partition."""
        now = time.monotonic()
        for partition, part in parts.items():
            self._lanes[partition].add(source, part, now)

    def due_in_s(self) -> float | None:
        """How long until a lane has waited for long enough; None: nothing waits for its time."""
        waiting = [
            lane.since for lane in self._lanes if lane.since is not None and not lane.is_under_way
        ]
        if not waiting:
            return None
        return max(0.0, min(waiting) + self._patience_s - time.monotonic())

    def send_due(self, hurry: bool = False) -> None:
        """Start to send what is due, or with `hurry` all that waits."""
        before = time.monotonic() - (0.0 if hurry else self._patience_s)
        for partition, lane in enumerate(self._lanes):
            if not lane.is_under_way and lane.is_due(before) and self.failure is None:
                value = encode_movements(lane.take())
                task = asyncio.get_running_loop().create_task(self._send(partition, lane, value))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def room(self, seconds: float) -> None:
        """Wait until there is room again, for some seconds at most."""
        await self._until(lambda: not self.is_full, seconds)

    async def flush(self, places: frozenset[TopicPartition], seconds: float) -> None:
        """Bring what was read of these places into the log, as far as it goes in the time."""
        deadline = time.monotonic() + seconds
        while self._holds(places) and time.monotonic() < deadline and self.failure is None:
            self.send_due(hurry=True)
            await self._until(lambda: not self._holds(places), RETRY_AFTER_S)

    def drop(self, places: frozenset[TopicPartition]) -> None:
        """Forget what waits of these places."""
        for lane in self._lanes:
            lane.drop(places)

    def open_offsets(self) -> Iterator[tuple[TopicPartition, int]]:
        """Where each source's movements start that are not in the log yet."""
        for lane in self._lanes:
            yield from lane.open_offsets()

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, partition: int, lane: Lane, value: bytes) -> None:
        while True:
            try:
                await self._producer.send_and_wait(self._topic, value, partition=partition)
                break
            except KafkaError as error:
                if not passes(error):
                    self.failure = error
                    return
                # The same bytes again: at worst they stand in the log twice, which their offsets
                # tell. The lane waits, so that nothing overtakes them.
                self._log.warning("an envelope was not taken, trying again", error=repr(error))
                await asyncio.sleep(RETRY_AFTER_S)
        lane.acknowledged()
        self._metrics.envelopes.inc()
        self.send_due()
        async with self._moved:
            self._moved.notify_all()

    def _holds(self, places: frozenset[TopicPartition]) -> bool:
        return any(place in places for place, _ in self.open_offsets())

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(done)
        except TimeoutError:
            return
