"""Clients of the brokers, where there are none or they go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)

from engine.kafka.clients import Client, make_consumer, make_producer, running
from engine.kafka.patience import passes, patiently
from engine.kafka.running import telling_refusals
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError
from tests.kafka.broker import Broker
from tests.kafka.cluster import make_topics
from tests.kafka.conftest import MakeSettings, settings_maker

NOBODY = "127.0.0.1:1"


def test_what_the_brokers_refuse_is_told_in_words(tmp_path: Path) -> None:
    """With what to do, and no traceback."""
    settings = settings_maker(NOBODY, tmp_path)()
    with (
        pytest.raises(BrokersError, match=f"the brokers {NOBODY} refuse"),
        telling_refusals(settings),
    ):
        raise KafkaConnectionError("away")


async def check_is_closed(client: Client) -> None:
    """A client that cannot be started is stopped all the same."""
    with pytest.raises(KafkaConnectionError):
        async with running(client):
            pytest.fail("it was started")
    assert client._closed


async def test_a_client_that_could_not_be_started_is_closed(tmp_path: Path) -> None:
    """Whoever tries again while the brokers are away leaves nothing behind."""
    settings: KafkaSettings = settings_maker(NOBODY, tmp_path)()
    await check_is_closed(make_producer(settings, "test"))
    await check_is_closed(make_consumer(settings, "test"))


async def test_a_consumer_stops_in_good_order_while_its_fetch_waits_to_be_tried_again(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """Nobody is cancelled for it, and nothing of it goes on."""
    settings = make_own_settings()
    await make_topics(settings)
    place = TopicPartition(settings.topic("exceptions"), 0)
    consumer = make_consumer(settings, "test", retry_backoff_ms=60_000)
    async with running(consumer):
        consumer.assign([place])
        consumer.seek(place, 0)
        await consumer.getmany(timeout_ms=500)
        own_broker.kill()
        await asyncio.sleep(1)
    assert consumer._client._sync_task is None


def test_brokers_that_start_are_waited_for_and_a_refusal_is_not() -> None:
    """They do not know their topics at first; who is fenced stays so."""
    waited_for = (KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError)
    assert all(passes(error()) for error in waited_for)
    assert not passes(ProducerFenced())
    assert not passes(ValueError())


async def test_what_the_brokers_refuse_for_good_is_tried_once() -> None:
    """The others are tried until they are done."""
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KafkaTimeoutError
        raise ProducerFenced

    with pytest.raises(ProducerFenced):
        await patiently(work)
    assert tries == 2
