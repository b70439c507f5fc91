"""The leading ingest worker keeps the rules: it follows its folder, and hears orders of others.

What is announced is checked as a whole before; while it has mistakes, the rules in force stay.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
import structlog
from aiokafka.errors import KafkaError

from engine.contracts.errors import SellableError
from engine.kafka.catalogue_topics import CatalogueTopics
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import pointers
from engine.kafka.rules_files import stamp_of
from engine.kafka.rules_keeper import RulesKeeper
from engine.kafka.rules_orders import ORDERED, Hearing, PublishOrder
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics

LOOK_EVERY_S: Final = 1.0
STOP_WITHIN_S: Final = 5.0
"""How long whoever takes over waits for an announcement that is under way."""
RESTLESS_S: Final = 10.0
"""A catalogue that keeps changing is announced as often as that."""


async def rules_are_announced(settings: KafkaSettings) -> bool:
    """Whether every partition of the ledger's log has met rules."""
    return (await pointers(settings)).in_force is not None


class Announcer:
    """Announces while it leads. What goes wrong is told and tried again: rules in force stay."""

    def __init__(self, settings: KafkaSettings, metrics: WorkerMetrics, partitions: int) -> None:
        self._settings = settings
        self._metrics = metrics
        self._partitions = partitions
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._is_closed = False
        self._log = structlog.get_logger("sellable.rules").bind(worker=settings.worker_id)

    @property
    def failure(self) -> BaseException | None:
        """What nobody foresaw, if it happened."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def lead(self, leads: bool) -> None:
        """Begin to announce, or leave it to another worker."""
        if leads and self._task is None and not self._is_closed:
            self._stop.clear()
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif not leads and self._task is not None:
            task, self._task = self._task, None
            self._stop.set()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Leave it to others for good, whomever the group gives the lead afterwards."""
        self._is_closed = True
        await self.lead(False)

    async def _run(self) -> None:
        self._log.info("this worker announces the rules")
        settings, metrics = self._settings, self._metrics
        while not self._stop.is_set():
            try:
                async with (
                    running(make_producer(settings, "announcer")) as producer,
                    CatalogueTopics(settings, metrics) as catalogue,
                    Hearing(settings, ORDERED) as orders,
                ):
                    keeper = RulesKeeper(
                        settings,
                        metrics,
                        self._partitions,
                        producer,
                        catalogue,
                        await pointers(settings),
                    )
                    await self._watch(keeper, catalogue, orders)
            except (KafkaError, SellableError, OSError) as error:
                self._log.error("rules cannot be announced, trying again", error=str(error))
                await self._pause()

    async def _watch(
        self, keeper: RulesKeeper, catalogue: CatalogueTopics, orders: Hearing
    ) -> None:
        """Take up whenever the folder or the topics have changed and have come to rest."""
        taken_up: object = None
        before: object = None
        moved_at = time.monotonic()
        while not self._stop.is_set():
            await catalogue.read()
            stamp = (stamp_of(self._settings), catalogue.version)
            rests = stamp == before or before is None
            if stamp != taken_up and (rests or time.monotonic() - moved_at >= RESTLESS_S):
                await keeper.follow()
                taken_up = stamp
            if stamp == taken_up:
                moved_at = time.monotonic()
            before = stamp
            for value in await orders.heard():
                # Whoever has written into the folder just now was quicker.
                if stamp_of(self._settings) != stamp[0]:
                    await keeper.follow()
                await self._take(keeper, value)
            await self._pause()

    async def _take(self, keeper: RulesKeeper, value: bytes) -> None:
        try:
            order = msgspec.msgpack.decode(value, type=PublishOrder)
        except msgspec.MsgspecError as error:
            self._log.error("an order of rules cannot be read", error=str(error))
            return
        await keeper.judge(order)

    async def _pause(self) -> None:
        """Wait until it is time to look again, or to stop."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._stop.wait()
        except TimeoutError:
            return
