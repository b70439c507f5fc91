"""Which ledger partition a SKU belongs to: murmur2, as every Kafka client does it."""

from __future__ import annotations

from typing import Final

SEED: Final = 0x9747B28C
MIX: Final = 0x5BD1E995
SHIFT: Final = 24
WORD_BYTES: Final = 4
MASK: Final = 0xFFFFFFFF
POSITIVE: Final = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 that the Java client's default partitioner uses."""
    length = len(data)
    whole = length & ~(WORD_BYTES - 1)
    found = SEED ^ length
    for place in range(0, whole, WORD_BYTES):
        word = int.from_bytes(data[place : place + WORD_BYTES], "little") * MIX & MASK
        word = (word ^ word >> SHIFT) * MIX & MASK
        found = found * MIX & MASK ^ word
    if whole < length:
        found = (found ^ int.from_bytes(data[whole:], "little")) * MIX & MASK
    found = (found ^ found >> 13) * MIX & MASK
    return found ^ found >> 15


def partition_of(sku: str, partitions: int) -> int:
    """The partition, from 0, of a SKU among so many."""
    return (murmur2(sku.encode()) & POSITIVE) % partitions
