"""Metrics of a worker, and the address where Prometheus finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from engine.contracts.errors import UsageError

DELAY_BUCKETS_S: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
)
"""From well below a tick to the default `max_staleness`."""
MAX_PORT: Final = 65_535


class ListenAddressError(UsageError):
    """Metrics cannot be served where they were asked for."""

    title = "Metrics cannot be served there"


class WorkerMetrics:
    """Everything that workers count, in a registry of its own; each worker sets what it knows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lag_messages = Gauge(
            "sellable_lag_messages",
            "Messages of a partition that were written and not yet read.",
            ("topic", "partition"),
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "sellable_lag_seconds",
            "How long ago the last message that was read had been written; 0 at the end.",
            ("topic", "partition"),
            registry=self.registry,
        )
        self.received = Counter(
            "sellable_received",
            "Messages taken from an incoming topic, those sent again after a crash included.",
            ("topic",),
            registry=self.registry,
        )
        self.unrouted = Counter(
            "sellable_unrouted",
            "Of them, those without a readable SKU: the ledger makes exceptions of them.",
            registry=self.registry,
        )
        self.envelopes = Counter(
            "sellable_envelopes",
            "Envelopes written (ingest) or taken (ledger).",
            registry=self.registry,
        )
        self.movements = Counter(
            "sellable_movements",
            "Movements by what became of them.",
            ("outcome",),
            registry=self.registry,
        )
        self.refusals = Counter(
            "sellable_refusals",
            "Refused movements by their code.",
            ("code",),
            registry=self.registry,
        )
        self.warnings = Counter(
            "sellable_warnings",
            "Warnings about movements that were applied, by their code.",
            ("code",),
            registry=self.registry,
        )
        self.pending = Gauge(
            "sellable_pending_keys",
            "Keys of a channel whose last publication differs from their value now.",
            ("channel",),
            registry=self.registry,
        )
        self.oldest_pending_seconds = Gauge(
            "sellable_oldest_pending_seconds",
            "How long the oldest of them has been waiting.",
            ("channel",),
            registry=self.registry,
        )
        self.publications = Counter(
            "sellable_publications",
            "Publications on a channel.",
            ("channel",),
            registry=self.registry,
        )
        self.publication_delay_seconds = Histogram(
            "sellable_publication_delay_seconds",
            "From the change of a quantity to the moment its publication was acknowledged.",
            ("channel",),
            buckets=DELAY_BUCKETS_S,
            registry=self.registry,
        )
        self.unreadable = Counter(
            "sellable_unreadable",
            "Messages in the engine's own topics that somebody else wrote: they change nothing.",
            ("topic",),
            registry=self.registry,
        )
        self.restored_records = Gauge(
            "sellable_restored_records",
            "Records restored so far at the start on a partition.",
            ("partition",),
            registry=self.registry,
        )
        self.restore_progress = Gauge(
            "sellable_restore_progress",
            "Share of a partition's state that is restored, from 0 to 1.",
            ("partition",),
            registry=self.registry,
        )
        self.read_model_writes = Counter(
            "sellable_read_model_writes",
            "Publications brought to the read model: written, or older than what was there.",
            ("result",),
            registry=self.registry,
        )
        self.read_model_rebuilds = Counter(
            "sellable_read_model_rebuilds",
            "Partitions read again from their start, because the read model had lost them.",
            registry=self.registry,
        )
        self.read_model_up = Gauge(
            "sellable_read_model_up",
            "1 when Redis answered the last time it was asked, 0 when not.",
            registry=self.registry,
        )
        self.rules_mistakes = Gauge(
            "sellable_rules_mistakes",
            "Mistakes in the rules folder: while there are any, the rules in force stay.",
            registry=self.registry,
        )
        self.catalogue_refusals = Counter(
            "sellable_catalogue_refusals",
            "Messages of the catalogue topics that are no valid rows; the rows before them stay.",
            registry=self.registry,
        )


@contextmanager
def served(metrics: WorkerMetrics, listen: str | None) -> Iterator[None]:
    """Serve the metrics at HOST:PORT under `/metrics` as long as the context lasts; None: nowhere.

    Raises:
        ListenAddressError: that is no address of this machine, or somebody listens there already.
    """
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > MAX_PORT:
        raise ListenAddressError(
            f"{listen!r} is no address to serve metrics at", "Write HOST:PORT: 0.0.0.0:9100."
        )
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        raise ListenAddressError(
            f"metrics cannot be served at {listen}: {error.strerror or error}",
            "Give each worker on a machine an address of its own with --metrics-listen.",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
