"""The ledger worker: `sellable worker ledger`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

import structlog

from engine.kafka.catalogue import CHANGELOG, CONTENTS, ENVELOPES
from engine.kafka.desk import Desk
from engine.kafka.faust_app import LedgerApp
from engine.kafka.folder_lock import locked
from engine.kafka.owner import OUTPUTS
from engine.kafka.running import (
    check_topics,
    ledger_partitions,
    run_until_stopped,
    telling_refusals,
)
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics, served

KIND: Final = "ledger"
STOP_WITHIN_S: Final = 30.0
"""After an error the worker ends after so long, whatever still waits for the brokers."""
LAG_EVERY_S: Final = 1.0


def run(settings: KafkaSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        SellableError: a partition cannot go on; the message holds the evidence.
    """
    metrics = WorkerMetrics()
    with (
        locked(settings.data),
        served(metrics, settings.metrics_listen),
        telling_refusals(settings),
    ):
        run_until_stopped(lambda stop: keep_ledger(settings, metrics, stop))


async def keep_ledger(settings: KafkaSettings, metrics: WorkerMetrics, stop: asyncio.Event) -> None:
    """Keep the partitions that this worker is given, until stopped.

    Raises:
        SellableError: a partition cannot go on; the message holds the evidence.
        KafkaError: the brokers refuse.
    """
    log = structlog.get_logger("sellable.ledger").bind(worker=settings.worker_id)
    partitions = await ledger_partitions(settings, (ENVELOPES, CHANGELOG))
    await check_topics(settings, (*OUTPUTS, CONTENTS))
    settings = settings.model_copy(update={"partitions": partitions})
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(error: BaseException) -> None:
        if not failed.done():
            failed.set_exception(error)

    worker = LedgerApp(settings, lambda ready: Desk(settings, metrics, ready, fail), fail)
    starting = asyncio.create_task(worker.start())
    stopping = asyncio.create_task(stop.wait())
    ends: set[asyncio.Future[Any]] = {stopping, failed}
    watching = asyncio.create_task(_watch(worker, metrics))
    try:
        await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            log.info("the worker runs", kind=KIND, partitions=partitions)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
    finally:
        for task in (watching, stopping):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.stop(), STOP_WITHIN_S)
    log.info("the worker has stopped", kind=KIND)


async def _watch(worker: LedgerApp, metrics: WorkerMetrics) -> None:
    told: set[int] = set()
    while True:
        await asyncio.sleep(LAG_EVERY_S)
        lags = worker.lag()
        for number in told - lags.keys():
            metrics.lag_messages.remove(ENVELOPES, str(number))
            metrics.lag_seconds.remove(ENVELOPES, str(number))
        told = set(lags)
        now = time.time_ns() // 1_000
        for number, lag in lags.items():
            late = 0 if lag.taken_at is None else max(0, now - lag.taken_at)
            metrics.lag_messages.labels(ENVELOPES, str(number)).set(lag.messages)
            metrics.lag_seconds.labels(ENVELOPES, str(number)).set(late / 1_000_000)
