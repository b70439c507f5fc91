"""Which ledger partition a message belongs to, whatever its bytes.

Nothing is judged here: what is no movement goes on as well, and the ledger refuses it. What matters
is that all movements and observations of a SKU go to one partition, so the SKU is read just as the
ledger reads it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from engine.contracts.examination import BYTE_ORDER_MARK
from engine.contracts.limits import MAX_SKU_LENGTH
from engine.contracts.movement_examination import examine_line
from engine.contracts.movements import Movement
from engine.contracts.observations import Observation, decode_observation
from engine.kafka.batches import Batch
from engine.kafka.partitioning import partition_of

MAX_KEPT_SKUS: Final = 500_000
MAX_CARRIED_BYTES: Final = 1024 * 1024
"""Longest message that is carried whole. The topics that the catalogue makes take no longer one;
of a longer one from another topic the first bytes go on: it is refused in any case."""


class _Named(msgspec.Struct, gc=False):
    sku: str


class _AnyChannel(frozenset[str]):
    """Holds every name: a movement on a channel that is not configured has a SKU all the same."""

    def __contains__(self, name: object) -> bool:
        return True


class Part(msgspec.Struct):
    """What of one batch goes to one ledger partition, in the batch's order."""

    offsets: list[int]
    payloads: list[bytes]


class Router:
    """Splits batches by ledger partition; keeps the partitions of SKUs that come again.

    `unrouted` counts messages without a readable SKU.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.unrouted = 0
        self._known: dict[str, int] = {}
        self._read = msgspec.json.Decoder(_Named).decode
        self._any_channel = _AnyChannel()

    def split(self, source: str, batch: Batch) -> dict[int, Part]:
        """The parts of a batch; `source` names its topic and partition."""
        parts: dict[int, Part] = {}
        known, read = self._known, self._read
        for offset, payload in zip(batch.offsets, batch.values, strict=True):
            try:
                partition = known[read(payload).sku]
            except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
                payload = payload.removeprefix(BYTE_ORDER_MARK)
                partition = self._find(source, offset, payload)
                payload = payload[:MAX_CARRIED_BYTES]
            part = parts.get(partition)
            if part is None:
                part = parts[partition] = Part([], [])
            part.offsets.append(offset)
            part.payloads.append(payload)
        return parts

    def _find(self, source: str, offset: int, payload: bytes) -> int:
        """The partition of a SKU that is not known yet, or that is hard to read."""
        sku = self._sku_of(payload)
        if sku is None:
            self.unrouted += 1
            # Spread evenly, and the same when it is sent again.
            return partition_of(f"{source}@{offset}", self.partitions)
        partition = partition_of(sku, self.partitions)
        if len(self._known) >= MAX_KEPT_SKUS:
            self._known.clear()
        if len(sku) <= MAX_SKU_LENGTH:
            self._known[sku] = partition
        return partition

    def _sku_of(self, payload: bytes) -> str | None:
        try:
            return _encodable(self._read(payload).sku)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # Deep nesting and far numbers in unknown fields are no faults for the ledger.
            movement = examine_line(payload, self._any_channel)
            if isinstance(movement, Movement):
                return movement.sku
            observation = decode_observation(payload)
            return observation.sku if isinstance(observation, Observation) else None


def _encodable(sku: str) -> str:
    """The SKU, if it can be written as UTF-8: half a surrogate pair cannot.

    Raises:
        UnicodeEncodeError: it cannot.
    """
    sku.encode()
    return sku
