"""How fresh answers are: up to when movements are in the copy, and publications in the read model.

Four times a second it is noted where the topics end. Once what is read has come that far, answers
hold all that was there at the time of the note; so `as_of` stands still exactly as long as the
ledger, the publish workers, the dispatch workers or this process are behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import RedisError

from engine.api.kafka.replica import Replica
from engine.api.runtime import Freshness
from engine.contracts.answers import ChannelStanding
from engine.contracts.instants import SECOND, format_instant
from engine.kafka.catalogue import AVAILABILITY, ENVELOPES, STANDINGS, of_channel
from engine.kafka.channel_standing import ChannelTold, read_standing
from engine.kafka.clients import make_consumer, stop_client
from engine.kafka.dispatch import name_of_place
from engine.kafka.read_model import ReadModel
from engine.kafka.settings import KafkaSettings
from engine.rules.ruleset import RuleSet

LOOK_EVERY_S: Final = 0.25

Ends = Mapping[TopicPartition, int]


class _Note(NamedTuple):
    """Where topics ended at an instant."""

    at: int
    ends: Ends


class Progress:
    """Watches how far everything is, for one process; `standings` are those of the channels."""

    def __init__(self, settings: KafkaSettings, replica: Replica, model: ReadModel) -> None:
        self._settings = settings
        self._replica = replica
        self._model = model
        self._consumer: AIOKafkaConsumer = make_consumer(settings, "progress")
        self._envelopes = _places(settings, ENVELOPES)
        self._told: dict[str, ChannelTold] = {}
        self._taking: _Note | None = None
        self._publishing: _Note | None = None
        self._freshness = Freshness(None, None)
        self.standings: Sequence[ChannelStanding] = ()
        self._log = structlog.get_logger("sellable.api")

    @property
    def freshness(self) -> Freshness:
        """Up to when everything is there."""
        return self._freshness

    def _channels(self, rules: RuleSet) -> list[ChannelStanding]:
        """How far each channel is behind, by what its publish worker has told."""
        now = time.time_ns() // 1_000
        found = []
        for channel in rules.channels:
            told = self._told.get(channel.name, ChannelTold(channel.name))
            oldest = told.oldest
            found.append(
                ChannelStanding(
                    channel=channel.name,
                    granularity="location" if channel.by_location else "sku",
                    retired=channel.retired,
                    publications=told.publications,
                    pending=told.pending,
                    oldest_pending_since=None if oldest is None else format_instant(oldest),
                    lag_seconds=0.0 if oldest is None else max(0, now - oldest) / SECOND,
                )
            )
        return found

    async def open(self) -> None:
        """Begin to watch.

        Raises:
            KafkaError: the brokers refuse.
        """
        await self._consumer.start()
        place = TopicPartition(self._settings.topic(STANDINGS), 0)
        self._consumer.assign([place])
        await self._consumer.seek_to_beginning(place)

    async def close(self) -> None:
        """Let go of the brokers."""
        await stop_client(self._consumer)

    async def watch(self, rules: RuleSet) -> None:
        """Look once: what publish workers tell, and how far everything is.

        Raises:
            KafkaError: the brokers refuse.
        """
        await self._hear()
        self.standings = self._channels(rules)
        await self._look_at_stock()
        try:
            await self._look_at_publications(rules)
        except RedisError as error:
            self._log.warning("Redis does not answer", error=str(error))
        await asyncio.sleep(LOOK_EVERY_S)

    async def _hear(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=0)).values():
            for record in records:
                try:
                    told = read_standing(record.value or b"")
                except msgspec.MsgspecError as error:
                    self._log.error("a channel's standing cannot be read", error=str(error))
                    continue
                self._told[told.channel] = told

    async def _look_at_stock(self) -> None:
        note = self._taking
        if note is None:
            now = time.time_ns() // 1_000
            note = self._taking = _Note(now, await self._consumer.end_offsets(self._envelopes))
        ledgers = self._replica.ledgers
        if all(ledgers[place.partition].applied + 1 >= end for place, end in note.ends.items()):
            self._freshness = self._freshness._replace(taken=note.at)
            self._taking = None

    async def _look_at_publications(self, rules: RuleSet) -> None:
        note = self._publishing
        if note is None:
            note = await self._note_publications(rules)
            if note is None:
                return
        places = list(note.ends)
        stored = await self._model.positions([name_of_place(place) for place in places])
        if all((at or 0) >= note.ends[place] for place, at in zip(places, stored, strict=True)):
            self._freshness = self._freshness._replace(published=note.at)
            self._publishing = None

    async def _note_publications(self, rules: RuleSet) -> _Note | None:
        """Where availability ends, by a tick of which every channel has told all."""
        told = [self._told.get(channel.name) for channel in rules.channels]
        ticks = [one.tick for one in told if one is not None and one.tick is not None]
        if len(ticks) < len(rules.channels) or not ticks or self._freshness.taken is None:
            return None
        at = min(*ticks, self._freshness.taken)
        places = [
            place
            for channel in rules.channels
            for place in _places(self._settings, of_channel(AVAILABILITY, channel.name))
        ]
        self._publishing = _Note(at, await self._consumer.end_offsets(places))
        return self._publishing


def _places(settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    name = settings.topic(topic)
    return [TopicPartition(name, number) for number in range(settings.partitions)]
