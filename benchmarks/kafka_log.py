"""The log of a ledger for the benchmarks: INV-1 as of now, in envelopes as ingest cuts them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.inv1_lines import CHANNELS, MS_PER_SECOND, START_MS, InstantText
from engine.contracts.instants import parse_instant
from engine.kafka.catalogue import ENVELOPES, Wanted, wanted
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import write_content
from engine.kafka.envelopes import ControlEntry, Run, encode_control, encode_movements
from engine.kafka.partitioning import partition_of
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create

PARTITIONS = 12
MOVEMENTS_PER_ENVELOPE = 500
MICROSECONDS_PER_MS = 1_000
SOURCE = "movements.pos"

_TIME = re.compile(rb'"((?:occurred|expires)_at)":"([^"]*)"')
_SKU = re.compile(rb'"sku":"([^"]*)"')


class Envelope(NamedTuple):
    """An envelope on its way into the log: its partition, its time (milliseconds), its bytes."""

    partition: int
    at_ms: int
    message: bytes


class Log(NamedTuple):
    """What was written: envelopes (the rules' entries included) and movements."""

    envelopes: int
    movements: int


def now_ms() -> int:
    """The time of day in milliseconds."""
    return int(time.time() * MS_PER_SECOND)


def shifted(lines: Iterable[bytes], start_ms: int) -> Iterator[bytes]:
    """The lines with all their times moved, as if the workload began at `start_ms`."""
    text, by_ms = InstantText(), start_ms - START_MS

    def move(found: re.Match[bytes]) -> bytes:
        try:
            instant = parse_instant(found[2].decode())
        except ValueError:
            return found[0]
        moved = text(instant // MICROSECONDS_PER_MS + by_ms)
        return b'"%s":"%s"' % (found[1], moved.encode())

    for line in lines:
        yield _TIME.sub(move, line)


def envelopes(
    lines: Iterable[bytes], start_ms: int, rate: int, source: str = SOURCE
) -> Iterator[Envelope]:
    """The lines in envelopes closed by the number of movements, `rate` lines a second."""
    waiting: list[tuple[list[int], list[bytes]]] = [([], []) for _ in range(PARTITIONS)]
    places: dict[bytes, int] = {}
    at_ms = start_ms
    for offset, line in enumerate(lines):
        found = _SKU.search(line)
        sku = b"" if found is None else found[1]
        number = places.get(sku)
        if number is None:
            number = places[sku] = partition_of(sku.decode(errors="replace"), PARTITIONS)
        offsets, payloads = waiting[number]
        offsets.append(offset)
        payloads.append(line)
        at_ms = start_ms + offset * MS_PER_SECOND // rate
        if len(offsets) == MOVEMENTS_PER_ENVELOPE:
            yield _envelope(number, at_ms, source, offsets, payloads)
            waiting[number] = ([], [])
    for number, (offsets, payloads) in enumerate(waiting):
        if offsets:
            yield _envelope(number, at_ms, source, offsets, payloads)


def _envelope(
    number: int, at_ms: int, source: str, offsets: list[int], payloads: list[bytes]
) -> Envelope:
    return Envelope(number, at_ms, encode_movements([Run(source, 0, 1, offsets, payloads)]))


def make_timed_topics(settings: KafkaSettings) -> None:
    """Make the engine's topics.

    The envelopes' time is that of their maker: so a log that is written at once has the seconds,
    and the ticks, of the workload.
    """
    name = settings.topic(ENVELOPES)
    topics = [_timed(one) if one.name == name else one for one in wanted(settings, CHANNELS)]
    asyncio.run(create(settings, topics))


def _timed(topic: Wanted) -> Wanted:
    return replace(topic, config={**topic.config, "message.timestamp.type": "CreateTime"})


async def announce(settings: KafkaSettings, at_ms: int) -> None:
    """Put the rules in force in every partition, as of a time."""
    files = {path.name: path.read_bytes() for path in settings.rules.iterdir()}
    topic = settings.topic(ENVELOPES)
    async with running(make_producer(settings, "bench")) as producer:
        name = await write_content(producer, settings, files)
        entry = encode_control(ControlEntry("rules", name))
        for number in range(PARTITIONS):
            await producer.send_and_wait(topic, entry, partition=number, timestamp_ms=at_ms)


async def write_log(
    settings: KafkaSettings, told: Iterable[Envelope], tell: Callable[[str], None]
) -> int:
    """Write envelopes into the log; returns how many they are."""
    topic = settings.topic(ENVELOPES)
    count = 0
    async with running(make_producer(settings, "bench")) as producer:
        sent = []
        for one in told:
            sent.append(
                await producer.send(
                    topic, one.message, partition=one.partition, timestamp_ms=one.at_ms
                )
            )
            count += 1
        await asyncio.gather(*sent)
    tell(f"  {count:,} envelopes are in the log")
    return count


def write_workload(
    settings: KafkaSettings, files: Sequence[Path], rate: int, tell: Callable[[str], None]
) -> Log:
    """Announce the rules and write the lines of files one after another, the last one as of now.

    The times in the last file begin with its part of the log; those in the others are moved by as
    much.
    """
    told = [path.read_bytes().splitlines() for path in files]
    lasting_ms = [len(lines) * MS_PER_SECOND // rate for lines in told]
    stream_ms = now_ms() - lasting_ms[-1]
    start_ms = stream_ms - sum(lasting_ms[:-1])
    asyncio.run(announce(settings, start_ms))
    written = PARTITIONS
    for number, (lines, length_ms) in enumerate(zip(told, lasting_ms, strict=True)):
        cut = envelopes(shifted(lines, stream_ms), start_ms, rate, f"{SOURCE}-{number}")
        written += asyncio.run(write_log(settings, cut, tell))
        start_ms += length_ms
    return Log(written, sum(map(len, told)))
