"""What the steps of a partition come to, in metrics and in the log."""

from __future__ import annotations

from collections import Counter

import structlog

from engine.contracts.exceptions import ExceptionRecord
from engine.contracts.outcomes import REFUSED
from engine.kafka.partition import Step
from engine.telemetry.metrics import WorkerMetrics


class StepFigures:
    """Counts the steps of one partition, and tells of every exception with its correlation id."""

    def __init__(self, metrics: WorkerMetrics, partition: int) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("sellable.ledger").bind(partition=partition)

    def took_envelopes(self, count: int) -> None:
        """Count envelopes that were taken whole."""
        self._metrics.envelopes.inc(count)

    def count(self, step: Step) -> None:
        """Count a step that was committed."""
        outcomes = Counter(outcome.outcome for outcome in step.outcomes)
        for name, count in outcomes.items():
            self._metrics.movements.labels(name).inc(count)
        for record in step.exceptions:
            self._tell(record)

    def _tell(self, record: ExceptionRecord) -> None:
        refused = record.outcome == REFUSED
        (self._metrics.refusals if refused else self._metrics.warnings).labels(record.code).inc()
        self._log.warning(
            "a movement is refused" if refused else "a movement wants looking at",
            exception=record.exception,
            code=record.code,
            severity=record.severity,
            origin=record.origin,
            correlation_id=record.correlation_id,
        )
