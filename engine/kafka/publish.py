"""The publish worker: `sellable worker publish`. Workers share the channels among them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.structs import TopicPartition

from engine.kafka.catalogue import ENVELOPES, QUANTITIES, STANDINGS, of_channel
from engine.kafka.channel_owner import ChannelOwner
from engine.kafka.clients import make_member, stop_client
from engine.kafka.contents import Contents
from engine.kafka.folder_lock import locked
from engine.kafka.partitioning import murmur2
from engine.kafka.patience import passes
from engine.kafka.running import (
    check_topics,
    ledger_partitions,
    run_until_stopped,
    telling_refusals,
)
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics, served

KIND: Final = "publish"
LOCK_FILE: Final = f"{KIND}.lock"
POLL_MS: Final = 500


class WholeTopics(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives all partitions of a topic to one member, and as few topics as can be to another one.

    Every topic has an order of preference among the members, by a hash of both (rendezvous hashing,
    D. G. Thaler and C. V. Ravishankar, 1998): when a member goes, only its own topics move.
    """

    name = "sellable-whole-topics"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign topics to members."""
        given: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        topics = {topic for metadata in members.values() for topic in metadata.subscription}
        most = -(-len(topics) // len(members))
        for topic in sorted(topics):
            partitions = cluster.partitions_for_topic(topic)
            if not partitions:
                continue
            free = [member for member in members if len(given[member]) < most]
            chosen = max(free, key=lambda member: murmur2(f"{topic}\0{member}".encode()))
            given[chosen][topic] = sorted(partitions)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), b"")
            for member, topics in given.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What a member tells of itself."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is kept of an assignment."""


def run(settings: KafkaSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        SellableError: a channel cannot go on; the message says why.
    """
    metrics = WorkerMetrics()
    with (
        locked(settings.data, LOCK_FILE),
        served(metrics, settings.metrics_listen),
        telling_refusals(settings),
    ):
        run_until_stopped(lambda stop: publish(settings, metrics, stop))


async def publish(settings: KafkaSettings, metrics: WorkerMetrics, stop: asyncio.Event) -> None:
    """Publish the channels that this worker is given, until stopped.

    Raises:
        SellableError: a channel cannot go on.
        KafkaError: the brokers refuse.
    """
    log = structlog.get_logger("sellable.publish").bind(worker=settings.worker_id)
    partitions = await ledger_partitions(settings, (ENVELOPES,))
    await check_topics(settings, (STANDINGS,))
    worker = Publishing(settings.model_copy(update={"partitions": partitions}), metrics)
    member = make_member(
        settings, KIND, partition_assignment_strategy=(WholeTopics,), max_poll_records=1
    )
    async with AsyncExitStack() as ending:
        ending.push_async_callback(stop_client, member)
        ending.push_async_callback(worker.stop)
        await member.start()
        prefix = settings.topic(of_channel(QUANTITIES, ""))
        member.subscribe(pattern=f"^{re.escape(prefix)}.+$", listener=worker.listener(member))
        log.info("the worker runs", kind=KIND)
        while not stop.is_set():
            # Nothing is ever read through the group: it only tells who owns what.
            await member.getmany(timeout_ms=POLL_MS)
            worker.check()
    log.info("the worker has stopped", kind=KIND)


class Publishing:
    """The channels of one worker, each in a task of its own."""

    def __init__(self, settings: KafkaSettings, metrics: WorkerMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._contents = Contents(settings)
        self._prefix = settings.topic(of_channel(QUANTITIES, ""))
        self._owners: dict[str, tuple[ChannelOwner, asyncio.Task[None]]] = {}
        self._is_resting = False
        self._log = structlog.get_logger("sellable.publish")

    def listener(self, member: AIOKafkaConsumer) -> ConsumerRebalanceListener:
        """What a rebalance of the group tells."""
        return _Listener(self, member)

    async def rest(self) -> None:
        """Publish nothing while it is being settled who owns what."""
        self._is_resting = True
        for owner, _ in self._owners.values():
            await owner.rest()

    async def assign(self, topics: Iterable[str]) -> None:
        """Serve the channels of these topics, and no others."""
        channels = {topic.removeprefix(self._prefix) for topic in topics}
        await self._cancel([channel for channel in self._owners if channel not in channels])
        self._is_resting = False
        for owner, _ in self._owners.values():
            owner.resume()
        for channel in sorted(channels - self._owners.keys()):
            self._serve(channel)

    def check(self) -> None:
        """See that all channels are served; what the brokers could not do for a while is done anew.

        Raises:
            FencedError: another worker owns one by now.
            KafkaError: the brokers refuse.
        """
        for channel, (_, task) in list(self._owners.items()):
            if not task.done():
                continue
            error = task.exception()
            if error is None or not passes(error):
                task.result()
            elif not self._is_resting:  # it may be another worker's by now
                self._log.warning("a channel is taken up anew", channel=channel, error=repr(error))
                self._serve(channel)

    def _serve(self, channel: str) -> None:
        owner = ChannelOwner(self._settings, channel, self._contents, self._metrics)
        self._owners[channel] = owner, asyncio.create_task(owner.run())

    async def stop(self) -> None:
        """Let all channels go, once what is on its way has arrived."""
        await self.rest()
        await self._cancel(list(self._owners))

    async def _cancel(self, channels: Iterable[str]) -> None:
        ended = [self._owners.pop(channel)[1] for channel in channels]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, worker: Publishing, member: AIOKafkaConsumer) -> None:
        self._worker = worker
        self._member = member

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nobody publishes until everybody knows what is whose."""
        await self._worker.rest()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing is read through the group; the channels are served by readers of their own."""
        places: list[Any] = list(assigned)
        self._member.pause(*places)
        await self._worker.assign({place.topic for place in places})
