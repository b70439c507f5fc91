"""Ledger workers that end in every way, on a real broker: nothing is lost, nothing taken twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import CommitFailedError

from engine.embedded.folder import open_for_writing
from engine.kafka.catalogue import CHANGELOG, ENVELOPES, wanted
from engine.kafka.clients import make_admin, make_consumer, running
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from engine.stores.base import StoreLockedError
from tests.kafka.cluster import PATIENCE_S, read_all, worker
from tests.kafka.conftest import MakeSettings
from tests.kafka.processes import Child, until
from tests.kafka.stock import Stream, check, prepare, stock_rows, told, until_applied

SOME = 400


def ledger(settings: KafkaSettings, folder: Path, name: str) -> Child:
    """A ledger worker with a data folder of its own."""
    log = folder / f"{name}-{len(list(folder.glob('*.log')))}.log"
    return worker(settings, "ledger", log, data=folder / name)


def serves(child: Child) -> None:
    """Wait until a worker serves a partition."""
    until(lambda: "partition is served" in child.said(), "a partition is served")


async def test_a_worker_that_is_killed_goes_on_where_it_was(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """With its data folder and without it: a kill loses nothing and takes nothing twice."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    serves(one)
    for without_folder in (False, True, False):
        await envelopes.movements(stream.take(SOME), each=7)
        await asyncio.sleep(0.2)
        one.kill()
        await envelopes.movements(stream.take(SOME))
        if without_folder:
            shutil.rmtree(tmp_path / "one" / "ledger")
        one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    await check(settings, stream)
    assert one.stop() == 0, one.said()


