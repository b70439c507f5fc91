"""Metrics of the service, and of the engine behind it, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from engine.api.freshness import age_of
from engine.api.runtime import Phase, Runtime

BUCKETS_S: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    1.0,
    2.5,
    10.0,
)
"""Around the promised 5 ms of a lookup and 20 ms of a reservation."""


class ServiceMetrics:
    """What the service counts, in a registry of its own."""

    media_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, runtime: Runtime) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "sellable_http_request_seconds",
            "From the headers of a request to its answer, by call.",
            ("operation",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._answers = Counter(
            "sellable_http_answers",
            "Answers by call and status.",
            ("operation", "status"),
            registry=self.registry,
        )
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[tuple[str, int], Counter] = {}
        self.registry.register(_EngineCollector(runtime))

    def note(self, operation: str, status: int, seconds: float) -> None:
        """Note an answer."""
        histogram = self._histograms.get(operation)
        if histogram is None:
            histogram = self._histograms[operation] = self._seconds.labels(operation)
        counter = self._counters.get((operation, status))
        if counter is None:
            counter = self._answers.labels(operation, str(status))
            self._counters[operation, status] = counter
        histogram.observe(seconds)
        counter.inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _EngineCollector:
    """Reads the engine's own figures when it is asked."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterator[Metric]:
        """Name no metrics ahead: the engine may not be there yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the engine's figures."""
        runtime = self._runtime
        figures = runtime.figures()
        ready = GaugeMetricFamily("sellable_ready", "1 when the engine serves, 0 when not.")
        ready.add_metric((), float(runtime.phase is Phase.SERVING))
        yield ready
        waiting = GaugeMetricFamily(
            "sellable_waiting_movements", "Movements that wait for the engine."
        )
        waiting.add_metric((), figures.waiting)
        yield waiting
        _, staleness = age_of(runtime.freshness().taken)
        if staleness is not None:
            stale = GaugeMetricFamily(
                "sellable_staleness_seconds", "How far the engine's clock is behind the machine's."
            )
            stale.add_metric((), staleness)
            yield stale
        for name, says, label, counts in (
            ("movements", "Movements by what became of them.", "outcome", figures.outcomes),
            ("exceptions", "Exceptions by their code.", "code", figures.exceptions),
            (
                "observations",
                "Observations of other systems by what became of them.",
                "outcome",
                figures.observations,
            ),
            ("findings", "Differences from the book by their class.", "class", figures.findings),
        ):
            counter = CounterMetricFamily(f"sellable_{name}", says, labels=(label,))
            for value, count in counts.items():
                counter.add_metric((value,), count)
            yield counter
        yield from self._channels()

    def _channels(self) -> Iterator[Metric]:
        publications = CounterMetricFamily(
            "sellable_publications", "Publications on a channel.", labels=("channel",)
        )
        pending = GaugeMetricFamily(
            "sellable_pending_keys",
            "Keys of a channel whose true number is held back.",
            labels=("channel",),
        )
        oldest = GaugeMetricFamily(
            "sellable_oldest_pending_seconds",
            "How long the oldest of them has been waiting.",
            labels=("channel",),
        )
        for one in self._runtime.figures().channels:
            publications.add_metric((one.channel,), one.publications)
            pending.add_metric((one.channel,), one.pending)
            oldest.add_metric((one.channel,), one.lag_seconds)
        yield from (publications, pending, oldest)
