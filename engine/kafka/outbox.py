"""The outbox of a partition: outputs are committed with the state, then sent, then noted as sent.

Sending first would let a number be used twice with different content after a crash; so what is sent
here has been committed before, and is sent again by the next owner if this one ends before it is
noted that it was delivered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.kafka.fencing import fenced
from engine.kafka.ledger_record import Message, Parcel

BATCH_BYTES: Final = 512 * 1024
"""A batch of outputs is closed when it holds so much, before compression."""
WAITING_PARCELS: Final = 64
"""Parcels that wait to be sent before the partition waits for them."""


class Sender:
    """Sends messages to the partitions of one number, as the owner; `topic` names topics."""

    def __init__(
        self, producer: AIOKafkaProducer, partition: int, topic: Callable[[str], str]
    ) -> None:
        self._producer = producer
        self._partition = partition
        self._topic = topic

    async def send(self, messages: dict[str, list[Message]]) -> None:
        """Send messages, those of one topic in order; all are delivered afterwards.

        Raises:
            FencedError: another worker owns the partition by now.
            KafkaError: the brokers refuse.
        """
        try:
            sent = [
                await self._producer.send_batch(
                    batch, self._topic(topic), partition=self._partition
                )
                for topic, told in messages.items()
                for batch in self._batches(told)
            ]
            for one in sent:
                await one
        except (ProducerFenced, OutOfOrderSequenceNumber) as error:
            raise fenced(f"the outputs of partition {self._partition}") from error

    def _batches(self, messages: Sequence[Message]) -> Iterable[BatchBuilder]:
        now = time.time_ns() // 1_000_000
        batch = self._producer.create_batch()
        for key, value, headers in messages:
            if batch.size() >= BATCH_BYTES:
                batch.close()
                yield batch
                batch = self._producer.create_batch()
            taken = batch.append(timestamp=now, key=key, value=value, headers=headers)
            assert taken is not None, "a message fits into a batch"
        batch.close()
        yield batch


class Outbox:
    """Sends committed parcels in the background, in order, several at a time when they pile up.

    `delivered` is told the number of the last output that is known to be delivered; `failed` the
    error that ends it all.
    """

    def __init__(
        self,
        sender: Sender,
        delivered: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._sender = sender
        self._delivered = delivered
        self._failed = failed
        self._waiting: asyncio.Queue[Parcel] = asyncio.Queue(WAITING_PARCELS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def put(self, parcel: Parcel) -> None:
        """Have a committed parcel sent; waits while too many wait already."""
        await self._waiting.put(parcel)

    async def settle(self) -> None:
        """Wait until everything is sent, or until that has become impossible."""
        if self._task is None:
            return
        joined = asyncio.create_task(self._waiting.join())
        await asyncio.wait({joined, self._task}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()

    async def stop(self) -> None:
        """Stop sending; what was not sent is sent by the next owner."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        try:
            while True:
                await self._send_waiting(await self._waiting.get())
        except Exception as error:  # noqa: BLE001 - whatever it is, the partition has to stop
            self._failed(error)

    async def _send_waiting(self, first: Parcel) -> None:
        parcels = [first]
        while not self._waiting.empty():
            parcels.append(self._waiting.get_nowait())
        messages: dict[str, list[Message]] = {}
        for parcel in parcels:
            for topic, told in parcel.messages.items():
                messages.setdefault(topic, []).extend(told)
        await self._sender.send(messages)
        self._delivered(parcels[-1].last)
        for _ in parcels:
            self._waiting.task_done()
