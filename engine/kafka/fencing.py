"""One writer per partition, kept by the brokers: whoever wrote before cannot write any more.

The brokers give whoever names a `transactional.id` the next epoch of its producer id, and a
partition that has seen an epoch refuses every earlier one. So an owner initialises under a name
that belongs to what it owns, shows the new epoch to every partition it is going to write, and then
writes plain batches with that id and epoch: no transactions, which cost some 30 ms each.

The epoch is shown by a transaction that holds nothing: its end leaves a marker in every partition,
which readers never see. Whoever begins a second transaction waits until the markers of the first
are written, so afterwards no predecessor's message can come any more.

aiokafka has no public way to do this. What is used of its inside (0.14, pinned):
`AIOKafkaProducer._txn_manager`: `set_pid_and_epoch`, `producer_id`, `producer_epoch`,
`maybe_add_partition_to_txn`; `client._wait_on_metadata`; and `_message_accumulator._batch_ttl`: by
default a batch that waited for longer than a request may take is given up as soon as the brokers
are back and have no leader yet. Tests show that it works.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Collection
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.contracts.errors import SellableError
from engine.kafka.clients import make_producer
from engine.kafka.patience import patiently
from engine.kafka.settings import KafkaSettings

CLAIM_TIMEOUT_MS: Final = 60_000
"""Longest time of a transaction that shows an epoch; the brokers end it after that."""
RENEW_AFTER_S: Final = 12 * 3_600
"""The brokers forget a producer id that was silent for a day (`producer.id.expiration.ms`) and a
`transactional.id` after seven (`transactional.id.expiration.ms`): an owner shows itself before."""


class FencedError(SellableError):
    """Another worker owns what this one was writing: it has to stop."""

    title = "Another worker has taken over"


class Identity(NamedTuple):
    """Who an owner is to the brokers; `epoch` rises with every owner of the name."""

    name: str
    producer_id: int
    epoch: int


async def claim(settings: KafkaSettings, name: str, places: Collection[TopicPartition]) -> Identity:
    """Become the owner of a name, and shut every earlier one out of the places.

    Raises:
        FencedError: another one did the same meanwhile.
        KafkaError: the brokers refuse.
    """
    return await patiently(partial(_show, settings, name, None, places))


async def renew(
    settings: KafkaSettings, identity: Identity, places: Collection[TopicPartition]
) -> None:
    """Show the brokers that the owner is still there, so that they do not forget it.

    Raises:
        FencedError: another one owns the name by now.
        KafkaError: the brokers refuse.
    """
    await patiently(partial(_show, settings, identity.name, identity, places))


async def _show(
    settings: KafkaSettings,
    name: str,
    identity: Identity | None,
    places: Collection[TopicPartition],
) -> Identity:
    producer = make_producer(
        settings,
        "claim",
        transactional_id=settings.group(name),
        transaction_timeout_ms=CLAIM_TIMEOUT_MS,
    )
    manager = producer._txn_manager
    if identity is not None:
        manager.set_pid_and_epoch(identity.producer_id, identity.epoch)
    try:
        await producer.start()
        await _empty_transaction(producer, places)
        # This one cannot begin before the markers of the first are written.
        await _empty_transaction(producer, list(places)[:1])
        return Identity(name, manager.producer_id, manager.producer_epoch)
    except (ProducerFenced, OutOfOrderSequenceNumber) as error:
        raise fenced(name) from error
    finally:
        await producer.stop()


async def _empty_transaction(
    producer: AIOKafkaProducer, places: Collection[TopicPartition]
) -> None:
    await producer.begin_transaction()
    for place in places:
        await producer.client._wait_on_metadata(place.topic)
        producer._txn_manager.maybe_add_partition_to_txn(place)
    await producer.commit_transaction()


async def fenced_producer(
    settings: KafkaSettings, identity: Identity, **more: Any
) -> AIOKafkaProducer:
    """A started producer of plain batches that writes as the owner; `more` as of aiokafka.

    It waits for brokers that are away, however long: nobody else may write what it has to write.
    """
    producer = make_producer(settings, identity.name, **more)
    producer._message_accumulator._batch_ttl = math.inf
    producer._txn_manager.set_pid_and_epoch(identity.producer_id, identity.epoch)
    try:
        await patiently(producer.start)
    except BaseException:
        await producer.stop()
        raise
    return producer


async def send_batch(
    producer: AIOKafkaProducer, batch: BatchBuilder, topic: str, partition: int
) -> Awaitable[Any]:
    """Hand a batch to a producer; returns what awaits its delivery.

    aiokafka takes one batch of a partition at a time, none while the one before waits for brokers
    that are away, and none before it has heard of the topic: then this waits as well.

    Raises:
        KafkaError: the brokers refuse.
    """

    async def hand_over() -> Awaitable[Any]:
        sent: Awaitable[Any] = await producer.send_batch(batch, topic, partition=partition)
        return sent

    return await patiently(hand_over)  # after an error nothing was taken


def fenced(name: str) -> FencedError:
    """The error of an owner that was shut out."""
    return FencedError(
        f"another worker has become the owner of {name}: this one wrote nothing since",
        "Start it again: it takes what the others leave to it. If it happens often, raise "
        "session_timeout_ms, and see that no two workers share an instance id.",
    )
