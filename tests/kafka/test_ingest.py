"""The ingest worker on a real broker: nothing lost, nothing judged, nothing out of order."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from structlog.testing import capture_logs

from engine.contracts.limits import MAX_MOVEMENT_BYTES
from engine.kafka.catalogue import wanted
from engine.kafka.clients import make_admin, make_producer, running
from engine.kafka.envelopes import ControlEntry
from engine.kafka.partitioning import partition_of
from engine.kafka.routing import MAX_CARRIED_BYTES
from engine.kafka.running import MissingTopicsError, WrongPartitionsError
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from engine.rules.mistakes import RulesError
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.broker import Broker
from tests.kafka.cluster import (
    PATIENCE_S,
    Log,
    ingesting,
    make_topics,
    movement,
    send,
    worker,
    write_rules,
)
from tests.kafka.conftest import MakeSettings

AWAY_S = 30.0
POISON = [
    None,
    b"",
    b"   ",
    b"not json",
    b"\xff\xfe\x00",
    b'{"sku":"A"',
    b'{"sku":5}',
    b'{"sku":"\\ud800"}',
    b"[" * 100_000,
    b'{"sku":"A","note":"' + b"x" * MAX_MOVEMENT_BYTES + b'"}',
]


async def started(settings: KafkaSettings) -> KafkaSettings:
    """Settings of an engine with rules and topics."""
    write_rules(settings.rules)
    await make_topics(settings)
    return settings


def payloads(taken: dict[int, list[tuple[str, int, bytes]]]) -> list[bytes]:
    """The payloads of all partitions, sorted."""
    return sorted(payload for found in taken.values() for _, _, payload in found)


async def test_movements_go_to_the_partition_of_their_sku_in_the_order_of_their_source(
    make_settings: MakeSettings,
) -> None:
    """However they are keyed; and every partition meets rules before the first movement."""
    settings = await started(make_settings())
    await send(settings, "movements.pos", [movement(each) for each in range(3_000)])
    await send(settings, "reservations", [movement(each) for each in range(3_000, 4_000)])
    metrics = WorkerMetrics()
    async with ingesting(settings, metrics), Log(settings) as log:
        taken = await log.until(4_000)
    for partition, found in taken.items():
        assert isinstance(log.entries[partition][0], ControlEntry)
        for source in {source for source, _, _ in found}:
            offsets = [offset for other, offset, _ in found if other == source]
            assert offsets == sorted(offsets)
        for _, _, payload in found:
            sku = payload.split(b'"sku": "')[1][:7].decode()
            assert partition_of(sku, settings.partitions) == partition
    assert payloads(taken) == sorted(movement(each) for each in range(4_000))
    assert log.sent() == 4_000
    assert metrics.registry.get_sample_value("sellable_unrouted_total") == 0.0
    assert (metrics.registry.get_sample_value("sellable_envelopes_total") or 0) >= 8


async def test_what_is_no_movement_goes_on_byte_for_byte_for_the_ledger_to_refuse(
    make_settings: MakeSettings,
) -> None:
    """Empty, broken, oversize, not UTF-8: each once, and movements before and after go on too."""
    settings = await started(make_settings())
    sent = [movement(1), *POISON, movement(2)]
    await send(settings, "movements.pos", sent)
    metrics = WorkerMetrics()
    async with ingesting(settings, metrics), Log(settings) as log:
        taken = await log.until(len(sent))
    assert payloads(taken) == sorted(value or b"" for value in sent)
    assert metrics.registry.get_sample_value("sellable_unrouted_total") == len(POISON) - 1


async def test_a_message_that_is_longer_than_any_topic_of_ours_takes_goes_on_cut(
    make_settings: MakeSettings,
) -> None:
    """A topic that somebody else made may allow it; it is oversize in any case."""
    settings = await started(make_settings())
    topic = NewTopic(
        name=settings.topic("movements.legacy"),
        num_partitions=1,
        replication_factor=1,
        topic_configs={"max.message.bytes": "16000000"},
    )
    async with running(make_producer(settings, "test", max_request_size=16_000_000)) as producer:
        admin = make_admin(settings)
        await admin.start()
        await admin.create_topics([topic])
        await admin.close()
        await producer.send_and_wait(topic.name, b"\x01" * 9_000_000)
        await producer.send_and_wait(topic.name, movement(1))
    async with ingesting(settings), Log(settings) as log:
        taken = await log.until(2)
    assert payloads(taken) == [b"\x01" * MAX_CARRIED_BYTES, movement(1)]


async def test_a_new_topic_of_movements_is_read_without_a_restart_and_outcomes_are_not(
    make_settings: MakeSettings,
) -> None:
    """`movements.outcomes` is our own, and would come around again and again."""
    settings = await started(make_settings())
    await send(settings, "movements.outcomes", [b"{}"])
    async with ingesting(settings), Log(settings) as log:
        await send(settings, "movements.pos", [movement(1)])
        await log.until(1)
        await make_topics(settings.model_copy(update={"sources": ("kiosk",)}))
        await send(settings, "movements.kiosk", [movement(2)])
        taken = await log.until(2)
    assert payloads(taken) == [movement(1), movement(2)]


async def test_only_committed_messages_of_a_transaction_are_read(
    make_settings: MakeSettings,
) -> None:
    """What its producer took back was never said."""
    settings = await started(make_settings())
    topic = settings.topic("movements.pos")
    async with running(
        make_producer(settings, "test", transactional_id=settings.topic("t"))
    ) as producer:
        for number, keep in enumerate([True, False, True]):
            await producer.begin_transaction()
            for each in range(10):
                await producer.send(topic, movement(number * 10 + each), partition=0)
            await (producer.commit_transaction() if keep else producer.abort_transaction())
    await send(settings, "movements.pos", [movement(99)], partition=0)
    async with ingesting(settings), Log(settings) as log:
        taken = await log.until(21)
    assert payloads(taken) == sorted(movement(each) for each in [*range(10), *range(20, 30), 99])


async def test_a_worker_that_is_killed_loses_nothing_and_what_it_repeats_is_recognised(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """SIGKILL in the middle of the flow, three times."""
    settings = await started(make_settings())
    count = 60_000
    sending = asyncio.create_task(
        send(settings, "movements.pos", (movement(each) for each in range(count)))
    )
    async with Log(settings) as log:
        for kill in range(3):
            child = worker(settings, "ingest", tmp_path / f"ingest-{kill}.log")
            reached = min(log.sent() + count // 5, count)
            async with asyncio.timeout(PATIENCE_S):
                while log.sent() < reached and child.process.poll() is None:
                    await log.read()
            child.kill()
        await sending
        last = worker(settings, "ingest", tmp_path / "ingest-last.log")
        taken = await log.until(count)
        # Those that were killed may have left it nothing to do: it may not even have begun.
        async with asyncio.timeout(PATIENCE_S):
            while "the worker runs" not in last.said():
                await asyncio.sleep(0.05)
        assert last.stop(signal.SIGTERM) == 0, last.said()
    assert payloads(taken) == sorted(movement(each) for each in range(count))


async def test_a_worker_that_was_stopped_in_good_order_repeats_nothing(
    make_settings: MakeSettings,
) -> None:
    """Whatever was read is in the log, and committed."""
    settings = await started(make_settings())
    await send(settings, "movements.pos", [movement(each) for each in range(5_000)])
    async with Log(settings) as log:
        async with ingesting(settings):
            await log.until(1)
        async with ingesting(settings):
            taken = await log.until(5_000)
    assert len(payloads(taken)) == log.sent() == 5_000


async def test_workers_come_and_go_and_nothing_is_lost(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Partitions change hands behind what is in the log already."""
    settings = await started(make_settings())
    other = settings.model_copy(update={"data": tmp_path / "other"})
    async with Log(settings) as log, ingesting(settings):
        await send(settings, "movements.pos", [movement(each) for each in range(2_000)])
        async with ingesting(other):
            more = [movement(each) for each in range(2_000, 4_000)]
            await send(settings, "movements.pos", more)
            await log.until(4_000)
        more = [movement(each) for each in range(4_000, 6_000)]
        await send(settings, "movements.pos", more)
        taken = await log.until(6_000)
    assert payloads(taken) == sorted(movement(each) for each in range(6_000))


