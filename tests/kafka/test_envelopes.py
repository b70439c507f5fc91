"""The wire format of the ledger's log, and the partition of a SKU."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from engine.kafka.envelopes import (
    ControlEntry,
    Movements,
    PoisonEnvelopeError,
    Run,
    TimeEntry,
    decode,
    encode_control,
    encode_movements,
    encode_time,
)
from engine.kafka.partitioning import murmur2, partition_of

RUNS = [
    Run("movements.pos", 3, 1, [10, 12], [b"{}", b"\xff\xfe"]),
    Run("movements.wms", 0, 1, [7], [b'{"id":"x"}']),
]


def test_an_envelope_gives_back_the_movements_byte_for_byte_and_where_each_came_from() -> None:
    """Also those that are no JSON and no UTF-8, since they become exceptions later."""
    envelope = decode(encode_movements(RUNS))
    assert isinstance(envelope, Movements)
    assert list(envelope.runs) == RUNS
    assert envelope.payloads == [b"{}", b"\xff\xfe", b'{"id":"x"}']
    assert [envelope.origin(index) for index in range(3)] == [
        "movements.pos/3@10",
        "movements.pos/3@12",
        "movements.wms/0@7",
    ]


def test_time_and_control_entries_come_back_as_they_were() -> None:
    """A control entry with its fields, and one without any."""
    assert decode(encode_time()) == TimeEntry()
    full = ControlEntry("replay", "ab12", {"exception": "x-00000001", "accept_old": True})
    assert decode(encode_control(full)) == full
    assert decode(encode_control(ControlEntry("snapshot"))) == ControlEntry("snapshot")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\x01",
        b"\x01\xc1",
        b"\x02more",
        b"\x03\x90",
        b"\x07",
        b"{}",
        b"\x01" + msgspec.msgpack.encode([]),
        b"\x01" + msgspec.msgpack.encode([["movements.pos", 0, 1, [], []]]),
        b"\x01" + msgspec.msgpack.encode([["movements.pos", 0, 1, [1, 2], [b"x"]]]),
    ],
)
def test_what_no_worker_would_write_is_called_poison(value: bytes | None) -> None:
    """One error class for all of it, so that the ledger can stop with the evidence."""
    with pytest.raises(PoisonEnvelopeError):
        decode(value)


@given(st.binary(max_size=64))
def test_random_bytes_are_an_envelope_or_poison(value: bytes) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(PoisonEnvelopeError):
        decode(value)


@given(st.binary(max_size=120))
def test_the_hash_is_the_one_of_every_kafka_client(data: bytes) -> None:
    """So that others can compute the partition of a SKU too."""
    assert murmur2(data) == murmur2_of_aiokafka(data)


@pytest.mark.parametrize(("sku", "partition"), [("SKU-0000001", 7), ("Größe 38", 3), ("", 9)])
def test_the_partition_of_a_sku_never_changes(sku: str, partition: int) -> None:
    """The state of a SKU lies there for ever."""
    assert partition_of(sku, 12) == partition
