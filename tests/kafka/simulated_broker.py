"""A broker in memory, and a producer that stands in for aiokafka's: batches, epochs, and faults.

A partition that has seen an epoch refuses every earlier one, a batch is there whole or not at all,
and at every write something may happen that a seed has decided before.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from aiokafka.errors import KafkaTimeoutError, ProducerFenced

CRASH_BEFORE = "crash before a write"
CRASH_AFTER = "crash after a write"
LOST_ACKNOWLEDGEMENT = "lost acknowledgement"
REBALANCE = "rebalance in a step"
WRITE_FAULTS = (CRASH_BEFORE, CRASH_AFTER, LOST_ACKNOWLEDGEMENT, REBALANCE)
REWOUND = "offset rewound"
SKIPPED = "an envelope skipped"
TWICE = "an envelope twice"
DELIVERY_FAULTS = (REWOUND, SKIPPED, TWICE)
SENT_AGAIN = "a run sent again"
LATE_QUANTITIES = "quantities after their tick"
LATE_OUTPUTS = "outputs sent later"
COMPACTED = "a compacted changelog"
OTHER_FAULTS = (SENT_AGAIN, LATE_QUANTITIES, LATE_OUTPUTS, COMPACTED)
FAULTS = (*WRITE_FAULTS, *DELIVERY_FAULTS, *OTHER_FAULTS)

Result = TypeVar("Result")


class CrashError(BaseException):
    """The process is killed at this point. Nothing in it may catch that."""


class Fault(NamedTuple):
    """What happens at the `at`th write, delivery or other occasion for its kind, from 1."""

    occasion: str
    at: int
    kind: str


@dataclass
class Faults:
    """Says on every occasion what happens there, and counts what did."""

    planned: Sequence[Fault] = ()
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._planned = {(fault.occasion, fault.at): fault.kind for fault in self.planned}
        self._occasions: Counter[str] = Counter()

    def at(self, occasion: str) -> str | None:
        """The fault of the occasion at hand."""
        self._occasions[occasion] += 1
        kind = self._planned.get((occasion, self._occasions[occasion]))
        if kind is not None:
            self.struck[kind] += 1
        return kind

    def disarm(self) -> None:
        """Nothing happens any more."""
        self._planned = {}


WRITE, DELIVERY = "write", "delivery"


def draw_faults(seed: int, movements: int, each: float) -> list[Fault]:
    """Faults for a story of so many movements: `each` is how many of all occasions are struck."""
    chance = random.Random(f"faults {seed}")
    found: list[Fault] = []
    for occasion, kinds, most in (
        (WRITE, WRITE_FAULTS, 8 * movements),
        (DELIVERY, DELIVERY_FAULTS, 3 * movements),
        *((kind, (kind,), 2 * movements) for kind in OTHER_FAULTS),
    ):
        found += [
            Fault(occasion, at, chance.choice(kinds))
            for at in range(1, most)
            if chance.random() < each
        ]
    return found


class Message(NamedTuple):
    """A message of a partition."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


class Told(NamedTuple):
    """What the broker says of a batch that it took."""

    offset: int
    timestamp: int


@dataclass
class Log:
    """One partition of a topic; `epoch` is the newest that it has seen."""

    messages: list[Message] = field(default_factory=list)
    end: int = 0
    epoch: int = 0


@dataclass
class Broker:
    """Topics by name and partition; `now_ms` is the time that it stamps on what it takes."""

    faults: Faults
    logs: dict[tuple[str, int], Log] = field(default_factory=lambda: defaultdict(Log))
    now_ms: int = 0

    def partitions(self, topic: str, count: int) -> list[list[Message]]:
        """The messages of a topic, by partition."""
        return [self.logs[topic, number].messages for number in range(count)]

    def claim(self, places: Sequence[tuple[str, int]], epoch: int) -> None:
        """Shut earlier epochs out of the places."""
        for place in places:
            self.logs[place].epoch = epoch


class Builder:
    """What fills a batch: whatever its size, it takes one record."""

    def __init__(self, most_bytes: int) -> None:
        self.records: list[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]] = []
        self._most_bytes = most_bytes
        self._bytes = 0

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> object | None:
        """Add a record; None when there is no more room."""
        assert offset == len(self.records)
        size = len(key or b"") + len(value or b"")
        if self.records and self._bytes + size > self._most_bytes:
            return None
        self._bytes += size
        self.records.append((key, value, headers))
        return self


class Batch:
    """A record batch as `aiokafka` has it."""

    def __init__(self, most_bytes: int) -> None:
        self._builder = Builder(most_bytes)
        self._relative_offset = 0

    @property
    def records(self) -> list[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]:
        """What was added."""
        return self._builder.records

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object | None:
        """Add a record; None when there is no more room."""
        taken = self._builder.append(self._relative_offset, timestamp, key, value, headers)
        self._relative_offset += taken is not None
        return taken

    def close(self) -> None:
        """No more records."""

    def record_count(self) -> int:
        """How many records it has."""
        return self._relative_offset


class Acknowledgement:
    """What awaits a batch: where it is, or that nobody knows whether it was taken."""

    def __init__(self, told: Told | None) -> None:
        self._told = told

    def __await__(self) -> Generator[None, None, Told]:
        yield from ()
        if self._told is None:
            raise KafkaTimeoutError
        return self._told


class Producer:
    """Writes as an owner of an epoch; `rebalance` makes another one the owner meanwhile."""

    def __init__(
        self, broker: Broker, epoch: int, most_bytes: int, rebalance: Callable[[], None]
    ) -> None:
        self._broker = broker
        self._epoch = epoch
        self._most_bytes = most_bytes
        self._rebalance = rebalance

    def create_batch(self) -> Batch:
        """An empty batch."""
        return Batch(self._most_bytes)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Acknowledgement:
        """Send a batch.

        Raises:
            CrashError: the process dies here.
            ProducerFenced: a later epoch was seen.
        """
        fault = self._broker.faults.at(WRITE)
        if fault == CRASH_BEFORE:
            raise CrashError
        if fault == REBALANCE:
            self._rebalance()
        log = self._broker.logs[topic, partition]
        if log.epoch > self._epoch:
            raise ProducerFenced
        told = Told(log.end, self._broker.now_ms)
        for key, value, headers in batch.records:
            log.messages.append(Message(log.end, key, value, headers, self._broker.now_ms))
            log.end += 1
        if fault == CRASH_AFTER:
            raise CrashError
        return Acknowledgement(None if fault == LOST_ACKNOWLEDGEMENT else told)


def now(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("the simulated broker never makes anybody wait")


def compacted(messages: Sequence[Message], chance: random.Random) -> list[Message]:
    """A log as the cleaner may leave it: of every key the last record, and some earlier ones.

    A tombstone may be gone, but only together with everything before it.
    """
    last = {one.key: place for place, one in enumerate(messages)}
    dropped = {
        key for key, at in last.items() if messages[at].value is None and chance.random() < 0.5
    }
    clean_until = chance.randint(0, len(messages))
    return [
        one
        for place, one in enumerate(messages)
        if one.key not in dropped and (place == last[one.key] or place >= clean_until)
    ]
