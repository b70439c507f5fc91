"""Reading whole record batches: what a consumer has fetched, without an object for each message.

aiokafka makes an object of Python for each message, which costs more than all else that is done
with it. This takes the records of a batch from aiokafka's decoder in C. It leans on the insides of
aiokafka (pinned, and tested): the fetcher keeps its results in a dict, each with an iterator over
its records, and counts what the iterator yields.

It also keeps aiokafka from fetching ahead of a reader that is busy: what it fetches then leaves out
the partitions whose records wait, and these wait until that fetch is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult
from aiokafka.errors import CorruptRecordException


class Batch(NamedTuple):
    """Messages of one partition, in its order; a message without a value is empty.

    `written_ms` is when the last of them was written, milliseconds since the Unix epoch.
    """

    offsets: list[int]
    values: list[bytes]
    written_ms: int


class Record(Protocol):
    """A message as aiokafka's decoder has it; `timestamp` is in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


NEVER_AHEAD_S: Final = 3_600.0
"""Records may wait for so long before other partitions are fetched without theirs."""

Taken = Callable[[Any, int], Any]
"""Makes what is returned of a batch: takes the batch and the first offset that is wanted."""


class _Results(dict[TopicPartition, Any]):
    """The fetcher's results, each made to yield batches as it comes in."""

    def __init__(self, taken: Taken) -> None:
        super().__init__()
        self._taken = taken

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:
            records = result._partition_records
            records._records_iterator = _batches(records, self._taken)
        super().__setitem__(partition, result)


def read_batches(consumer: AIOKafkaConsumer) -> None:
    """Make a started consumer return, from `getmany`, lists of `Batch` in place of messages."""
    _read(consumer, _payloads)


def read_whole_records(consumer: AIOKafkaConsumer) -> None:
    """Make a started consumer return, from `getmany`, lists of lists of `Record`, one a batch."""
    _read(consumer, _records)


def _read(consumer: AIOKafkaConsumer, taken: Taken) -> None:
    fetcher = consumer._fetcher
    assert fetcher is not None
    assert not fetcher._records
    fetcher._records = _Results(taken)
    fetcher._prefetch_backoff = NEVER_AHEAD_S


def _batches(records: Any, taken: Taken) -> Iterator[Any]:
    """Yield the batches of one fetch; the same steps as aiokafka's `PartitionRecords`."""
    fetched = records._records
    while fetched.has_next():
        batch = fetched.next_batch()
        if records._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {records._tp}")
        if records._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            records._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and records._contains_abort_marker(batch):
                records._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in records._aborted_producers:
                records.next_fetch_offset = batch.next_offset
                continue
        if batch.is_control_batch:
            records.next_fetch_offset = batch.next_offset
            continue
        found = taken(batch, records.next_fetch_offset)
        records.next_fetch_offset = batch.next_offset
        if found:
            yield found


def _payloads(batch: Any, first: int) -> Batch | None:
    offsets, values, written_ms = [], [], 0
    for record in batch:
        # A fetch starts at the beginning of a batch, which may lie before the position.
        if record.offset >= first:
            offsets.append(record.offset)
            values.append(record.value or b"")
            written_ms = record.timestamp
    return Batch(offsets, values, written_ms) if offsets else None


def _records(batch: Any, first: int) -> list[Record]:
    return [record for record in batch if record.offset >= first]
