"""How outputs are put into batches."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.kafka.catalogue import INCOMING_MESSAGE_BYTES
from engine.kafka.ledger_record import Message
from engine.kafka.outbox import BATCH_BYTES, Sender

ROOM = 64 * 1024 * 1024
NO_COMPRESSION = 0


class Producer:
    """Makes batches that take whatever is put into them."""

    def create_batch(self) -> BatchBuilder:
        """An empty one."""
        return BatchBuilder(ROOM, NO_COMPRESSION)


def batches(messages: list[Message]) -> list[BatchBuilder]:
    """The batches that the messages are sent in."""
    producer: Any = Producer()
    return list(Sender(producer, 0, str)._batches(messages))


@pytest.mark.parametrize(
    "message",
    [
        (b"SKU-1", b"value" * 20, []),
        (b"SKU-1" * 40, b"", []),
        (None, b"", [("origin", b"o" * 200), ("correlation_id", b"c" * 200)]),
        (None, None, []),
    ],
)
def test_a_batch_is_never_longer_than_a_topic_takes(message: Message) -> None:
    """Whatever its messages are made of, also where nothing is compressed."""
    count = 60_000
    made = batches([message] * count)
    assert sum(batch.record_count() for batch in made) == count
    assert max(batch.size() for batch in made) < INCOMING_MESSAGE_BYTES
    assert all(batch.size() > BATCH_BYTES / 2 for batch in made[:-1])


def test_a_message_that_is_longer_than_a_batch_should_be_goes_alone() -> None:
    """An exception may hold a movement of 1 MiB."""
    long: Message = (None, b"x" * (2 * BATCH_BYTES), [])
    made = batches([(None, b"a", []), long, (None, b"b", [])])
    assert [batch.record_count() for batch in made] == [1, 1, 1]
    assert batches([]) == []