async def test_a_worker_that_stood_still_cannot_write_any_more(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Another one took over meanwhile: the brokers refuse what the first had on its way."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    serves(one)
    await envelopes.movements(stream.take(SOME), each=2)
    one.send(signal.SIGSTOP)
    two = ledger(settings, tmp_path, "two")
    serves(two)
    await envelopes.movements(stream.take(SOME), each=7)
    one.send(signal.SIGCONT)
    await envelopes.movements(stream.take(SOME), each=7)
    await until_applied(settings, stream)
    await check(settings, stream)
    one.kill()
    two.kill()
    shutil.rmtree(tmp_path / "two" / "ledger")
    two = ledger(settings, tmp_path, "two")
    await check(settings, stream)
    assert two.stop() == 0, two.said()


async def test_a_killed_worker_comes_back_before_its_session_has_ended(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Its name is its own, so nobody waits for the old session, here longer than the test may."""
    settings, stream = (
        make_settings(session_timeout_ms=600_000, request_timeout_ms=600_000),
        Stream(),
    )
    envelopes = await prepare(settings)
    one = ledger(settings, tmp_path, "one")
    await envelopes.movements(stream.opening())
    serves(one)
    one.kill()
    one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    assert one.stop() == 0, one.said()


async def test_what_the_group_committed_does_not_count(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """It may be ahead of the state: the marker in the table says what comes next."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    assert one.stop() == 0, one.said()
    await envelopes.movements(stream.take(SOME))
    await commit_the_end(settings)
    one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    await check(settings, stream)
    assert one.stop() == 0, one.said()


async def commit_the_end(settings: KafkaSettings) -> None:
    """Have the group of the ledger commit the ends of all partitions of the log."""
    topic = settings.topic(ENVELOPES)
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with running(
        make_consumer(settings, "test", group_id=settings.group("ledger"))
    ) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        async with asyncio.timeout(PATIENCE_S):
            while not await commits(consumer, ends):
                await asyncio.sleep(0.2)


async def commits(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    """Commit; False as long as the group has a member, whose session has to end first."""
    try:
        await consumer.commit(ends)
    except CommitFailedError:
        return False
    return True


async def test_a_worker_stops_where_envelopes_are_missing(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Before it takes anything more, and with the evidence."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    assert one.stop() == 0, one.said()
    await envelopes.movements(stream.take(SOME))
    await delete_envelopes(settings)
    one = ledger(settings, tmp_path, "one")
    assert one.process.wait(60) == 1
    assert "goes on at envelope" in one.said()


async def delete_envelopes(settings: KafkaSettings) -> None:
    """Take everything out of the log, as too short a retention does."""
    topic = settings.topic(ENVELOPES)
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with running(make_consumer(settings, "test")) as consumer:
        ends = await consumer.end_offsets(places)
    admin = make_admin(settings)
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(end) for place, end in ends.items()})
    finally:
        await admin.close()


async def test_two_workers_cannot_use_one_data_folder(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """The second one says so and ends, and the first one goes on."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    serves(one)
    other = worker(
        settings, "ledger", tmp_path / "other.log", data=tmp_path / "one", instance_id="other"
    )
    assert other.process.wait(60) == 1
    assert "another worker uses" in other.said()
    with pytest.raises(StoreLockedError, match="on Kafka uses this folder"):
        open_for_writing(tmp_path / "one")
    await until_applied(settings, stream)
    assert one.stop() == 0, one.said()


async def test_what_cannot_be_read_becomes_an_exception_and_stops_nothing(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Envelopes of other makers, empty and damaged ones, and a payload of almost a MiB."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    one = ledger(settings, tmp_path, "one")
    poison = [None, b"", b"\x00", b"\x01", b"\x01\x90", b"\x02more", b"\x03\xff", b"\x09" * 500_000]
    for number, value in enumerate(poison):
        await envelopes.write(number % settings.partitions, value)
    await envelopes.movements([b"x" * 900_000])
    await envelopes.movements(stream.opening())
    await until_applied(settings, stream)
    async with asyncio.timeout(PATIENCE_S):
        while len(exceptions := await codes_by_exception(settings)) < len(poison) + 1:
            await asyncio.sleep(0.1)
    assert len(exceptions) == len(poison) + 1
    assert set(exceptions.values()) == {"malformed", "oversize"}
    assert await stock_rows(settings) == dict(stream.stock)
    assert one.stop() == 0, one.said()


async def test_a_changelog_that_was_compacted_restores_the_same_state(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Most of its records are gone, and every key has its last one."""
    settings, stream = make_settings(), Stream(skus=5)
    await compact_at_once(settings)
    envelopes = await prepare(settings)
    await envelopes.movements(stream.opening())
    one = ledger(settings, tmp_path, "one")
    for _ in range(12):  # envelopes that come while others wait are committed with them
        await envelopes.movements(stream.take(SOME // 3), each=5)
        await until_applied(settings, stream)
    one.kill()
    await until_compacted(settings)
    shutil.rmtree(tmp_path / "one" / "ledger")
    await envelopes.movements(stream.take(SOME))
    one = ledger(settings, tmp_path, "one")
    await until_applied(settings, stream)
    await check(settings, stream)
    assert one.stop() == 0, one.said()


async def compact_at_once(settings: KafkaSettings) -> None:
    """Let the brokers compact the changelog as soon as there is anything to compact."""
    soon = {
        "segment.ms": "300",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "1",
        "max.compaction.lag.ms": "300",
    }
    name = settings.topic(CHANGELOG)
    (topic,) = [topic for topic in wanted(settings, []) if topic.name == name]
    await create(settings, [replace(topic, config={**topic.config, **soon})])


async def until_compacted(settings: KafkaSettings) -> None:
    """Wait until more than half of what was written to the changelog is gone."""
    topic = settings.topic(CHANGELOG)
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with running(make_consumer(settings, "test")) as consumer:
        ends = await consumer.end_offsets(places)
    async with asyncio.timeout(PATIENCE_S):
        while len(await read_all(settings, CHANGELOG)) > sum(ends.values()) / 2:
            await asyncio.sleep(0.2)


async def codes_by_exception(settings: KafkaSettings) -> dict[str, str]:
    """The codes of all exceptions."""
    return {record["exception"]: record["code"] for record in await told(settings, "exceptions")}
