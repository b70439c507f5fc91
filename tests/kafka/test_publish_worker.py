"""Publish workers that end in every way: a channel's promises hold over all of them."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerFenced

from engine.kafka.catalogue import QUANTITIES, of_channel
from engine.kafka.channel_owner import ChannelOwner
from engine.kafka.clients import make_producer, running
from engine.kafka.publish import Publishing
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.cluster import PATIENCE_S, make_topics, read_all, worker
from tests.kafka.conftest import MakeSettings
from tests.kafka.processes import Child, until
from tests.kafka.stock import (
    Envelopes,
    Stream,
    last_available,
    prepare,
    until_applied,
    until_available,
)
from tests.oracle.promises import broken_publications

SOME = 300
RATE = 20
CHANNELS = f"""
channels:
  web-shop: {{publish: {{low_stock: 5}}}}
  market: {{publish: {{max_rate: {RATE}/s, min_interval: 2s, max_per_key: 5/day}}}}
"""


def publisher(settings: KafkaSettings, folder: Path, name: str) -> Child:
    """A publish worker."""
    log = folder / f"{name}-{len(list(folder.glob('*.log')))}.log"
    return worker(settings, "publish", log, data=folder / name)


def ledger(settings: KafkaSettings, folder: Path) -> Child:
    """A ledger worker."""
    return worker(settings, "ledger", folder / "ledger.log", data=folder / "ledger")


def serves(child: Child) -> None:
    """Wait until a worker serves a channel."""
    until(lambda: "channel is served" in child.said(), "a channel is served")


async def with_two_channels(settings: KafkaSettings) -> Envelopes:
    """Topics and rules of two channels, one of them held back."""
    await make_topics(settings, ("web-shop", "market"))
    return await prepare(settings, **{"channels.yaml": CHANNELS})


async def test_a_channel_goes_on_when_its_worker_is_killed(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Another one takes it over from the two topics: versions rise, the last value is right."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    keeper = ledger(settings, tmp_path)
    one = publisher(settings, tmp_path, "one")
    await envelopes.movements(stream.opening())
    await until_available(settings, stream)
    for name in ("two", "three"):
        await envelopes.movements(stream.take(SOME), each=5)
        one.kill()
        await envelopes.movements(stream.take(SOME), each=5)
        one = publisher(settings, tmp_path, name)
        serves(one)
    await until_available(settings, stream)
    assert one.stop() == 0, one.said()
    assert keeper.stop() == 0, keeper.said()


async def test_a_publisher_that_stood_still_cannot_publish_any_more(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Another one has the channel by then, and no older value comes after a newer one."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    keeper = ledger(settings, tmp_path)
    one = publisher(settings, tmp_path, "one")
    serves(one)
    await envelopes.movements(stream.opening())
    await until_available(settings, stream)
    await envelopes.movements(stream.take(SOME), each=5)
    one.send(signal.SIGSTOP)
    two = publisher(settings, tmp_path, "two")
    serves(two)
    await envelopes.movements(stream.take(SOME), each=5)
    await until_available(settings, stream)
    one.send(signal.SIGCONT)
    await envelopes.movements(stream.take(SOME), each=5)
    await until_available(settings, stream)
    one.kill()
    assert keeper.stop() == 0, keeper.said()
    two.kill()


async def test_the_promises_of_a_channel_hold_through_a_change_of_its_worker(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """The rate, the interval and the budget of each key are counted on by the next owner."""
    settings, stream = make_settings(), Stream()
    envelopes = await with_two_channels(settings)
    keeper = ledger(settings, tmp_path)
    workers = {name: publisher(settings, tmp_path, name) for name in ("one", "two")}
    await envelopes.movements(stream.opening())
    for name in ("one", "two", "one"):
        await envelopes.movements(stream.take(SOME), each=5)
        await asyncio.sleep(1.5)
        workers[name].kill()
        await envelopes.movements(stream.take(SOME), each=5)
        workers[name] = publisher(settings, tmp_path, name)
        serves(workers[name])
    await until_applied(settings, stream)
    await until_available(settings, stream)
    published = [json.loads(one.value) for one in await read_all(settings, "availability.market")]
    published.sort(key=lambda record: (record["computed_at"], record["sku"]))
    rules = {
        "channels": {
            "market": {
                "publish": {"max_rate": f"{RATE}/s", "min_interval": "2s", "max_per_key": "5/day"}
            }
        }
    }
    assert len(published) > RATE
    assert broken_publications(rules, {"market": published}) == []
    for one in (*workers.values(), keeper):
        one.kill()


async def test_what_somebody_else_writes_into_the_channels_topics_stops_nothing(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """It is told in the log, before and after a restart, and every channel has its numbers."""
    settings, stream = make_settings(), Stream()
    envelopes = await prepare(settings)
    keeper = ledger(settings, tmp_path)
    one = publisher(settings, tmp_path, "one")
    serves(one)
    await envelopes.movements(stream.opening())
    await until_available(settings, stream)
    poison = [
        (b"SKU-999", None),
        (b"SKU-999", b"[1]"),
        (b"", b""),
        (b"SKU-998", b"\xff"),
        (b"\0rules", b"x"),
    ]
    for topic in ("quantities.web-shop", "availability.web-shop"):
        async with running(make_producer(settings, "test")) as producer:
            for key, value in poison:
                await producer.send_and_wait(settings.topic(topic), value, key=key, partition=0)
    until(lambda: one.said().count("cannot be read") >= len(poison), "all of it is told")
    await envelopes.movements(stream.take(SOME))
    await until_applied(settings, stream)
    one.kill()
    one = publisher(settings, tmp_path, "two")
    await envelopes.movements(stream.take(SOME))
    async with asyncio.timeout(PATIENCE_S):
        while await last_available(settings) != stream.available():
            await asyncio.sleep(0.2)
    for child in (one, keeper):
        assert child.stop() == 0, child.said()


async def test_workers_share_the_channels(make_settings: MakeSettings, tmp_path: Path) -> None:
    """Each channel has one worker, and when that ends, the other one."""
    settings, stream = make_settings(), Stream()
    envelopes = await with_two_channels(settings)
    keeper = ledger(settings, tmp_path)
    one = publisher(settings, tmp_path, "one")
    serves(one)
    two = publisher(settings, tmp_path, "two")
    serves(two)
    await envelopes.movements(stream.opening())
    await until_available(settings, stream)
    assert two.stop() == 0, two.said()
    await envelopes.movements(stream.take(SOME))
    await until_available(settings, stream)
    async with asyncio.timeout(PATIENCE_S):
        while len(await last_available(settings, "market")) < stream.skus:
            await asyncio.sleep(0.2)
    for child in (one, keeper):
        assert child.stop() == 0, child.said()


async def test_a_channel_is_taken_up_anew_after_an_error_that_passes(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not while it is being settled whose it is; and never when another worker has it."""
    ends: list[BaseException] = [KafkaTimeoutError(), KafkaTimeoutError(), ProducerFenced()]
    runs = 0

    async def run(_: ChannelOwner) -> None:
        nonlocal runs
        runs += 1
        raise ends.pop(0)

    monkeypatch.setattr(ChannelOwner, "run", run)
    settings = make_settings()
    worker = Publishing(settings, WorkerMetrics())
    topic = settings.topic(of_channel(QUANTITIES, "web-shop"))
    await worker.assign([topic])
    await asyncio.sleep(0)
    worker.check()
    await asyncio.sleep(0)
    assert runs == 2
    await worker.rest()
    worker.check()
    await asyncio.sleep(0)
    assert runs == 2
    await worker.assign([topic])
    worker.check()
    await asyncio.sleep(0)
    assert runs == 3
    with pytest.raises(ProducerFenced):
        worker.check()


async def test_a_worker_with_the_data_folder_of_another_ends_and_the_first_goes_on(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """They would have the same name, and throw each other out; so of each kind."""
    settings = make_settings()
    await with_two_channels(settings)
    for kind in ("publish", "dispatch", "ingest"):
        first = worker(settings, kind, tmp_path / f"{kind}-1.log", data=tmp_path / "data")
        until(lambda child=first: "the worker runs" in child.said(), f"{kind} runs")  # type: ignore[misc]
        second = worker(settings, kind, tmp_path / f"{kind}-2.log", data=tmp_path / "data")
        assert second.process.wait(60) == 1
        assert "another worker uses the data folder" in second.said()
        assert first.stop(signal.SIGTERM) == 0, first.said()
