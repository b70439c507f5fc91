"""A stream of stock movements whose end is known beforehand, and what a cluster made of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.kafka.catalogue import ENVELOPES, SNAPSHOTS
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import write_content
from engine.kafka.envelopes import ControlEntry, Run, encode_control, encode_movements
from engine.kafka.orders import order_snapshot
from engine.kafka.partitioning import partition_of
from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import PATIENCE_S, make_topics, read_all, write_rules

LOCATIONS = ("S-1", "S-2", "W-1")
OPENING_UNITS = 1_000
CHANNEL = "web-shop"
KINDS = (("sale", -1), ("return", 1), ("receipt", 1), ("adjustment", -1))
DUPLICATES = 0.05
MALFORMED = 0.01


@dataclass
class Stream:
    """Movements in order of being sent, and the stock they leave behind whatever the order is."""

    skus: int = 40
    seed: int = 1
    stock: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    identities: set[str] = field(default_factory=set)
    malformed: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._number = 0
        self._sent: list[bytes] = []

    def opening(self) -> list[bytes]:
        """A receipt for every key, so that no stock ever falls below 0."""
        return [
            self._movement("receipt", f"SKU-{sku:03}", location, OPENING_UNITS, 1)
            for sku in range(self.skus)
            for location in LOCATIONS
        ]

    def take(self, count: int) -> list[bytes]:
        """So many lines more, among them some sent twice and some that are no movements."""
        return [self._line() for _ in range(count)]

    def _line(self) -> bytes:
        chance = self._chance
        if chance.random() < MALFORMED:
            self.malformed += 1
            return b'{"id":"broken-%d"' % self.malformed
        if self._sent and chance.random() < DUPLICATES:
            return chance.choice(self._sent)
        kind, sign = chance.choice(KINDS)
        sku, location = f"SKU-{chance.randrange(self.skus):03}", chance.choice(LOCATIONS)
        return self._movement(kind, sku, location, chance.randint(1, 3), sign)

    def _movement(self, kind: str, sku: str, location: str, quantity: int, sign: int) -> bytes:
        self._number += 1
        identity = f"m-{self._number}"
        told = {
            "id": identity,
            "source": "till-1",
            "type": kind,
            "sku": sku,
            "location": location,
            "quantity": sign * quantity if kind == "adjustment" else quantity,
            "occurred_at": datetime.now(UTC).isoformat(),
            "correlation_id": f"c-{self._number}",
        }
        self.stock[sku, location] += sign * quantity
        self.identities.add(identity)
        line = json.dumps(told).encode()
        self._sent.append(line)
        return line

    def available(self) -> dict[str, int]:
        """What a channel that sells everything from everywhere offers at the end."""
        found: dict[str, int] = defaultdict(int)
        for (sku, _), quantity in self.stock.items():
            found[sku] += quantity
        return dict(found)


class Envelopes:
    """Writes envelopes as ingest does, one movement after the other, without an ingest worker."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._offset = 0

    async def rules(self, files: dict[str, bytes] | None = None) -> str:
        """Announce rules to every partition; by default those of the rules folder."""
        folder = self._settings.rules
        found = files or {path.name: path.read_bytes() for path in folder.iterdir()}
        async with running(make_producer(self._settings, "test")) as producer:
            name = await write_content(producer, self._settings, found)
        for number in range(self._settings.partitions):
            await self.write(number, encode_control(ControlEntry("rules", name)))
        return name

    async def movements(self, lines: Sequence[bytes], each: int = 100) -> None:
        """Write movements, at most so many in an envelope."""
        by_partition: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for line in lines:
            by_partition[_partition(line, self._settings.partitions)].append((self._offset, line))
            self._offset += 1
        topic = self._settings.topic(ENVELOPES)
        async with running(make_producer(self._settings, "test")) as producer:
            sent = [
                await producer.send(topic, _envelope(some), partition=number)
                for number, told in sorted(by_partition.items())
                for some in _cut(told, each)
            ]
            await asyncio.gather(*sent)

    async def write(self, number: int, value: bytes | None) -> None:
        """Write any message into a partition."""
        async with running(make_producer(self._settings, "test")) as producer:
            key = b"none" if value is None else None
            topic = self._settings.topic(ENVELOPES)
            await producer.send_and_wait(topic, value, key=key, partition=number)


