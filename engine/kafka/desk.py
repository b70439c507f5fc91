"""The partitions of the ledger that one worker owns, through rebalances."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial

import structlog

from engine.kafka.contents import Contents
from engine.kafka.envelope_reading import Envelope
from engine.kafka.fencing import RENEW_AFTER_S, FencedError
from engine.kafka.owner import Owner
from engine.kafka.patience import patiently
from engine.kafka.settings import KafkaSettings
from engine.kafka.taking_over import TakingOver
from engine.telemetry.metrics import WorkerMetrics


class Desk:
    """Takes partitions over, keeps them, and gives them away.

    `ready` is told when a partition can take envelopes, `failed` of an error after which the
    worker has to stop.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        metrics: WorkerMetrics,
        ready: Callable[[int], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._taking = TakingOver(settings, Contents(settings), metrics, failed)
        self._ready = ready
        self._failed = failed
        self._owners: dict[int, Owner] = {}
        self._resting = False
        self._work: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("sellable.ledger")

    def next_offset(self, number: int) -> int | None:
        """The envelope that a partition takes next, None while it is not served here."""
        owner = None if self._resting else self._owners.get(number)
        return None if owner is None else owner.partition.next_offset

    def time(self, number: int) -> int | None:
        """A partition's time, None before it runs."""
        owner = self._owners.get(number)
        return None if owner is None else owner.partition.record.time

    def served(self) -> list[int]:
        """The partitions that are served."""
        return sorted(self._owners)

    async def take(self, number: int, envelope: Envelope) -> None:
        """Have a partition take an envelope; what belongs to no partition here is left aside."""
        owner = self._owners.get(number)
        if owner is not None:
            await owner.take(envelope)

    # --- rebalances ----------------------------------------------------------------------------

    async def rest(self) -> None:
        """Come to rest before partitions are given to others: everything is sent and noted."""
        self._resting = True
        await self._abandon_work()
        for number, owner in list(self._owners.items()):
            try:
                await owner.rest()
            except FencedError as error:
                self._log.warning(
                    "another worker has taken the partition over",
                    partition=number,
                    reason=error.message,
                )
                await self._drop(number)

    async def assign(self, numbers: Collection[int]) -> None:
        """Serve these partitions and no others: drop the rest, and begin to take over new ones."""
        await self._abandon_work()
        for number in [number for number in self._owners if number not in numbers]:
            await self._drop(number)
        self._resting = False
        for owner in self._owners.values():
            owner.resume()
        new = sorted(number for number in numbers if number not in self._owners)
        if new:
            self._work = asyncio.create_task(self._take_over(new))
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Let everything go. Closing twice does nothing."""
        await self._abandon_work()
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        for number in list(self._owners):
            await self._drop(number)

    async def _take_over(self, numbers: list[int]) -> None:
        try:
            for owner in await patiently(partial(self._taking.take_over, numbers)):
                number = owner.partition.number
                self._owners[number] = owner
                self._log.info(
                    "partition is served", partition=number, next_offset=owner.partition.next_offset
                )
                await self._ready(number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to stop
            self._failed(error)

    async def _abandon_work(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _drop(self, number: int) -> None:
        await self._owners.pop(number).close()

    async def _renew(self) -> None:
        """Show the brokers now and then that the owners are still there."""
        try:
            while True:
                await asyncio.sleep(RENEW_AFTER_S)
                for owner in list(self._owners.values()):
                    await owner.renew()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to stop
            self._failed(error)
