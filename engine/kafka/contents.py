"""What control entries name: small sets of files in the topic `control.contents`, by their hash.

A content is written before the first entry that names it, in as many messages as it needs, each
with a key of its own, so that compaction keeps all of them. Contents never change.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec
import zstandard
from aiokafka import AIOKafkaProducer, TopicPartition

from engine.contracts.errors import CorruptStateError
from engine.kafka.catalogue import CONTENTS
from engine.kafka.clients import make_consumer, running
from engine.kafka.patience import patiently
from engine.kafka.settings import KafkaSettings

CHUNK_BYTES: Final = 512 * 1024
KEPT_CONTENTS: Final = 4
POLL_MS: Final = 500
IN_FORCE: Final = b"current/rules"
BASE: Final = b"current/base"
FOLDER: Final = b"current/folder"

Files = Mapping[str, bytes]


class DamagedContentError(CorruptStateError):
    """A content in `control.contents` is not what its name says."""

    title = "A content is damaged"


class Pointers(NamedTuple):
    """Names of contents, None where none was noted yet.

    `in_force` is of the rules that were put into every partition of the ledger's log last, `base`
    of the files they were made of, before the catalogue topics were laid over them, and `folder` of
    what the rules folder held when it was taken up last.
    """

    in_force: str | None
    base: str | None
    folder: str | None


class Chunk(msgspec.Struct, array_like=True, frozen=True):
    """One message of a content: its place from 0, how many there are, and its bytes."""

    index: int
    count: int
    data: bytes


def pack(files: Files) -> bytes:
    """Files as bytes: equal files give equal bytes."""
    return msgspec.msgpack.encode([(name, files[name]) for name in sorted(files)])


def name_of(files: Files) -> str:
    """The name of a content: the SHA-256 of its packed files, hex."""
    return hashlib.sha256(pack(files)).hexdigest()


async def write_content(producer: AIOKafkaProducer, settings: KafkaSettings, files: Files) -> str:
    """Write a content, and return its name once it is durable.

    Raises:
        KafkaError: it could not be written.
    """
    name = name_of(files)
    for key, value in _messages(name, pack(files)):
        await producer.send_and_wait(settings.topic(CONTENTS), value, key=key, partition=0)
    return name


async def point(
    producer: AIOKafkaProducer, settings: KafkaSettings, name: str, key: bytes = IN_FORCE
) -> None:
    """Note the name of a content under one of the keys of `Pointers`.

    Raises:
        KafkaError: it could not be written.
    """
    await producer.send_and_wait(settings.topic(CONTENTS), name.encode(), key=key, partition=0)


async def pointers(settings: KafkaSettings) -> Pointers:
    """The names that were noted last.

    Raises:
        KafkaError: the brokers refuse.
    """
    place = TopicPartition(settings.topic(CONTENTS), 0)
    found: dict[bytes, str] = {}
    async with running(make_consumer(settings, "contents"), patient=True) as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(timeout_ms=POLL_MS)).get(place, ()):
                if record.key in (IN_FORCE, BASE, FOLDER) and record.value is not None:
                    found[record.key] = record.value.decode()
    return Pointers(found.get(IN_FORCE), found.get(BASE), found.get(FOLDER))


class Contents:
    """Reads contents; keeps the last few, since all partitions of a worker ask for the same."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, dict[str, bytes]] = OrderedDict()

    async def read(self, name: str) -> dict[str, bytes]:
        """The files of a content; waits until all of it is there.

        Raises:
            DamagedContentError: what is there is not what the name says.
            KafkaError: the brokers refuse.
        """
        found = self._kept.get(name)
        if found is None:
            found = await patiently(partial(read_content, self._settings, name))
            self._kept[name] = found
            while len(self._kept) > KEPT_CONTENTS:
                self._kept.popitem(last=False)
        return found


async def read_content(settings: KafkaSettings, name: str) -> dict[str, bytes]:
    """The files of a content, read from the topic; waits until all of it is there.

    Raises:
        DamagedContentError: what is there is not what the name says.
        KafkaError: the brokers refuse.
    """
    place = TopicPartition(settings.topic(CONTENTS), 0)
    async with running(make_consumer(settings, "contents"), patient=True) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        chunks: dict[int, Chunk] = {}
        while True:
            for record in (await consumer.getmany(timeout_ms=POLL_MS)).get(place, ()):
                if record.value is None or not _is_of(record.key, name):
                    continue
                chunk = msgspec.msgpack.decode(record.value, type=Chunk)
                chunks[chunk.index] = chunk
                if len(chunks) == chunk.count:
                    return _unpacked(name, chunks)


def _messages(name: str, packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    squeezed = zstandard.ZstdCompressor().compress(packed)
    starts = range(0, len(squeezed), CHUNK_BYTES)
    for index, start in enumerate(starts):
        chunk = Chunk(index, len(starts), squeezed[start : start + CHUNK_BYTES])
        yield f"{name}/{index}".encode(), msgspec.msgpack.encode(chunk)


def _is_of(key: bytes | None, name: str) -> bool:
    return key is not None and key.startswith(f"{name}/".encode())


def _unpacked(name: str, chunks: Mapping[int, Chunk]) -> dict[str, bytes]:
    squeezed = b"".join(chunks[index].data for index in range(len(chunks)))
    try:
        packed = zstandard.ZstdDecompressor().decompress(squeezed)
    except zstandard.ZstdError as error:
        raise _damaged(name) from error
    if hashlib.sha256(packed).hexdigest() != name:
        raise _damaged(name)
    return dict(msgspec.msgpack.decode(packed, type=list[tuple[str, bytes]]))


def _damaged(name: str) -> DamagedContentError:
    return DamagedContentError(
        f"the content {name} in control.contents is not what its name says",
        "Find out who else writes that topic, and announce the rules again: restart ingest.",
    )