def _envelope(told: Sequence[tuple[int, bytes]]) -> bytes:
    offsets, payloads = [offset for offset, _ in told], [line for _, line in told]
    return encode_movements([Run("movements.pos", 0, 1, offsets, payloads)])


def _cut(told: list[tuple[int, bytes]], each: int) -> Iterator[list[tuple[int, bytes]]]:
    return (told[start : start + each] for start in range(0, len(told), each))


def _partition(line: bytes, partitions: int) -> int:
    try:
        return partition_of(json.loads(line)["sku"], partitions)
    except (ValueError, KeyError):
        return len(line) % partitions


async def prepare(settings: KafkaSettings, **files: str) -> Envelopes:
    """Make rules and topics, and announce the rules."""
    write_rules(settings.rules, **files)
    await make_topics(settings)
    envelopes = Envelopes(settings)
    await envelopes.rules()
    return envelopes


# --- what a cluster made of it ------------------------------------------------------------------


async def told(settings: KafkaSettings, topic: str) -> list[dict[str, Any]]:
    """The records of a topic, notices left out, and what no worker has written."""
    return [
        json.loads(message.value)
        for message in await read_all(settings, topic)
        if not (message.key or b"").startswith(b"\x00") and (message.value or b"")[:1] == b"{"
    ]


async def last_available(settings: KafkaSettings, channel: str = CHANNEL) -> dict[str, int]:
    """What a channel was told last of every key; versions must only rise."""
    versions: dict[str, int] = defaultdict(int)
    found = {}
    for record in await told(settings, f"availability.{channel}"):
        key = "|".join(filter(None, (record["sku"], record["location"])))
        assert record["version"] > versions[key], f"{key} does not rise"
        versions[key] = record["version"]
        found[key] = record["available"]
    return found


async def last_quantities(settings: KafkaSettings, channel: str = CHANNEL) -> dict[str, int]:
    """The newest quantity of every key of a channel."""
    found: dict[str, tuple[int, int]] = {}
    for record in await told(settings, f"quantities.{channel}"):
        newest = found.get(record["sku"], (0, 0))
        found[record["sku"]] = max(newest, (record["version"], record["quantity"]))
    return {sku: quantity for sku, (_, quantity) in found.items()}


async def stock_rows(settings: KafkaSettings) -> dict[tuple[str, str], int]:
    """The sellable stock of every key, by a snapshot that is ordered for it."""
    before = len(await _trailers(settings))
    await order_snapshot(settings)
    async with asyncio.timeout(PATIENCE_S):
        while len(await _trailers(settings)) < before + settings.partitions:
            await asyncio.sleep(0.1)
    trailers = (await _trailers(settings))[-settings.partitions :]
    names = {trailer["snapshot"].encode() for trailer in trailers}
    rows = {}
    for message in await read_all(settings, SNAPSHOTS):
        record = json.loads(message.value)
        if message.key in names and "kind" not in record:
            rows[record["sku"], record["location"]] = record["sellable"]
    assert len(rows) == sum(trailer["rows"] for trailer in trailers)
    return rows


async def _trailers(settings: KafkaSettings) -> list[dict[str, Any]]:
    found = [
        record
        for record in await told(settings, SNAPSHOTS)
        if record.get("kind") == "trailer" and "/ledger/" in record["snapshot"]
    ]
    return sorted(found, key=lambda record: str(record["snapshot"]))


async def applied(settings: KafkaSettings) -> set[str]:
    """The identities of the movements that were applied, in whichever try."""
    return {
        str(record["id"])
        for record in await told(settings, "movements.outcomes")
        if record["outcome"] == "applied"
    }


async def until_applied(settings: KafkaSettings, stream: Stream) -> None:
    """Wait until every movement of the stream is applied."""
    async with asyncio.timeout(PATIENCE_S):
        while await applied(settings) != stream.identities:
            await asyncio.sleep(0.2)


async def until_available(settings: KafkaSettings, stream: Stream) -> None:
    """Wait until the channel was told where the stream ends."""
    async with asyncio.timeout(PATIENCE_S):
        while await last_available(settings) != stream.available():
            await asyncio.sleep(0.2)


async def check(settings: KafkaSettings, stream: Stream) -> None:
    """Check that everything ended as the stream has it: state, quantities, exceptions."""
    assert await stock_rows(settings) == dict(stream.stock)
    assert await last_quantities(settings) == stream.available()
    exceptions = {record["exception"] for record in await told(settings, "exceptions")}
    assert len(exceptions) == stream.malformed
