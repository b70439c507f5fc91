"""The real broker and the real Redis that other tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis

from engine.kafka.catalogue import wanted
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError, check, create
from tests.kafka.broker import Broker
from tests.kafka.conftest import MakeSettings
from tests.kafka.processes import Child
from tests.kafka.redis_server import RedisServer


async def send(settings: KafkaSettings, value: bytes) -> None:
    """Send one message to the topic `exceptions`."""
    async with running(make_producer(settings, "test")) as producer:
        await producer.send_and_wait(settings.topic("exceptions"), value, partition=0)


async def read(settings: KafkaSettings, count: int) -> list[bytes]:
    """Read so many messages of the topic `exceptions`."""
    async with running(make_consumer(settings, "test")) as consumer:
        consumer.assign([TopicPartition(settings.topic("exceptions"), 0)])
        return [(await consumer.getone()).value for _ in range(count)]


async def test_topics_are_made_once_and_are_then_as_the_catalogue_has_them(
    make_settings: MakeSettings,
) -> None:
    """A second `create` changes nothing, and `check` finds no difference."""
    settings = make_settings()
    plan = wanted(settings, ["amazon-us"])
    assert sorted(await create(settings, plan)) == sorted(topic.name for topic in plan)
    assert await create(settings, plan) == []
    assert await check(settings, plan) == []


async def test_a_broker_that_was_killed_serves_what_it_had(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """At the same address, so that clients find it again."""
    settings = make_own_settings()
    await create(settings, wanted(settings, []))
    await send(settings, b"before")
    own_broker.kill()
    own_broker.start()
    await send(settings, b"after")
    assert await read(settings, 2) == [b"before", b"after"]


async def test_a_paused_broker_answers_nothing_until_it_is_resumed(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """Like a machine that hangs: the connection stays, the answer does not come."""
    settings = make_own_settings(request_timeout_ms=1_000)
    own_broker.pause()
    with pytest.raises(BrokersError):
        await create(settings, wanted(settings, []))
    own_broker.resume()
    assert await create(settings, wanted(settings, []))


async def test_a_redis_that_was_stopped_is_empty_when_it_comes_back(
    redis_server: RedisServer,
) -> None:
    """At the same address."""
    async with Redis.from_url(redis_server.url) as client:
        await client.set("key", "value")
        assert await client.get("key") == b"value"
    redis_server.stop()
    redis_server.start()
    async with Redis.from_url(redis_server.url) as client:
        assert await client.get("key") is None


def test_a_process_is_told_from_an_earlier_one_with_the_same_log(tmp_path: Path) -> None:
    """What a cluster said when it ran last time does not tell that it runs."""
    log = tmp_path / "log"
    for word in ("one", "two"):
        child = Child(["echo", word], log)
        child.process.wait(10)
        assert child.said() == f"{word}\n"
    assert log.read_text() == "one\ntwo\n"
