"""How far a consumer is behind, in messages and in seconds, as metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from engine.telemetry.metrics import WorkerMetrics

MS_PER_SECOND: Final = 1_000


class Lag:
    """Tells the lag of a consumer's partitions; those that went away are no longer told."""

    def __init__(self, consumer: AIOKafkaConsumer, metrics: WorkerMetrics) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._written_ms: dict[TopicPartition, int] = {}
        self._told: set[TopicPartition] = set()

    def took(self, place: TopicPartition, written_ms: int) -> None:
        """Note when the last message that was taken had been written."""
        self._written_ms[place] = written_ms

    def measure(self, places: Iterable[TopicPartition]) -> None:
        """Set the metrics of these partitions as of now."""
        now_ms = time.time() * MS_PER_SECOND
        here = set(places)
        for place in self._told - here:
            self._written_ms.pop(place, None)
            self._metrics.lag_messages.remove(place.topic, str(place.partition))
            self._metrics.lag_seconds.remove(place.topic, str(place.partition))
        self._told = set()
        for place in here:
            behind = self._behind(place)
            if behind is None:
                continue
            self._told.add(place)
            labels = place.topic, str(place.partition)
            self._metrics.lag_messages.labels(*labels).set(behind)
            written_ms = self._written_ms.get(place)
            late_s = 0.0
            if behind and written_ms is not None:
                late_s = max(0.0, (now_ms - written_ms) / MS_PER_SECOND)
            self._metrics.lag_seconds.labels(*labels).set(late_s)

    def _behind(self, place: TopicPartition) -> int | None:
        """Messages that were written and not read yet; None as long as nothing was asked for."""
        assignment = self._consumer._subscription.subscription.assignment
        if assignment is None or place not in assignment.tps:
            return None
        state = assignment.state_value(place)
        if not state.has_valid_position or state.highwater is None:
            return None
        behind: int = max(0, state.highwater - state.position)
        return behind