async def test_a_broker_that_is_away_for_half_a_minute_costs_nothing_but_time(
    own_broker: Broker, make_own_settings: MakeSettings
) -> None:
    """The worker goes on by itself, in order, with what it had read before."""
    settings = await started(make_own_settings(request_timeout_ms=5_000))
    async with ingesting(settings) as task, Log(settings) as log:
        await send(settings, "movements.pos", [movement(each) for each in range(1_000)])
        await log.until(1_000)
        sending = asyncio.create_task(
            send(settings, "movements.pos", (movement(each) for each in range(1_000, 20_000)))
        )
        await asyncio.sleep(0.5)
        own_broker.kill()
        await asyncio.sleep(AWAY_S)
        own_broker.start()
        await sending
        taken = await log.until(20_000)
        assert not task.done()
    assert payloads(taken) == sorted(movement(each) for each in range(20_000))


async def test_a_topic_that_was_made_anew_is_told_from_the_one_before(
    make_settings: MakeSettings,
) -> None:
    """Its offsets start again: they go under another source, so that none is taken for old."""
    settings = await started(make_settings())
    topic = settings.topic("movements.pos")
    async with Log(settings) as log:
        async with ingesting(settings):
            await send(settings, "movements.pos", [movement(each) for each in range(300)])
            await log.until(300)
        admin = make_admin(settings)
        await admin.start()
        await admin.delete_topics([topic])
        await admin.close()
        async with asyncio.timeout(PATIENCE_S):
            while topic not in await create(settings, wanted(settings, [])):
                await asyncio.sleep(0.2)
        async with ingesting(settings):
            await send(settings, "movements.pos", [movement(each) for each in range(300, 330)])
            taken = await log.until(330)
    assert len(payloads(taken)) == 330
    sources = {source for found in taken.values() for source, _, _ in found}
    assert len({source.partition("#")[2] for source in sources}) > 1


async def test_without_topics_the_worker_says_how_to_make_them(
    make_settings: MakeSettings,
) -> None:
    """And does not start."""
    settings = make_settings()
    write_rules(settings.rules)
    with pytest.raises(MissingTopicsError, match="sellable topics create"):
        async with ingesting(settings):
            pass


async def test_another_number_of_partitions_than_the_ledger_has_is_refused(
    make_settings: MakeSettings,
) -> None:
    """A SKU's partition would be another one."""
    settings = await started(make_settings())
    with pytest.raises(WrongPartitionsError):
        async with ingesting(settings.model_copy(update={"partitions": 4})):
            pass


async def test_broken_rules_are_told_at_the_start(make_settings: MakeSettings) -> None:
    """Before anything is read."""
    settings = await started(make_settings())
    write_rules(settings.rules, **{"a.rules.yaml": "rules: [{name: x}]"})
    with capture_logs(), pytest.raises(RulesError):
        async with ingesting(settings):
            pass
