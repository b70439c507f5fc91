"""One partition of the ledger: envelopes go in, one by one, and steps to be committed come out.

Pure: it reads the partition's table, and has no time but that of the envelopes. The same envelopes
give the same steps, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import structlog

from engine.contracts.errors import CorruptStateError, SellableError
from engine.contracts.records import numbered
from engine.core.changes import Changes
from engine.core.engine import Engine
from engine.core.parts import WALL
from engine.core.step import Outcome
from engine.kafka.catalogue import ENVELOPES, OUTCOMES, QUANTITIES, of_channel
from engine.kafka.envelopes import (
    ControlEntry,
    Entry,
    Movements,
    PoisonEnvelopeError,
    Run,
    decode,
)
from engine.kafka.ledger_record import (
    LEDGER,
    LedgerRecord,
    Messages,
    Parcel,
    parcel_name,
    read_parcel,
)
from engine.kafka.messages import (
    RULES_KEY,
    SNAPSHOT_KEY,
    RulesNotice,
    SnapshotNotice,
    outcome_messages,
    output_messages,
    quantities,
)
from engine.rules.relaying import relaying
from engine.rules.ruleset import RuleSet
from engine.stores.base import StoreReader

RULES: Final = "rules"
SNAPSHOT: Final = "snapshot"
REPLAY: Final = "replay"

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


class EnvelopeGapError(CorruptStateError):
    """Envelopes are missing between the last that was taken and the next that came."""

    title = "Envelopes are missing"


class Envelope(NamedTuple):
    """A message of the partition: its offset, the append time (microseconds), its bytes."""

    offset: int
    at: int
    value: bytes


@dataclass(slots=True)
class Step:
    """What is committed at once: records to put and to drop, and the outputs that belong to it.

    `parcel` is already among the records. `cut` tells that the rows of a snapshot have to be sent
    before the next step.
    """

    puts: dict[bytes, bytes]
    deletes: list[bytes]
    parcel: Parcel | None
    cut: bool
    outcomes: Sequence[Outcome] = field(default=())


class Partition:
    """The core over one partition's table, step by step.

    `rules` are those that `record` names, None where it names none.
    """

    def __init__(
        self, number: int, table: StoreReader, record: LedgerRecord, rules: RuleSet
    ) -> None:
        self.number = number
        self.table = table
        self.record = record
        self.engine = Engine(table, relaying(rules), WALL)
        self._messages: Messages = {}
        self._first_live: dict[bytes, bytes] = {}
        self._parcels = [name for name, _ in table.scan(parcel_name(0)[:1])]

    @property
    def next_offset(self) -> int:
        """The offset of the envelope to be taken next."""
        return self.record.applied + 1

    def next_due(self) -> int | None:
        """The next instant at which something falls due though no envelope comes."""
        return self.engine.next_due()

    def delivered(self, number: int) -> None:
        """Note that outputs are known to be delivered up to the number."""
        self.record.acknowledged = max(self.record.acknowledged, number)

    def undelivered(self) -> Iterator[Parcel]:
        """The outputs that are committed and not known to be delivered."""
        for name in self._parcels:
            stored = self.table.get(name)
            assert stored is not None, "a parcel is dropped only after it was delivered"
            yield read_parcel(stored)

    def note_delivered(self) -> Step | None:
        """Note by itself what is known to be delivered; None when there is nothing to note."""
        delivered = list(self._delivered_parcels())
        if not delivered:
            return None
        return Step({LEDGER: _encode(self.record)}, delivered, None, cut=False)

    # --- steps ---------------------------------------------------------------------------------

    def take(self, envelope: Envelope, rules: RuleSet | None) -> Iterator[Step]:
        """Take an envelope; each step has to be committed before the next is asked for.

        `rules` is the rule set that a control entry names; None when it cannot be used. What was
        taken before is skipped.

        Raises:
            EnvelopeGapError: it is not the next one.
        """
        record = self.record
        if envelope.offset <= record.applied:
            return
        if envelope.offset != record.applied + 1:
            raise EnvelopeGapError(
                f"partition {self.number} of the ledger has taken the envelopes up to "
                f"{record.applied}, and the next one is {envelope.offset}",
                "Envelopes were lost: restore ledger.envelopes, or rebuild this partition from a "
                "snapshot and the movements since.",
            )
        now = record.time = envelope.at if record.time is None else max(record.time, envelope.at)
        yield from self._advance(now)
        entry = _entry_of(envelope, self.number)
        outcomes: list[Outcome] = []
        if isinstance(entry, Movements):
            outcomes = self._take_movements(entry)
        elif isinstance(entry, ControlEntry):
            yield from self._obey(entry, rules, now)
        record.applied = envelope.offset
        yield self._step(outcomes)

    def _advance(self, now: int) -> Iterator[Step]:
        """Let time reach `now`; a step for each point that the core wants committed."""
        while not self.engine.advance(now):
            self._tell(quantities(self.engine))
            if self.engine.standing.cut is not None:
                self._tell_cut(self.engine.standing.cut)
            yield self._step(())
        self._tell(quantities(self.engine))

    def _take_movements(self, entry: Movements) -> list[Outcome]:
        payloads, origins = self._unseen(entry)
        if not payloads:
            return []
        outcomes: list[Outcome] = []
        prepared = self.engine.prepare(payloads, lambda index: _origin(origins, index))
        # What is told of a movement follows from it as it came.
        done = self.engine.take(prepared, 0, outcomes)
        assert done == len(payloads), "with the wall clock nothing stops a batch"
        self._tell({OUTCOMES: outcome_messages(prepared.movements, outcomes)})
        return outcomes

    def _unseen(self, entry: Movements) -> tuple[list[bytes], list[tuple[int, str, list[int]]]]:
        """The payloads that were not taken before, and where each stretch of them came from."""
        marks = self.record.marks
        payloads: list[bytes] = []
        origins: list[tuple[int, str, list[int]]] = []
        for run in entry.runs:
            source = run.source
            mark = marks.get(source, -1)
            if run.offsets[-1] <= mark:
                continue
            new, offsets = run.payloads, run.offsets
            if offsets[0] <= mark:
                seen = sum(1 for offset in offsets if offset <= mark)
                new, offsets = new[seen:], offsets[seen:]
            marks[source] = offsets[-1]
            origins.append((len(payloads), f"{run.topic}/{run.partition}", offsets))
            payloads.extend(new)
        return payloads, origins

    # --- control entries -----------------------------------------------------------------------

    def _obey(self, entry: ControlEntry, rules: RuleSet | None, now: int) -> Iterator[Step]:
        if entry.kind == RULES:
            yield from self._change_rules(entry.name, rules, now)
        elif entry.kind == SNAPSHOT:
            self.engine.order_snapshot()
        else:
            log = structlog.get_logger("sellable.ledger")
            log.error("an order is not known here", kind=entry.kind, partition=self.number)

    def _change_rules(self, name: str, rules: RuleSet | None, now: int) -> Iterator[Step]:
        log = structlog.get_logger("sellable.ledger")
        if rules is None:
            return
        yield self._step(())
        try:
            self.engine.change_rules(relaying(rules))
        except SellableError as error:
            log.error("rules cannot be used, those in force stay", reason=error.message)
            return
        self.record.rules = name
        notice = _encode_json(RulesNotice(name, now))
        for channel in rules.channels:
            self._tell({of_channel(QUANTITIES, channel.name): [(RULES_KEY, notice, [])]})

    # --- snapshots -----------------------------------------------------------------------------

    def _tell_cut(self, tick: int) -> None:
        notice = _encode_json(SnapshotNotice(tick))
        for channel in self.engine.rules.channels:
            self._tell({of_channel(QUANTITIES, channel.name): [(SNAPSHOT_KEY, notice, [])]})

    def cut_written(self) -> Step:
        """Note that the rows of the snapshot that was due are sent; to be committed."""
        self.engine.cut_written(1)
        return self._step(())

    # --- one step ------------------------------------------------------------------------------

    def _tell(self, messages: Messages) -> None:
        for topic, told in messages.items():
            if told:
                self._messages.setdefault(topic, []).extend(told)

    def _step(self, outcomes: Sequence[Outcome]) -> Step:
        changes = self.engine.collect()
        deletes = [*self._emptied(changes), *changes.deletes]
        puts = changes.puts
        deletes.extend(self._delivered_parcels())
        parcel = self._parcel(changes)
        if parcel is not None:
            name = parcel_name(parcel.first)
            puts[name] = _encode(parcel)
            self._parcels.append(name)
        puts[LEDGER] = _encode(self.record)
        return Step(puts, deletes, parcel, self.engine.standing.cut is not None, outcomes)

    def _parcel(self, changes: Changes) -> Parcel | None:
        record = self.record
        told = output_messages(dict(changes.outputs), self.number, record.number + 1)
        told.update(self._messages)
        self._messages = {}
        count = sum(map(len, told.values()))
        if not count:
            return None
        parcel = Parcel(record.number + 1, count, told)
        record.number += count
        return parcel

    def _delivered_parcels(self) -> Iterator[bytes]:
        """The names of parcels whose every output is known to be delivered."""
        last = parcel_name(self.record.acknowledged + 1)
        # A parcel is delivered when the next one begins at or before the first that is not.
        while self._parcels and self._parcels[0] < last:
            end = parcel_name(self.record.number + 1)
            following = self._parcels[1] if len(self._parcels) > 1 else end
            if following > last:
                return
            yield self._parcels.pop(0)

    def _emptied(self, changes: Changes) -> Iterator[bytes]:
        """The names of the records in the ranges to be emptied, those put anew left out.

        A compacted topic forgets by key, so a range becomes one tombstone for each of its records.
        """
        for first, end in changes.ranges:
            kind = first[:1]
            start = first
            if first == kind:
                # Records of whole kinds are numbered by commits: those before are gone for good.
                start = self._first_live.get(kind, first)
                self._first_live[kind] = numbered(kind, self.engine.standing.commit)
            for name, _ in self.table.scan(kind, start):
                if name >= end:
                    break
                if name not in changes.puts:
                    yield name


def _entry_of(envelope: Envelope, partition: int) -> Entry:
    """What the envelope says; one that cannot be read is a movement that will be refused."""
    try:
        return decode(envelope.value)
    except PoisonEnvelopeError as error:
        log = structlog.get_logger("sellable.ledger")
        log.error("an envelope cannot be read", offset=envelope.offset, reason=error.message)
        return _as_movement(envelope, partition)


def _as_movement(envelope: Envelope, partition: int) -> Movements:
    return Movements([Run(ENVELOPES, partition, 0, [envelope.offset], [envelope.value])])


def _origin(origins: Sequence[tuple[int, str, list[int]]], index: int) -> str:
    """Where a movement came from: `movements.pos/3@1234`."""
    first, source, offsets = next(run for run in reversed(origins) if run[0] <= index)
    return f"{source}@{offsets[index - first]}"
