"""Filling and packing record batches, past what aiokafka does more slowly than need be.

What is used of its inside (0.14, pinned, and tested): `BatchBuilder._builder` is the builder in C,
which takes a record in a third of the time of `BatchBuilder.append`, and `_relative_offset` counts
what it has taken; the builder's module looks `zstd_encode` up by its name, which has no level to be
chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from typing import Final

from aiokafka.codec import zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

ZSTD_LEVEL: Final = 1
"""Our batches come out as small as with aiokafka's 3, in little more than half the time."""


def pack_quickly() -> None:
    """Let every batch of this process that is packed by zstd be packed at `ZSTD_LEVEL`."""
    module = sys.modules[DefaultRecordBatchBuilder.__module__]
    module.zstd_encode = partial(zstd_encode, level=ZSTD_LEVEL)  # type: ignore[attr-defined]


def fill(
    batch: BatchBuilder, now_ms: int, records: Iterable[tuple[bytes | None, bytes | None]]
) -> bool:
    """Append records without headers to a batch; False when they do not all fit."""
    append, offset = batch._builder.append, batch._relative_offset
    none: list[tuple[str, bytes]] = []
    for key, value in records:
        if append(offset, now_ms, key, value, none) is None:
            return False
        offset += 1
    batch._relative_offset = offset
    return True


def fill_with(
    batch: BatchBuilder,
    now_ms: int,
    messages: Iterable[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    """Append messages to a batch; raises AssertionError when one does not fit."""
    append, offset = batch._builder.append, batch._relative_offset
    for key, value, headers in messages:
        taken = append(offset, now_ms, key, value, headers)
        assert taken is not None, "a message fits into a batch"
        offset += 1
    batch._relative_offset = offset
