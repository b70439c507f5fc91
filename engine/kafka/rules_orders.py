"""Rules that somebody wants published: orders to the leading ingest worker, and what it says.

Both go through `control.contents`, each under one key: whoever listens hears what comes from then
on, and compaction leaves one of each. The leader takes one order after the other, so of two that
want to replace the same rules one does.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Final

import msgspec
from aiokafka import TopicPartition

from engine.kafka.catalogue import CONTENTS
from engine.kafka.clients import make_consumer, make_producer, running
from engine.kafka.contents import Files, write_content
from engine.kafka.settings import KafkaSettings

ORDERED: Final = b"ordered/rules"
JUDGED: Final = b"judged/rules"
POLL_MS: Final = 200

CHANGED: Final = "changed"
SETTINGS: Final = "settings"
UNUSABLE: Final = "unusable"


class PublishOrder(msgspec.Struct, frozen=True):
    """Rules to be published: the name of the content with the files that were given.

    `expected` are the fingerprints of which one must be in force before (None: any);
    `settings_too` tells whether settings may be others than those in force.
    """

    order: str
    files: str
    expected: list[str] | None
    settings_too: bool


class Verdict(msgspec.Struct, frozen=True):
    """What came of an order: the content that was announced for it, or why there is none.

    `refusal` is None, `changed`, `settings` or `unusable`, and `reason` says more of the last.
    `before` is the fingerprint of the rules that were in force, `fingerprint` that of the new ones.
    `put`, `kept` and `removed` are files.
    """

    order: str
    before: str
    refusal: str | None = None
    reason: str = ""
    content: str = ""
    fingerprint: str = ""
    put: list[str] = []
    kept: list[str] = []
    removed: list[str] = []


class Hearing:
    """What is written to `control.contents` under one key while it is open."""

    def __init__(self, settings: KafkaSettings, key: bytes) -> None:
        self._key = key
        self._place = TopicPartition(settings.topic(CONTENTS), 0)
        self._consumer = make_consumer(settings, "rules-orders")
        self._ending = AsyncExitStack()

    async def __aenter__(self) -> Hearing:
        async with AsyncExitStack() as undo:
            await undo.enter_async_context(running(self._consumer))
            self._consumer.assign([self._place])
            ends = await self._consumer.end_offsets([self._place])
            self._consumer.seek(self._place, ends[self._place])
            self._ending = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ending.aclose()

    async def heard(self, wait_ms: int = 0) -> Sequence[bytes]:
        """What has come since the last time."""
        found = await self._consumer.getmany(timeout_ms=wait_ms)
        return [
            record.value
            for record in found.get(self._place, ())
            if record.key == self._key and record.value is not None
        ]


async def order_rules(
    settings: KafkaSettings, files: Files, expected: Collection[str] | None, settings_too: bool
) -> Verdict:
    """Have rules published by the leading ingest worker, and wait for what it says.

    Raises:
        KafkaError: the brokers refuse.
    """
    async with (
        Hearing(settings, JUDGED) as judged,
        running(make_producer(settings, "rules-orders")) as producer,
    ):
        name = await write_content(producer, settings, files)
        wanted = None if expected is None else sorted(expected)
        order = PublishOrder(uuid.uuid4().hex, name, wanted, settings_too)
        await producer.send_and_wait(
            settings.topic(CONTENTS), msgspec.msgpack.encode(order), key=ORDERED, partition=0
        )
        while True:
            for value in await judged.heard(POLL_MS):
                verdict = msgspec.msgpack.decode(value, type=Verdict)
                if verdict.order == order.order:
                    return verdict
