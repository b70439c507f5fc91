"""The partitions of incoming topics that this worker reads: from where, and how far.

A topic may be deleted and made anew under the same name; its offsets then start again. So that the
ledger does not take new messages for old ones, each partition has an *incarnation*: a number that
is committed beside the offset and goes with every run.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from engine.kafka.catalogue import OBSERVATIONS
from engine.kafka.lanes import Source
from engine.kafka.patience import passes, patiently

UNKNOWN_OFFSET: Final = -1
MS_PER_SECOND: Final = 1_000

Settle = Callable[[frozenset[TopicPartition]], Awaitable[None]]
Lead = Callable[[bool], Awaitable[None]]


class Sources(ConsumerRebalanceListener):  # type: ignore[misc]  # it has no types
    """What is assigned to this worker; `failure` is set when it could not be prepared.

    `settle` is awaited before partitions are given away. `leader` is the partition whose owner
    leads: it is not read, `lead` is awaited with whether this worker has it.
    """

    def __init__(
        self,
        member: AIOKafkaConsumer,
        prefix: str,
        leader: TopicPartition,
        settle: Settle,
        lead: Lead,
    ) -> None:
        self.failure: Exception | None = None
        self.lost_messages = 0
        self._member = member
        self._prefix = prefix
        self._leader = leader
        self._settle = settle
        self._lead = lead
        self._known: dict[TopicPartition, Source] = {}
        self._read: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._log = structlog.get_logger("sellable.ingest")

    def get(self, place: TopicPartition) -> Source | None:
        """The source at a place, None while it is not prepared."""
        return self._known.get(place)

    def all(self) -> Collection[TopicPartition]:
        """Every place that is prepared."""
        return self._known.keys()

    def took(self, place: TopicPartition, offset: int) -> None:
        """Note that everything up to an offset is on its way."""
        self._read[place] = offset + 1

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Bring what is on its way into the log, so that the next worker starts behind it."""
        try:
            places = frozenset(revoked) & self._known.keys()
            if places:
                await self._settle(places)
            for place in places:
                self._forget(place)
            if self._leader in revoked:
                await self._lead(False)
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it; the worker stops
            self.failure = error

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Find out where to start."""
        try:
            if self._leader in assigned:
                self._member.pause(self._leader)
                self._member.seek(self._leader, 0)
            await self.prepare([place for place in assigned if place != self._leader])
            await self._lead(self._leader in assigned)
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it; the worker stops
            self.failure = error

    async def prepare(self, places: Iterable[TopicPartition]) -> None:
        """Start each place where its messages that are not in the log yet begin.

        Raises:
            KafkaError: the brokers refuse.
        """
        asked = list(places)
        if asked:
            await patiently(partial(self._prepare, asked))

    async def _prepare(self, asked: Sequence[TopicPartition]) -> None:
        stored = await self._member._coordinator.fetch_committed_offsets(asked)
        first = await self._member.beginning_offsets(asked)
        after = await self._member.end_offsets(asked)
        starts: dict[TopicPartition, tuple[Source, int]] = {}
        fresh: dict[TopicPartition, OffsetAndMetadata] = {}
        for place in asked:
            found = stored.get(place) or OffsetAndMetadata(UNKNOWN_OFFSET, "")
            start, incarnation = self._start(place, found, first[place], after[place])
            if str(incarnation) != found.metadata or start != found.offset:
                fresh[place] = OffsetAndMetadata(start, str(incarnation))
            topic = place.topic.removeprefix(self._prefix)
            starts[place] = Source(place, topic, incarnation, topic == OBSERVATIONS), start
        # The incarnation is kept before the first message goes on under it.
        if fresh:
            try:
                await self._member.commit(fresh)
            except (CommitFailedError, IllegalStateError):
                return  # they have been given away meanwhile: whoever has them now finds out
        for place, (source, start) in starts.items():
            self._known[place] = source
            self._read[place] = self._committed[place] = start
            self._member.seek(place, start)

    async def commit(self, open_offsets: Iterable[tuple[TopicPartition, int]]) -> None:
        """Commit for each source where what is not in the log yet starts."""
        through = dict(self._read)
        for place, offset in open_offsets:
            if place in through:
                through[place] = min(through[place], offset)
        moved = {
            place: OffsetAndMetadata(offset, str(self._known[place].incarnation))
            for place, offset in through.items()
            if offset != self._committed[place]
        }
        if not moved:
            return
        try:
            await self._member.commit(moved)
        except (CommitFailedError, IllegalStateError):
            return  # they have been given away meanwhile: who has them now reads them again
        except KafkaError as error:
            if not passes(error):
                raise
            self._log.warning("positions could not be committed, trying again", error=str(error))
            return
        self._committed.update({place: each.offset for place, each in moved.items()})

    def _start(
        self, place: TopicPartition, stored: OffsetAndMetadata, first: int, after: int
    ) -> tuple[int, int]:
        """Where to start, and in which incarnation."""
        if stored.offset == UNKNOWN_OFFSET or not stored.metadata.isdigit():
            return first, _now_ms()
        if stored.offset > after:
            self._log.warning(
                "a topic was deleted and made anew, it is read from its start",
                topic=place.topic,
                partition=place.partition,
            )
            return first, _now_ms()
        if stored.offset < first:
            self.lost_messages += first - stored.offset
            self._log.error(
                "messages were deleted before they were read: check the retention of the topic",
                topic=place.topic,
                partition=place.partition,
                messages=first - stored.offset,
            )
            return first, int(stored.metadata)
        return stored.offset, int(stored.metadata)

    def _forget(self, place: TopicPartition) -> None:
        for kept in (self._known, self._read, self._committed):
            kept.pop(place, None)


def _now_ms() -> int:
    return int(time.time() * MS_PER_SECOND)
