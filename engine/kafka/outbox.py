"""The outbox of a partition: outputs are committed with the state, then sent, then noted as sent.

Sending first would let a number be used twice with different content after a crash; so what is sent
here has been committed before, and is sent again by the next owner if this one ends before it is
noted that it was delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.kafka.backlog import Backlog
from engine.kafka.catalogue import FINDINGS, OBSERVED, OUTCOMES, POSTINGS
from engine.kafka.fencing import fenced, send_batch
from engine.kafka.ledger_record import Message, Parcel
from engine.kafka.packing import fill_with

BATCH_BYTES: Final = 512 * 1024
"""A batch of outputs is at most so long, before compression; a longer message goes alone."""
PATIENCE_S: Final = 0.1
"""So long outputs wait for more of them, where nobody downstream waits for any of them."""
PATIENT: Final = frozenset((OUTCOMES, POSTINGS, OBSERVED, FINDINGS))
"""Topics of which nobody waits for a message: they tell what became of what was sent."""
RECORD_BYTES: Final = 16
"""What a record of a batch takes beside its key, value and headers: lengths, offset, time."""
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
                await send_batch(self._producer, batch, self._topic(topic), self._partition)
                for topic, told in messages.items()
                for batch in self._batches(told)
            ]
            for one in sent:
                await one
        except (ProducerFenced, OutOfOrderSequenceNumber) as error:
            raise fenced(f"the outputs of partition {self._partition}") from error

    def _batches(self, messages: Sequence[Message]) -> Iterable[BatchBuilder]:
        begin = size = 0
        for place, message in enumerate(messages):
            length = _length(message)
            if size + length > BATCH_BYTES and place > begin:
                yield self._batch(messages[begin:place])
                begin, size = place, 0
            size += length
        if begin < len(messages):
            yield self._batch(messages[begin:])

    def _batch(self, messages: Sequence[Message]) -> BatchBuilder:
        batch = self._producer.create_batch()
        fill_with(batch, time.time_ns() // 1_000_000, messages)
        batch.close()
        return batch


def _length(message: Message) -> int:
    """About how many bytes a message takes in a batch."""
    key, value, headers = message
    length = RECORD_BYTES + len(key or b"") + len(value or b"")
    for name, told in headers:
        length += len(name) + len(told)
    return length


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
        self._parcels = Backlog(
            self._send, failed, WAITING_PARCELS, WAITING_PARCELS, PATIENCE_S, _hurries
        )

    def start(self) -> None:
        """Begin to send."""
        self._parcels.start()

    async def put(self, parcel: Parcel) -> None:
        """Have a committed parcel sent; waits while too many wait already."""
        await self._parcels.put(parcel)

    async def settle(self) -> None:
        """Wait until everything is sent, or until that has become impossible."""
        await self._parcels.settle()

    async def stop(self) -> None:
        """Stop sending; what was not sent is sent by the next owner."""
        await self._parcels.stop()

    async def _send(self, parcels: list[Parcel]) -> None:
        messages: dict[str, list[Message]] = {}
        for parcel in parcels:
            for topic, told in parcel.messages.items():
                messages.setdefault(topic, []).extend(told)
        await self._sender.send(messages)
        self._delivered(parcels[-1].last)


def _hurries(parcel: Parcel) -> bool:
    return not PATIENT.issuperset(parcel.messages)
