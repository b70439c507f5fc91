"""Sending the lines of a file or a pipe to a topic, one message each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from aiokafka.errors import KafkaError

from engine.contracts.errors import UsageError
from engine.kafka.catalogue import TOPICS, Direction
from engine.kafka.clients import make_producer, running
from engine.kafka.running import check_topics
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError

UNDER_WAY: Final = 10_000
"""Messages that may be under way at once."""


class NotIncomingError(UsageError):
    """Messages would be sent to a topic that only the engine writes."""

    title = "Not an incoming topic"


async def send_lines(settings: KafkaSettings, topic: str, lines: Iterable[bytes]) -> int:
    """Send each line that is not blank, without a key; returns how many when all are durable.

    Raises:
        NotIncomingError: only the engine writes that topic.
        MissingTopicsError: there is no such topic.
        BrokersError: the brokers do not take them.
    """
    if not is_incoming(topic):
        raise NotIncomingError(
            f"nobody but the engine writes {topic}",
            "Send to movements.NAME, reservations or observations.",
        )
    await check_topics(settings, (topic,))
    sent = 0
    under_way: deque[asyncio.Future[object]] = deque()
    try:
        async with running(
            make_producer(settings, "send", linger_ms=settings.linger_ms)
        ) as producer:
            for line in lines:
                payload = line.strip(b"\r\n")
                if not payload.strip():
                    continue
                under_way.append(await producer.send(settings.topic(topic), payload))
                sent += 1
                while len(under_way) >= UNDER_WAY:
                    await under_way.popleft()
            await asyncio.gather(*under_way)
    except KafkaError as error:
        raise BrokersError(
            f"the brokers {settings.brokers} did not take the messages: {error!r}",
            "Send the file again: what was taken is dropped as duplicate.",
        ) from error
    return sent


def is_incoming(topic: str) -> bool:
    """Whether others write a topic of this name."""
    incoming = [each for each in TOPICS if each.direction is Direction.INCOMING]
    ours = {each.name for each in TOPICS if each.direction is not Direction.INCOMING}
    return topic not in ours and any(
        topic == each.name
        or (each.parameter is not None and topic.startswith(each.name.partition("{")[0]))
        for each in incoming
    )
