"""Clients of the brokers, where there are no brokers."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from engine.kafka.clients import Client, make_consumer, make_producer, running
from engine.kafka.settings import KafkaSettings
from tests.kafka.conftest import settings_maker

NOBODY = "127.0.0.1:1"


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
