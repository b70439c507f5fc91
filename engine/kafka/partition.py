"""One partition of the ledger: envelopes go in, one by one, and steps to be committed come out.

Pure: it reads the partition's table, and has no time but that of the envelopes. The same envelopes
give the same steps, byte for byte.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from engine.contracts.errors import CorruptStateError, SellableError
from engine.contracts.exceptions import ExceptionRecord, Refusal
from engine.contracts.instants import format_instant
from engine.contracts.movements import Movement
from engine.contracts.observations import Observation, decode_observation
from engine.core.dead_letters import (
    DISMISSED,
    OBSERVATION,
    OPEN,
    REPLAYED,
    DeadLetter,
    read_dead_letter,
)
from engine.core.dead_letters import exception_name as dead_letter_name
from engine.core.engine import Engine
from engine.core.parts import WALL
from engine.core.step import Outcome, Prepared
from engine.kafka.catalogue import EXCEPTIONS, OUTCOMES, QUANTITIES, of_channel
from engine.kafka.envelope_reading import Envelope, Unseen, entry_of, take_unseen
from engine.kafka.envelopes import ControlEntry, Movements
from engine.kafka.ledger_record import LEDGER, LedgerRecord, Messages, Parcel, parcel_name
from engine.kafka.messages import (
    RULES_KEY,
    SNAPSHOT_KEY,
    RulesNotice,
    SnapshotNotice,
    outcome_messages,
    own_exception,
    quantities,
)
from engine.kafka.parcels import Parcels
from engine.kafka.partition_observations import take_observations, tell
from engine.kafka.partitioning import partition_of
from engine.kafka.tombstones import Tombstones
from engine.rules.relaying import relaying
from engine.rules.ruleset import RuleSet
from engine.stores.base import StoreReader

RULES: Final = "rules"
SNAPSHOT: Final = "snapshot"
REPLAY: Final = "replay"
DISMISS: Final = "dismiss"

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


class EnvelopeGapError(CorruptStateError):
    """Envelopes are missing between the last that was taken and the next that came."""

    title = "Envelopes are missing"


@dataclass(slots=True)
class Step:
    """What is committed at once: records to put and to drop, and the outputs that belong to it.

    `parcel` is already among the records. `cut` tells that the rows of a snapshot have to be sent
    before the next step. `outcomes` and `exceptions` are what the movements of the step came to.
    """

    puts: dict[bytes, bytes]
    deletes: list[bytes]
    parcel: Parcel | None
    cut: bool
    outcomes: Sequence[Outcome] = field(default=())
    exceptions: Sequence[ExceptionRecord] = field(default=())


def replay_origin(exception: str, order: str) -> str:
    """Where a replayed movement came from: the exception, and the order if that has a name."""
    return f"replay of {exception}" + (f" by {order}" if order else "")


def _is_observation(movement: Movement | Refusal, letter: DeadLetter | None) -> bool:
    """Whether a mended line is one: by its exception, or where that is elsewhere, by itself."""
    return isinstance(movement, Refusal) and (letter is None or letter.about == OBSERVATION)


class Partition:
    """The core over one partition's table, step by step.

    `partitions` is how many there are; `rules` are those that `record` names.
    """

    def __init__(
        self,
        number: int,
        partitions: int,
        table: StoreReader,
        record: LedgerRecord,
        rules: RuleSet,
    ) -> None:
        self.number = number
        self.partitions = partitions
        self.table = table
        self.record = record
        self.engine = Engine(table, relaying(rules), WALL)
        self._messages: Messages = {}
        self._parcels = Parcels(number, table, record)
        self._tombstones = Tombstones(table)

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
        return self._parcels.kept()

    def note_delivered(self) -> Step | None:
        """Note by itself what is known to be delivered; None when there is nothing to note."""
        delivered = list(self._parcels.take_delivered())
        if not delivered:
            return None
        return Step({LEDGER: _encode(self.record)}, delivered, None, cut=False)

    # --- steps ---------------------------------------------------------------------------------

    def take(self, envelope: Envelope, content: RuleSet | bytes | None) -> Iterator[Step]:
        """Take an envelope; the table has to show each step before the next is asked for.

        `content` is what a control entry names: a rule set, None when it cannot be used, or a
        movement to be replayed. What was taken before is skipped.

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
        entry = entry_of(envelope, self.number)
        outcomes: list[Outcome] = []
        if isinstance(entry, Movements):
            outcomes = self._take_movements(entry)
        elif isinstance(entry, ControlEntry):
            outcomes = yield from self._obey(entry, content, now)
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
        unseen = take_unseen(entry, self.record.marks)
        if not unseen.payloads:
            return []
        outcomes: list[Outcome] = []
        for observed, part in unseen.by_kind():
            outcomes += self._observe(part) if observed else self._take_moved(part)
        return outcomes

    def _observe(self, unseen: Unseen) -> list[Outcome]:
        origins = list(unseen.origins())
        told = take_observations(self.engine, unseen.payloads, origins, self.number)
        self._tell(told.messages)
        return told.outcomes

    def _take_moved(self, unseen: Unseen) -> list[Outcome]:
        payloads = unseen.payloads
        outcomes: list[Outcome] = []
        prepared = self.engine.prepare(payloads, unseen.origin)
        # What is told of a movement follows from it as it came.
        done = self.engine.take(prepared, 0, outcomes)
        assert done == len(payloads), "with the wall clock nothing stops a batch"
        self._tell_outcomes(prepared, payloads, outcomes, unseen.origins())
        return outcomes

    def _tell_outcomes(
        self,
        prepared: Prepared,
        lines: Sequence[bytes],
        outcomes: Sequence[Outcome],
        origins: Iterable[str],
    ) -> None:
        self._tell({OUTCOMES: outcome_messages(prepared.movements, lines, outcomes, origins)})

    # --- control entries -----------------------------------------------------------------------

    def _obey(
        self, entry: ControlEntry, content: RuleSet | bytes | None, now: int
    ) -> Generator[Step, None, list[Outcome]]:
        outcomes: list[Outcome] = []
        if entry.kind == RULES:
            rules = content if isinstance(content, RuleSet) else None
            yield from self._change_rules(entry.name, rules, now)
        elif entry.kind == SNAPSHOT:
            self.engine.order_snapshot()
        elif entry.kind == REPLAY and isinstance(content, bytes):
            outcomes = yield from self._replay(entry, content, now)
        elif entry.kind == DISMISS:
            self._close_letter(entry, DISMISSED, str(entry.fields.get("reason", "")), now)
        else:
            log = structlog.get_logger("sellable.ledger")
            log.error("an order cannot be carried out", kind=entry.kind, partition=self.number)
        return outcomes

    # --- exceptions ----------------------------------------------------------------------------

    def _replay(
        self, entry: ControlEntry, line: bytes, now: int
    ) -> Generator[Step, None, list[Outcome]]:
        """Take a mended movement if it belongs here, and close its exception if that is kept here.

        Where both are here, a movement that is refused again changes nothing. Where they are not,
        it is taken like any other, so that being refused again makes a new exception. The same goes
        for an observation.
        """
        exception = str(entry.fields.get("exception", ""))
        accept_old = bool(entry.fields.get("accept_old"))
        origin = replay_origin(exception, str(entry.fields.get("order", "")))
        prepared = self.engine.prepare([line], lambda _: origin)
        movement = prepared.movements[0]
        letter = self._letter(exception)
        if _is_observation(movement, letter):
            return self._replay_observation(entry, letter, line, origin, now)
        target = self.number
        if isinstance(movement, Movement):
            target = partition_of(movement.sku, self.partitions)
        outcomes: list[Outcome] = []
        if letter is not None and target == self.number:
            while (outcome := self._replay_here(letter, line, accept_old, now)) is None:
                yield self._step(())
            outcomes.append(outcome)
        elif letter is not None:
            self._close_letter(entry, REPLAYED, f"sent to partition {target}", now)
        elif target == self.number and isinstance(movement, Movement):
            self.engine.take_mended(prepared, outcomes, accept_old)
        if outcomes:
            self._tell_outcomes(prepared, [line], outcomes, [origin])
        return outcomes

    def _replay_here(
        self, letter: DeadLetter, line: bytes, accept_old: bool, now: int
    ) -> Outcome | None:
        return self.engine.replay(letter, line, accept_old, format_instant(now))

    def _replay_observation(
        self, entry: ControlEntry, letter: DeadLetter | None, line: bytes, origin: str, now: int
    ) -> list[Outcome]:
        observation = decode_observation(line)
        accept_old = bool(entry.fields.get("accept_old"))
        target = self.number
        if isinstance(observation, Observation):
            target = partition_of(observation.sku, self.partitions)
        if letter is not None and target != self.number:
            self._close_letter(entry, REPLAYED, f"sent to partition {target}", now)
        elif letter is not None:
            observed = self.engine.observe_mended(line, accept_old)
            if observed.refusal is None:
                self._close_letter(entry, REPLAYED, observed.outcome, now)
            told = tell([observed], [line], [origin], self.number)
            self._tell(told.messages)
            return told.outcomes
        elif target == self.number and isinstance(observation, Observation):
            told = take_observations(self.engine, [line], [origin], self.number, accept_old)
            self._tell(told.messages)
            return told.outcomes
        return []

    def _close_letter(self, entry: ControlEntry, status: str, note: str, now: int) -> None:
        letter = self._letter(str(entry.fields.get("exception", "")))
        if letter is not None and letter.status == OPEN:
            letter.status, letter.changed_at, letter.note = status, format_instant(now), note
            self.engine.keep_letter(letter)

    def _letter(self, exception: str) -> DeadLetter | None:
        """The exception of that name, if it is one of this partition."""
        own = own_exception(self.number, exception)
        stored = None if own is None else self.table.get(dead_letter_name(own))
        return None if stored is None else read_dead_letter(stored)

    # --- rules ---------------------------------------------------------------------------------

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
        received = self.engine.standing.figures.received
        notice = _encode_json(SnapshotNotice(tick, received))
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
        puts = changes.puts
        emptied = self._tombstones.of(changes, self.engine.standing.commit)
        deletes = [*emptied, *changes.deletes, *self._parcels.take_delivered()]
        messages, self._messages = self._messages, {}
        parcel = self._parcels.pack(changes.outputs, messages)
        if parcel is not None:
            puts[parcel_name(parcel.first)] = _encode(parcel)
        puts[LEDGER] = _encode(self.record)
        cut = self.engine.standing.cut is not None
        refused = changes.outputs.get(EXCEPTIONS, ())
        exceptions = [one for one in refused if isinstance(one, ExceptionRecord)]
        return Step(puts, deletes, parcel, cut, outcomes, exceptions)
