"""One writer per partition, kept by a real broker."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from engine.kafka.changelog import BATCH_BYTES, Changelog
from engine.kafka.fencing import FencedError, claim, fenced_producer, renew
from engine.kafka.ledger_record import Messages
from engine.kafka.outbox import Sender
from engine.kafka.settings import KafkaSettings
from tests.kafka.broker import Broker
from tests.kafka.cluster import make_topics, read_all
from tests.kafka.conftest import MakeSettings

NAME = "ledger-0"


def places(settings: KafkaSettings) -> list[TopicPartition]:
    """Two places that an owner writes."""
    return [TopicPartition(settings.topic(topic), 0) for topic in ("exceptions", "erp.postings")]


async def send(producer: AIOKafkaProducer, settings: KafkaSettings, value: bytes) -> None:
    """Send a message to both."""
    await Sender(producer, 0, settings.topic).send(
        {"exceptions": [(None, value, [])], "erp.postings": [(None, value, [])]}
    )


async def values(settings: KafkaSettings, topic: str) -> list[bytes]:
    """All that is in a topic."""
    return [message.value for message in await read_all(settings, topic)]


async def test_whoever_claims_shuts_every_earlier_owner_out(make_settings: MakeSettings) -> None:
    """Also of places where the new owner has written nothing yet; readers see no trace of it."""
    settings = make_settings()
    await make_topics(settings)
    old = await fenced_producer(settings, await claim(settings, NAME, places(settings)))
    await send(old, settings, b"old")
    await claim(settings, NAME, places(settings))
    with pytest.raises(FencedError):
        await send(old, settings, b"too late")
    await old.stop()
    assert await values(settings, "exceptions") == [b"old"]
    assert await values(settings, "erp.postings") == [b"old"]


async def test_an_owner_that_renews_goes_on_writing(make_settings: MakeSettings) -> None:
    """The brokers remember it anew, and its numbers go on where they were."""
    settings = make_settings()
    await make_topics(settings)
    identity = await claim(settings, NAME, places(settings))
    producer = await fenced_producer(settings, identity)
    await send(producer, settings, b"1")
    await renew(settings, identity, places(settings))
    await send(producer, settings, b"2")
    await producer.stop()
    assert await values(settings, "exceptions") == [b"1", b"2"]


async def test_an_owner_that_was_shut_out_cannot_renew(make_settings: MakeSettings) -> None:
    """Else one that stood still would take back what another one owns by now."""
    settings = make_settings()
    await make_topics(settings)
    old = await claim(settings, NAME, places(settings))
    new = await claim(settings, NAME, places(settings))
    assert (new.producer_id, new.epoch) == (old.producer_id, old.epoch + 1)
    with pytest.raises(FencedError):
        await renew(settings, old, places(settings))
    producer = await fenced_producer(settings, new)
    await send(producer, settings, b"new")
    await producer.stop()


async def test_a_step_of_an_old_owner_is_refused_whole(make_settings: MakeSettings) -> None:
    """The changelog's first batch of a new owner is its claim: nothing older comes after it."""
    settings = make_settings()
    await make_topics(settings)
    place = TopicPartition(settings.topic("ledger.changelog"), 0)
    producers = [
        await fenced_producer(settings, await claim(settings, NAME, places(settings)))
        for _ in range(2)
    ]
    old, new = (Changelog(producer, place) for producer in producers)
    await old.write({b"a": b"1", b"b": b"1"}, ())
    await new.write({b"claim": b"new"}, ())
    with pytest.raises(FencedError):
        await old.write({b"a": b"2", b"b": b"2"}, ())
    for producer in producers:
        await producer.stop()
    found = [
        (message.key, message.value) for message in await read_all(settings, "ledger.changelog")
    ]
    assert found == [(b"a", b"1"), (b"b", b"1"), (b"claim", b"new")]


async def test_an_owner_waits_for_brokers_that_are_away_for_longer_than_a_request_may_take(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """Also with more batches than one on their way: none is given up, and none comes twice."""
    settings = make_own_settings(request_timeout_ms=1_000)
    await make_topics(settings)
    owner = await claim(settings, NAME, places(settings))
    producer = await fenced_producer(settings, owner, max_batch_size=BATCH_BYTES)
    sender = Sender(producer, 0, settings.topic)
    await sender.send({"exceptions": [(None, b"before", [])]})
    own_broker.kill()
    long = [bytes([number]) * 300_000 for number in range(4)]
    told: Messages = {"exceptions": [(None, one, []) for one in long]}
    sending = asyncio.create_task(sender.send(told))
    await asyncio.sleep(4 * settings.request_timeout_ms / 1_000)
    assert not sending.done()
    own_broker.start()
    await sending
    assert [one.value for one in await read_all(settings, "exceptions")] == [b"before", *long]
    await producer.stop()


async def test_an_owner_waits_for_a_partition_that_has_no_leader_yet(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an outage: the brokers answer, and know nobody who takes its batches."""
    settings = make_settings(request_timeout_ms=1_000)
    await make_topics(settings)
    owner = await claim(settings, NAME, places(settings))
    producer = await fenced_producer(settings, owner)
    await send(producer, settings, b"before")
    with monkeypatch.context() as patch:
        patch.setattr(type(producer.client.cluster), "leader_for_partition", lambda *_: -1)
        sending = asyncio.create_task(send(producer, settings, b"after"))
        await asyncio.sleep(3 * settings.request_timeout_ms / 1_000)
        assert not sending.done()
    await sending
    assert [one.value for one in await read_all(settings, "exceptions")] == [b"before", b"after"]
    await producer.stop()


async def test_an_owner_waits_for_a_topic_that_the_brokers_do_not_know_yet(
    make_settings: MakeSettings,
) -> None:
    """Brokers that have just started know none of theirs for a while."""
    settings = make_settings(request_timeout_ms=1_000)
    await make_topics(settings)
    producer = await fenced_producer(settings, await claim(settings, NAME, places(settings)))
    sender = Sender(producer, 0, settings.topic)
    place = TopicPartition(settings.topic("quantities.later"), 0)
    waiting = [
        asyncio.create_task(sender.send({"quantities.later": [(b"k", b"sent", [])]})),
        asyncio.create_task(claim(settings, "another", [place])),
    ]
    await asyncio.sleep(3 * settings.request_timeout_ms / 1_000)
    assert not any(task.done() for task in waiting)
    await make_topics(settings, ("later",))
    await asyncio.gather(*waiting)
    assert await values(settings, "quantities.later") == [b"sent"]
    await producer.stop()
