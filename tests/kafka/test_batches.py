"""What aiokafka is kept from while its reader is busy, asked of its fetcher, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher as fetching
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from engine.kafka.batches import read_batches, read_whole_records

READ, WAITS = TopicPartition("t", 0), TopicPartition("t", 1)
ONLY_BROKER = 7
MUCH_LATER_S = 60.0


def one_message() -> MemoryRecords:
    """A record batch as it comes from a broker."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=DefaultRecordBatch.CODEC_NONE,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000,
    )
    builder.append(0, timestamp=0, key=None, value=b"{}", headers=[])
    return MemoryRecords(bytes(builder.build()))


async def fetcher_of_two_partitions() -> tuple[fetching.Fetcher, Any]:
    """A fetcher that never runs by itself, and its assignment: both partitions of one broker."""
    cluster = SimpleNamespace(leader_for_partition=lambda _: ONLY_BROKER)
    client = SimpleNamespace(
        _loop=asyncio.get_running_loop(), cluster=cluster, _metadata_max_age_ms=MUCH_LATER_S
    )
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user({READ, WAITS})
    assignment = subscriptions.subscription.assignment
    for partition in (READ, WAITS):
        assignment.state_value(partition).reset_to(0)
    found = fetching.Fetcher(client, subscriptions)
    found._fetch_task.cancel()
    return found, assignment


def fetches(fetcher: fetching.Fetcher, assignment: Any) -> list[list[int]]:
    """The partitions that it would ask brokers for now, one list a request."""
    requests = fetcher._get_actions_per_node(assignment)[0]
    return [
        sorted(partition for _, asked in request.topics for partition, *_ in asked)
        for _, request in requests
    ]


@pytest.mark.parametrize("way", [read_batches, read_whole_records])
async def test_nothing_is_fetched_ahead_while_records_of_the_same_broker_wait_for_their_reader(
    way: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long they wait; once they are read, both partitions are asked for together."""
    fetcher, assignment = await fetcher_of_two_partitions()
    consumer = SimpleNamespace(_fetcher=fetcher)
    way(consumer)
    assert fetches(fetcher, assignment) == [[0, 1]]

    records = fetching.PartitionRecords(WAITS, one_message(), [], 0, None, None, True, 0)
    fetcher._records[WAITS] = fetching.FetchResult(
        WAITS,
        assignment=assignment,
        partition_records=records,
        backoff=fetcher._prefetch_backoff,
    )
    now = fetching.time.monotonic()
    monkeypatch.setattr(fetching.time, "monotonic", lambda: now + MUCH_LATER_S)
    assert fetches(fetcher, assignment) == []

    assert list(await fetcher.fetched_records([WAITS])) == [WAITS]
    assert fetches(fetcher, assignment) == [[0, 1]]
