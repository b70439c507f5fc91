"""Contents of control entries, through a real broker."""

from __future__ import annotations

import asyncio
import random

import pytest

from engine.kafka.catalogue import CONTENTS, wanted
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import Contents, DamagedContentError, name_of, write_content
from engine.kafka.patience import AGAIN_AFTER_S
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from tests.kafka.broker import Broker
from tests.kafka.conftest import MakeSettings

FILES = {"channels.yaml": b"channels: {}\n", "items.csv": b"\xef\xbb\xbfsku\n"}


async def made(make_settings: MakeSettings) -> KafkaSettings:
    """Settings of an engine whose topics are there."""
    settings = make_settings()
    await create(settings, wanted(settings, []))
    return settings


async def test_a_content_comes_back_byte_for_byte_also_in_many_messages(
    make_settings: MakeSettings,
) -> None:
    """A catalogue of many items takes more than one message."""
    settings = await made(make_settings)
    large = {**FILES, "big.csv": random.Random(1).randbytes(3_000_000)}
    async with running(make_producer(settings, "test")) as producer:
        names = [await write_content(producer, settings, files) for files in (FILES, large)]
    contents = Contents(settings)
    assert [await contents.read(name) for name in names] == [FILES, large]
    assert names[0] == name_of(dict(reversed(FILES.items())))


async def test_whoever_reads_a_content_waits_until_it_is_there(make_settings: MakeSettings) -> None:
    """A ledger may meet the entry before the broker has shown the content."""
    settings = await made(make_settings)
    reading = asyncio.create_task(Contents(settings).read(name_of(FILES)))
    await asyncio.sleep(0.2)
    assert not reading.done()
    async with running(make_producer(settings, "test")) as producer:
        await write_content(producer, settings, FILES)
    assert await reading == FILES


async def test_whoever_reads_a_content_waits_for_brokers_that_are_away(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """A worker that meets new rules just then does not end for it."""
    settings = await made(make_own_settings)
    async with running(make_producer(settings, "test")) as producer:
        await write_content(producer, settings, FILES)
    own_broker.kill()
    reading = asyncio.create_task(Contents(settings).read(name_of(FILES)))
    await asyncio.sleep(2 * AGAIN_AFTER_S)
    assert not reading.done()
    own_broker.start()
    assert await reading == FILES


async def test_a_content_that_is_not_what_its_name_says_is_never_used(
    make_settings: MakeSettings,
) -> None:
    """It is told as damaged."""
    settings = await made(make_settings)
    name = name_of(FILES)
    async with running(make_producer(settings, "test")) as producer:
        await write_content(producer, settings, {"channels.yaml": b"other"})
        other = name_of({"channels.yaml": b"other"})
        topic = settings.topic(CONTENTS)
        from engine.kafka.contents import _messages, pack  # the wire format, as a forger would

        for key, value in _messages(other, pack({"channels.yaml": b"other"})):
            forged = key.replace(other.encode(), name.encode())
            await producer.send_and_wait(topic, value, key=forged, partition=0)
    with pytest.raises(DamagedContentError):
        await Contents(settings).read(name)
