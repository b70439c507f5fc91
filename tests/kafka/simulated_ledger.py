"""One partition of the ledger over the simulated broker: its log, and who works on it.

What writes and restores is the engine's own: the changelog, the outbox's sender, the local copy on
disk, the step that was begun and is finished by the next owner. Only the event loop is missing.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from engine.core.step import Outcome
from engine.kafka.catalogue import CHANGELOG, SNAPSHOTS
from engine.kafka.changelog import Changelog
from engine.kafka.envelope_reading import Envelope
from engine.kafka.fencing import FencedError
from engine.kafka.ledger_record import CLAIM, LEDGER, Claim, LedgerRecord, read_ledger_record
from engine.kafka.ledger_snapshot import ledger_snapshot
from engine.kafka.outbox import Sender
from engine.kafka.partition import EnvelopeGapError, Partition
from engine.kafka.restore import Restoring, follow
from engine.kafka.rules_content import no_rules
from engine.kafka.table import LocalTable
from engine.kafka.taking_over import redo
from engine.kafka.together import Together
from engine.rules.ruleset import RuleSet
from engine.stores.memory import MemoryStore
from tests.kafka.simulated_broker import (
    COMPACTED,
    DELIVERY,
    LATE_OUTPUTS,
    REWOUND,
    SKIPPED,
    TWICE,
    Broker,
    CrashError,
    Message,
    Producer,
    compacted,
    now,
)

LIFE = "simulated"
WORKERS = ("one", "two", "three")
RECORDS_AT_ONCE = 40
FARTHEST_REWOUND = 5
MOST_AT_ONCE = 4
BATCH_BYTES = (2_000, 8_000, 1_000_000)
"""Longest batches: with the short ones most steps are too large for one."""
OUTPUT_BATCH_BYTES = 8_000_000
ENDS = (CrashError, KafkaError, FencedError, EnvelopeGapError)
OUTPUTS = ("reservations.decisions", "erp.postings", "exceptions", "movements.outcomes", SNAPSHOTS)


@dataclass
class Owner:
    """One life of the partition in one worker: nothing of it outlives it but what was written."""

    worker: str
    table: LocalTable
    together: Together
    sender: Sender
    partition: Partition
    outbox: list[Any] = field(default_factory=list)


class SimulatedPartition:
    """One partition of the ledger; `places` are the topics of quantities."""

    def __init__(
        self,
        number: int,
        partitions: int,
        rules: RuleSet,
        broker: Broker,
        chance: random.Random,
        folder: Path,
    ) -> None:
        self.number = number
        self.rules = rules
        self.envelopes: list[Envelope] = []
        self.outcomes: dict[int, list[Outcome]] = {}
        self.takeovers = 0
        self._partitions = partitions
        self._broker = broker
        self._chance = chance
        self._folder = folder
        self._epoch = 0
        self._most_bytes = chance.choice(BATCH_BYTES)
        self._owner: Owner | None = None

    @property
    def changelog(self) -> list[Message]:
        """What the changelog holds."""
        return self._broker.logs[CHANGELOG, self.number].messages

    @property
    def owner(self) -> Owner:
        """Whoever owns the partition; a new one when the last has ended."""
        while self._owner is None:
            try:
                self._owner = self._take_over()
            except ENDS:
                continue
        return self._owner

    @property
    def partition(self) -> Partition:
        """The core at work in the owner."""
        return self.owner.partition

    def append(self, value: bytes, at: int) -> None:
        """Append an envelope, which waits until something is asked of the partition."""
        self.envelopes.append(Envelope(len(self.envelopes), at // 1_000 * 1_000, value))

    def next_due(self) -> int | None:
        """When something falls due, once all is taken that waits."""
        self.work()
        return self.partition.next_due()

    def work(self) -> None:
        """Take everything that is in the log, however often the owner changes meanwhile."""
        while self.partition.next_offset < len(self.envelopes):
            try:
                owner = self.owner
                for envelope in self._deliveries(owner.partition.next_offset):
                    self._take(owner, envelope)
                self._commit(owner)
                if self._chance.random() < 0.1:
                    self._note(owner)
            except ENDS:
                self._end()

    def settle(self) -> None:
        """Take what waits to be taken, and send what waits to be sent."""
        self.work()
        while self.owner.outbox:
            try:
                self._send(self.owner)
            except ENDS:
                self._end()

    def _deliveries(self, offset: int) -> list[Envelope]:
        """What the consumer delivers next, the envelope of the offset among it."""
        fault, due = self._broker.faults.at(DELIVERY), self.envelopes[offset]
        if fault == REWOUND:
            first = max(0, offset - self._chance.randint(1, FARTHEST_REWOUND))
            return self.envelopes[first : offset + 1]
        if fault == TWICE:
            return [due, due]
        if fault == SKIPPED:
            return [due._replace(offset=offset + 1), due]
        return self.envelopes[offset : offset + self._chance.randint(1, MOST_AT_ONCE)]

    # --- one envelope --------------------------------------------------------------------------

    def _take(self, owner: Owner, envelope: Envelope) -> None:
        for step in owner.partition.take(envelope, self.rules):
            if step.outcomes:
                self.outcomes[envelope.offset] = list(step.outcomes)
            owner.together.add(step)
            if step.cut:
                self._commit(owner)
                self._cut(owner)
            elif self._chance.random() < 0.5:
                self._commit(owner)

    def _note(self, owner: Owner) -> None:
        noted = owner.partition.note_delivered()
        if noted is not None:
            owner.together.add(noted)
            self._commit(owner)

    def _commit(self, owner: Owner) -> None:
        for step in now(owner.together.commit(LIFE)):
            if step.parcel is not None:
                owner.outbox.append(step.parcel)
        if self._broker.faults.at(LATE_OUTPUTS) is None:
            self._send(owner)
        if self._chance.random() < 0.1:
            owner.table.flush()

    def _send(self, owner: Owner) -> None:
        while owner.outbox:
            parcel = owner.outbox[0]
            now(owner.sender.send(parcel.messages))
            owner.outbox.pop(0)
            owner.partition.delivered(parcel.last)

    def _cut(self, owner: Owner) -> None:
        engine = owner.partition.engine
        for messages in ledger_snapshot(engine, owner.table, self.number):
            now(owner.sender.send({SNAPSHOTS: messages}))
        owner.together.add(owner.partition.cut_written())
        self._commit(owner)

    # --- ends and beginnings -------------------------------------------------------------------

    def rebalance(self) -> None:
        """Somebody else becomes the owner; the one before does not know yet."""
        self._epoch += 1
        self._claim()

    def _end(self) -> None:
        """The owner's process is gone: what waited in its memory is lost."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.table._store.close()

    def _claim(self) -> None:
        topics = [*OUTPUTS, CHANGELOG]
        topics += [f"quantities.{channel.name}" for channel in self.rules.channels]
        self._broker.claim([(topic, self.number) for topic in topics], self._epoch)

    def _take_over(self) -> Owner:
        self.takeovers += 1
        self._epoch += 1
        self._claim()
        worker = self._chance.choice(WORKERS)
        self._clean()
        producer = self._producer(self._most_bytes)
        changelog = Changelog(producer, TopicPartition(CHANGELOG, self.number))
        claim = msgspec.msgpack.encode(Claim(worker, self._epoch))
        written = now(changelog.write({CLAIM: claim}, ()))
        table = LocalTable(self._folder / worker / str(self.number))
        try:
            self._restore(table, written.next_offset)
            now(redo(table, changelog))
            sender = Sender(self._producer(OUTPUT_BATCH_BYTES), self.number, str)
            together = Together(changelog, table)
            owner = Owner(worker, table, together, sender, self._opened(table))
            owner.outbox = list(owner.partition.undelivered())
            self._send(owner)
            if owner.partition.engine.standing.cut is not None:
                self._cut(owner)
        except BaseException:
            table._store.close()
            raise
        return owner

    def _producer(self, most_bytes: int) -> Any:
        return Producer(self._broker, self._epoch, most_bytes, self.rebalance)

    def _clean(self) -> None:
        """Now and then the changelog is compacted; copies that are older are made anew then."""
        if self._broker.faults.at(COMPACTED) is None:
            return
        log = self._broker.logs[CHANGELOG, self.number]
        log.messages = compacted(log.messages, self._chance)
        for name in WORKERS:
            shutil.rmtree(self._folder / name / str(self.number), ignore_errors=True)

    def _restore(self, table: LocalTable, end: int) -> None:
        place = TopicPartition(CHANGELOG, self.number)
        restoring = Restoring(place, table, end)
        first = table.position.next_offset
        missing = [one for one in self.changelog if one.offset >= first]
        for start in range(0, len(missing), RECORDS_AT_ONCE):
            follow(restoring, cast(Any, missing[start : start + RECORDS_AT_ONCE]))

    def _opened(self, table: LocalTable) -> Partition:
        stored = table.get(LEDGER)
        record = LedgerRecord(life=LIFE) if stored is None else read_ledger_record(stored)
        rules = self.rules if record.rules else no_rules()
        return Partition(self.number, self._partitions, table, record, rules)

    # --- what must be ----------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the files."""
        self._end()

    def records(self) -> dict[bytes, bytes]:
        """The core's records, as the owner's table has them."""
        return _of_the_core(self.owner.table.scan(b""))

    def rebuilt(self) -> dict[bytes, bytes]:
        """The core's records, as the log of envelopes gives them to somebody with no faults."""
        table = MemoryStore()
        partition = Partition(
            self.number, self._partitions, table, LedgerRecord(life=LIFE), no_rules()
        )
        for envelope in self.envelopes:
            for step in partition.take(envelope, self.rules):
                table.commit(step.puts, step.deletes)
                if step.cut:
                    written = partition.cut_written()
                    table.commit(written.puts, written.deletes)
        return _of_the_core(table.scan(b""))

    def restored(self) -> dict[bytes, bytes]:
        """The core's records, as the changelog has them."""
        found: dict[bytes, bytes] = {}
        for one in self.changelog:
            if one.value is None:
                found.pop(one.key or b"", None)
            else:
                found[one.key or b""] = one.value
        return _of_the_core(found.items())


def _of_the_core(rows: Any) -> dict[bytes, bytes]:
    """Without what the worker notes itself: which outputs it has sent differs from life to life."""
    return {name: value for name, value in rows if name[:1] not in b"NO\x00"}
