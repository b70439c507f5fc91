r"""The ledger worker's own records in a partition's table, beside those of the core.

| key | record |
|---|---|
| `N` | `LedgerRecord`: where the partition stands; the marker that goes with every step |
| `O` | outputs of a step, until they are known to be delivered; by the first's number |
| `\x00claim` | who owns the partition; only in the changelog |
| `\x00redo` | parts of a step too large for one record batch; see `engine.kafka.changelog` |
| `\x00at` | how far the local copy follows the changelog; only there |
"""

from __future__ import annotations

from typing import Final

import msgspec

from engine.contracts.records import numbered

LEDGER: Final = b"N"
OUTBOX: Final = b"O"
CLAIM: Final = b"\x00claim"
REDO: Final = b"\x00redo"
POSITION: Final = b"\x00at"

NOTHING_APPLIED: Final = -1


class LedgerRecord(msgspec.Struct, array_like=True, omit_defaults=False):
    """Where a partition of the ledger stands, after a step or between two parts of one.

    `life` names this table for ever, so that a local copy of another is recognised. `applied` is
    the offset of the last envelope that was taken whole. `time` is the partition's time: the
    largest append time of an envelope so far, microseconds. `rules` names the content of the rules
    in force. `marks` holds, by partition of an incoming topic, the highest offset taken from it.
    Outputs are numbered from 1: `number` is the last one's, `acknowledged` that of the last one
    known to be delivered.
    """

    life: str
    applied: int = NOTHING_APPLIED
    time: int | None = None
    rules: str = ""
    marks: dict[str, int] = {}
    number: int = 0
    acknowledged: int = 0


class Claim(msgspec.Struct):
    """Who owns a partition from here on; `epoch` rises with every owner."""

    worker: str
    epoch: int


class TablePosition(msgspec.Struct, array_like=True):
    """How far a local copy follows the changelog.

    `next_offset` is the first offset it has not taken; `at` is the append time of the last record
    taken, microseconds; `life` is that of the table, "" before a step was taken.
    """

    next_offset: int = 0
    at: int = 0
    life: str = ""


Headers = list[tuple[str, bytes]]
# A message to be sent: key, value, headers.
Message = tuple[bytes | None, bytes | None, Headers]
# Messages by the name of their topic, as the catalogue has it.
Messages = dict[str, list[Message]]


class Parcel(msgspec.Struct, array_like=True):
    """Outputs of one step, numbered from `first`."""

    first: int
    count: int
    messages: Messages

    @property
    def last(self) -> int:
        """The number of the last output."""
        return self.first + self.count - 1


def parcel_name(first: int) -> bytes:
    """The key of the parcel whose first output has the number."""
    return numbered(OUTBOX, first)


def read_ledger_record(stored: bytes) -> LedgerRecord:
    """The record as it was stored."""
    return msgspec.msgpack.decode(stored, type=LedgerRecord)


def read_parcel(stored: bytes) -> Parcel:
    """The outputs as they were stored."""
    return msgspec.msgpack.decode(stored, type=Parcel)
