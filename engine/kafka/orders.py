"""Orders to the ledger: entries that every partition finds in its log at a definite position."""

from __future__ import annotations

from typing import Final

from aiokafka import AIOKafkaProducer

from engine.kafka.catalogue import ENVELOPES
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import write_content
from engine.kafka.envelopes import ControlEntry, encode_control
from engine.kafka.partition import DISMISS, REPLAY, SNAPSHOT
from engine.kafka.running import ledger_partitions
from engine.kafka.settings import KafkaSettings

MOVEMENT: Final = "movement"
"""In the content of a replay: the mended movement."""


async def order_snapshot(settings: KafkaSettings) -> None:
    """Have every partition, and with them every channel, take a snapshot on its next tick.

    Raises:
        SellableError: the ledger's topics are not as they must be.
        KafkaError: the brokers refuse.
    """
    await _order(settings, ControlEntry(SNAPSHOT))


async def order_replay(
    settings: KafkaSettings,
    exception: str,
    movement: bytes,
    accept_old: bool = False,
    order: str = "",
) -> None:
    """Have a mended movement taken in place of a refused one.

    `order` is a name of the order, by which its outcome is known (`replay_origin`).

    Raises:
        SellableError: the ledger's topics are not as they must be.
        KafkaError: the brokers refuse.
    """
    async with running(make_producer(settings, "orders")) as producer:
        name = await write_content(producer, settings, {MOVEMENT: movement})
    fields: dict[str, str | int | bool | None] = {"exception": exception, "order": order}
    await _order(settings, ControlEntry(REPLAY, name, {**fields, "accept_old": accept_old}))


async def order_dismissal(settings: KafkaSettings, exception: str, reason: str) -> None:
    """Have an exception closed without a replay.

    Raises:
        SellableError: the ledger's topics are not as they must be.
        KafkaError: the brokers refuse.
    """
    await _order(settings, ControlEntry(DISMISS, "", {"exception": exception, "reason": reason}))


async def _order(settings: KafkaSettings, entry: ControlEntry) -> None:
    partitions = await ledger_partitions(settings, (ENVELOPES,))
    async with running(make_producer(settings, "orders")) as producer:
        await tell_all(producer, settings.topic(ENVELOPES), partitions, entry)


async def tell_all(
    producer: AIOKafkaProducer, topic: str, partitions: int, entry: ControlEntry
) -> None:
    """Write an entry into every partition of the ledger's log, one after the other.

    Raises:
        KafkaError: it could not be written.
    """
    value = encode_control(entry)
    for number in range(partitions):
        await producer.send_and_wait(topic, value, partition=number)
