"""Record batches that are filled past aiokafka's own way: the same bytes as by it."""

from __future__ import annotations

from aiokafka.codec import zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder

from engine.kafka.packing import ZSTD_LEVEL, fill, fill_with, pack_quickly

ROOM = 100_000
NONE, ZSTD = 0, 4
RECORDS: list[tuple[bytes | None, bytes | None]] = [
    (b"K%d" % number, None if number % 7 == 0 else b"value" * number) for number in range(100)
]


def slowly(room: int = ROOM, codec: int = NONE) -> BatchBuilder:
    """A batch as aiokafka fills it."""
    batch = BatchBuilder(room, codec)
    for key, value in RECORDS:
        assert batch.append(timestamp=5, key=key, value=value, headers=[("h", b"1")]) is not None
    return batch


def built(batch: BatchBuilder) -> bytes:
    """The bytes of a batch."""
    batch.close()
    return bytes(batch._build())


def test_a_batch_is_filled_as_aiokafka_fills_it() -> None:
    """Keys, values, headers, and how many there are."""
    batch = BatchBuilder(ROOM, NONE)
    fill_with(batch, 5, [(key, value, [("h", b"1")]) for key, value in RECORDS])
    assert batch.record_count() == len(RECORDS)
    assert built(batch) == built(slowly())


def test_more_than_a_batch_takes_is_told() -> None:
    """Then it is written in another way."""
    assert fill(BatchBuilder(ROOM, NONE), 5, RECORDS)
    assert not fill(BatchBuilder(1_000, NONE), 5, RECORDS)


def test_batches_are_packed_at_our_level() -> None:
    """It is looked up by name where batches are built."""
    pack_quickly()
    header = 61  # bytes of a batch before its records
    plain = built(slowly())[header:]
    assert built(slowly(codec=ZSTD))[header:] == zstd_encode(plain, ZSTD_LEVEL)
