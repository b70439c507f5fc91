"""The dispatch worker with a real broker and a real Redis: the read model comes right again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from redis import RedisError
from redis.asyncio import Redis
from structlog.testing import capture_logs

from engine.contracts.availability import Availability, Cause
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.dispatch import dispatch, name_of_place, read_model_of
from engine.kafka.fencing import claim
from engine.kafka.read_model import ReadModel, Row
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.cluster import PATIENCE_S, make_topics
from tests.kafka.conftest import MakeSettings
from tests.kafka.redis_server import RedisServer

CHANNEL = "web-shop"


def publication(
    sku: str, available: int, version: int, location: str | None = None, channel: str = CHANNEL
) -> Availability:
    """One publication."""
    status = "in_stock" if available else "out_of_stock"
    cause = Cause("till-1", f"m-{version}", None)
    return Availability(
        sku, channel, location, available, status, version, "2026-11-20T09:00:01Z", cause
    )


async def publish(settings: KafkaSettings, said: Iterable[Availability]) -> None:
    """Write publications to their topics, as the publish worker does."""
    async with running(make_producer(settings, "test")) as producer:
        for each in said:
            key = each.sku if each.location is None else f"{each.sku}|{each.location}"
            topic = settings.topic(f"availability.{each.channel}")
            await producer.send(topic, msgspec.json.encode(each), key=key.encode())
        await producer.flush()


@asynccontextmanager
async def dispatching(
    settings: KafkaSettings, metrics: WorkerMetrics | None = None
) -> AsyncIterator[WorkerMetrics]:
    """A dispatch worker in this process."""
    stop, counted = asyncio.Event(), metrics or WorkerMetrics()
    task = asyncio.create_task(dispatch(settings, counted, stop))
    try:
        yield counted
    finally:
        stop.set()
        await task


async def shown(settings: KafkaSettings, sku: str, wanted: list[Availability]) -> None:
    """Wait until the read model says so of a SKU."""
    model = read_model_of(settings)
    found: list[Availability] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while found != wanted:
                await asyncio.sleep(0.05)
                try:
                    found = await model.lookup(sku)
                except RedisError:
                    continue
    except TimeoutError:
        assert found == wanted
    finally:
        await model.close()


@pytest.fixture
async def settings(make_settings: MakeSettings, redis_server: RedisServer) -> KafkaSettings:
    """Settings of an engine with topics and an empty Redis."""
    made = make_settings(redis_url=redis_server.url)
    await make_topics(made, [CHANNEL, "kiosk"])
    return made


async def test_the_last_publication_of_every_key_is_looked_up_by_sku_and_channel(
    settings: KafkaSettings,
) -> None:
    """Channels with one number per SKU and with one per location, side by side."""
    said = [
        publication("A", 5, 1),
        publication("B", 1, 1),
        publication("A", 3, 2, "S-1", "kiosk"),
        publication("A", 4, 1, "S-2", "kiosk"),
        publication("A", 0, 2),
    ]
    await publish(settings, said)
    async with dispatching(settings):
        await shown(settings, "A", [said[2], said[3], said[4]])
        await shown(settings, "B", [said[1]])
        model = read_model_of(settings)
        assert await model.lookup("A", CHANNEL) == [said[4]]
        assert await model.lookup("A", "kiosk") == [said[2], said[3]]
        assert await model.lookup("A", "web") == []
        keys = [("A", "kiosk|S-2"), ("C", CHANNEL), ("B", CHANNEL)]
        assert await model.lookup_many(keys) == [said[3], None, said[1]]
        await model.close()


async def test_a_flushed_redis_is_written_again_while_nothing_is_published(
    settings: KafkaSettings,
) -> None:
    """The worker notices by itself, and goes on with what comes after."""
    said = [publication(f"SKU-{each}", each, 1) for each in range(300)]
    await publish(settings, said)
    async with dispatching(settings) as metrics:
        await shown(settings, "SKU-299", [said[299]])
        async with Redis.from_url(settings.redis_url.get_secret_value()) as client:
            await client.flushall()
        for each in (0, 150, 299):
            await shown(settings, f"SKU-{each}", [said[each]])
        newer = publication("SKU-0", 7, 2)
        await publish(settings, [newer])
        await shown(settings, "SKU-0", [newer])
    rebuilds = metrics.registry.get_sample_value("sellable_read_model_rebuilds_total")
    assert rebuilds == settings.partitions


async def test_a_redis_that_was_set_back_to_an_older_copy_is_brought_up_to_date(
    settings: KafkaSettings,
) -> None:
    """Rows and positions are of one moment, so the positions say from where."""
    old, new = publication("A", 5, 1), publication("A", 6, 2)
    await publish(settings, [old])
    url = settings.redis_url.get_secret_value()
    async with dispatching(settings), Redis.from_url(url) as client:
        await shown(settings, "A", [old])
        copies = {key: await client.dump(key) for key in await client.keys("*")}
        await publish(settings, [new])
        await shown(settings, "A", [new])
        for key, copy in copies.items():
            await client.restore(key, 0, copy, replace=True)
        await shown(settings, "A", [new])


async def test_what_was_published_while_redis_was_away_is_there_when_it_is_back(
    settings: KafkaSettings, redis_server: RedisServer
) -> None:
    """It comes back empty, or it only did not answer for a while."""
    first = publication("A", 5, 1)
    await publish(settings, [first])
    with capture_logs() as logs:
        async with dispatching(settings) as metrics:
            await shown(settings, "A", [first])
            redis_server.stop()
            second = publication("A", 6, 2)
            await publish(settings, [second, publication("B", 1, 1)])
            async with asyncio.timeout(PATIENCE_S):
                while metrics.registry.get_sample_value("sellable_read_model_up") != 0:
                    await asyncio.sleep(0.05)
            redis_server.start()
            await shown(settings, "A", [second])
            await shown(settings, "B", [publication("B", 1, 1)])
            redis_server.pause()
            third = publication("A", 7, 3)
            await publish(settings, [third])
            await asyncio.sleep(1)
            redis_server.resume()
            await shown(settings, "A", [third])
    assert any("Redis did not answer" in each["event"] for each in logs)


async def test_two_workers_share_the_partitions_and_one_that_ends_leaves_them_to_the_other(
    settings: KafkaSettings, make_settings: MakeSettings
) -> None:
    """Each starts where Redis stands."""
    other = settings.model_copy(update={"data": settings.data / "other"})
    async with dispatching(settings):
        async with dispatching(other):
            said = [publication(f"SKU-{each}", each, 1) for each in range(50)]
            await publish(settings, said)
            for each in range(50):
                await shown(settings, f"SKU-{each}", [said[each]])
        newer = [publication(f"SKU-{each}", each + 1, 2) for each in range(50)]
        await publish(settings, newer)
        for each in range(50):
            await shown(settings, f"SKU-{each}", [newer[each]])


async def test_a_message_that_is_no_publication_is_told_and_stops_nothing(
    settings: KafkaSettings,
) -> None:
    """Only our own workers write there; but who knows. One without a value takes its key away."""
    topic = settings.topic(f"availability.{CHANNEL}")
    said = publication("A", 5, 1)
    await publish(settings, [said, publication("B", 5, 1)])
    async with running(make_producer(settings, "test")) as producer:
        await producer.send_and_wait(topic, b"\xff nonsense", key=b"A")
        await producer.send_and_wait(topic, None, key=b"B")
    with capture_logs() as logs:
        async with dispatching(settings) as metrics:
            await shown(settings, "A", [said])
            await shown(settings, "B", [])
            name, labels = "sellable_read_model_writes_total", {"result": "unreadable"}
            async with asyncio.timeout(PATIENCE_S):
                while metrics.registry.get_sample_value(name, labels) != 1:
                    await asyncio.sleep(0.05)
    assert any("no publication" in each["event"] for each in logs)


async def test_a_late_worker_can_neither_write_an_older_value_nor_move_the_position_back(
    redis_server: RedisServer,
) -> None:
    """It stands where Redis no longer stands; and even rows on their own are compared."""
    model = ReadModel(redis_server.url, "t")
    old, new = row(publication("A", 5, 9)), row(publication("A", 4, 10))
    assert await model.write("availability.x/0", None, [(7, [new])]) == (1, 0, False)
    assert (await model.write("availability.x/0", None, [(3, [old])])).moved
    assert await model.positions(["availability.x/0", "availability.x/1"]) == [7, None]
    assert await model.write("availability.x/1", None, [(1, [old])]) == (0, 1, False)
    assert await model.lookup("A") == [publication("A", 4, 10)]
    await model.close()


@given(versions=st.lists(st.integers(1, 10**15), min_size=1, max_size=20))
def test_whatever_the_order_the_highest_version_stays(
    redis_server_of_all: RedisServer, versions: list[int]
) -> None:
    """As numbers, not as texts: 10 is newer than 9."""

    async def check() -> None:
        async with Redis.from_url(redis_server_of_all.url) as client:
            await client.flushall()
        model = ReadModel(redis_server_of_all.url, "t")
        rows = [row(publication("A", 1, version)) for version in versions]
        await model.write("availability.x/0", None, [(1, rows)])
        assert [each.version for each in await model.lookup("A")] == [max(versions)]
        await model.close()

    asyncio.run(check())


@pytest.fixture(scope="module")
def redis_server_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterable[RedisServer]:
    """A Redis for examples that empty it themselves."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def row(said: Availability) -> Row:
    """The row of a publication."""
    return Row(said.sku, said.channel, said.version, json.dumps(msgspec.to_builtins(said)).encode())


async def test_positions_pass_what_holds_no_message(
    make_settings: MakeSettings, redis_server: RedisServer
) -> None:
    """A new owner's mark is behind the last publication: nothing is missing in Redis all the same.

    Whoever serves HTTP compares the positions with the ends of the topics.
    """
    settings = make_settings(redis_url=redis_server.url, partitions=1)
    await make_topics(settings)
    place = TopicPartition(settings.topic(f"availability.{CHANNEL}"), 0)
    await publish(settings, [publication("A", 3, 1)])
    await claim(settings, "somebody", [place])
    async with running(make_consumer(settings, "test")) as consumer:
        end = (await consumer.end_offsets([place]))[place]
    assert end > 1
    model = read_model_of(settings)
    async with dispatching(settings), asyncio.timeout(PATIENCE_S):
        while await model.positions([name_of_place(place)]) != [end]:
            await asyncio.sleep(0.05)
    await model.close()
