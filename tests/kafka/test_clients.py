"""Clients of the brokers, where there are no brokers."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from engine.kafka.clients import Client, make_consumer, make_producer, running
from engine.kafka.running import telling_refusals
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError
from tests.kafka.conftest import settings_maker

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
