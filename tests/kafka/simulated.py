"""The engine on Kafka without a broker: the same pure parts over logs in memory, with a made time.

Envelopes are cut at random, workers end at random between two writes and go on from what the logs
hold, and compacted logs are compacted at random. The results have the shape of the oracle's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.core.step import Outcome
from engine.kafka.channel_publisher import ChannelPublisher
from engine.kafka.envelope_reading import Envelope
from engine.kafka.envelopes import ControlEntry, Run, encode_control, encode_movements, encode_time
from engine.kafka.ledger_record import LEDGER, LedgerRecord, Message, Parcel, read_ledger_record
from engine.kafka.ledger_snapshot import ledger_snapshot
from engine.kafka.messages import RULES_KEY, Quantity
from engine.kafka.partition import Partition, Step
from engine.kafka.partitioning import partition_of
from engine.kafka.publications import publication_message, read_publication
from engine.kafka.rules_content import no_rules
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet
from engine.stores.memory import MemoryStore
from tests.oracle.decoding import decode

Record = tuple[bytes, bytes | None]
RULES_NAME = "rules"
PARTITIONS = 3


def compacted(log: Sequence[Record], chance: random.Random) -> list[Record]:
    """A log as the cleaner may leave it: of every key the last record, and some earlier ones.

    A tombstone may be gone, but only together with everything before it.
    """
    last = {key: place for place, (key, _) in enumerate(log)}
    dropped = {
        key for key, place in last.items() if log[place][1] is None and chance.random() < 0.5
    }
    clean_until = chance.randint(0, len(log))
    return [
        (key, value)
        for place, (key, value) in enumerate(log)
        if (place == last[key] and key not in dropped)
        or (place >= clean_until and key not in dropped)
    ]


def restored(log: Sequence[Record]) -> MemoryStore:
    """The table that a changelog tells of."""
    table = MemoryStore()
    for key, value in log:
        if value is None:
            table.commit({}, [key])
        else:
            table.commit({key: value})
    return table


@dataclass
class SimulatedPartition:
    """One partition of the ledger: its log of envelopes, its changelog, and who works on them."""

    number: int
    rules: RuleSet
    chance: random.Random
    crashes: float
    topics: dict[str, list[list[Message]]]
    envelopes: list[Envelope] = field(default_factory=list)
    changelog: list[Record] = field(default_factory=list)
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = MemoryStore()
        self.partition = Partition(
            self.number, PARTITIONS, self.table, LedgerRecord(life="simulated"), no_rules()
        )
        self.cuts: list[list[Message]] = []

    def append(self, value: bytes, at: int) -> None:
        """Append an envelope, and have it taken, however often the worker ends meanwhile."""
        self.envelopes.append(Envelope(len(self.envelopes), at // 1_000 * 1_000, value))
        while self.partition.next_offset < len(self.envelopes):
            self._work()

    def _work(self) -> None:
        envelope = self.envelopes[self.partition.next_offset]
        for step in self.partition.take(envelope, self.rules):
            if self._crashes():
                return  # nothing was written
            self._commit(step)
            if step.outcomes:
                self.outcomes[envelope.offset] = list(step.outcomes)
            if self._crashes():
                return  # nothing was sent
            self._send(step.parcel)
            if step.cut:
                self._cut()

    def _commit(self, step: Step) -> None:
        self.table.commit(step.puts, step.deletes)
        self.changelog.extend(step.puts.items())
        self.changelog.extend((name, None) for name in step.deletes)

    def _send(self, parcel: Parcel | None) -> None:
        if parcel is None:
            return
        for topic, messages in parcel.messages.items():
            self.topics.setdefault(topic, [[] for _ in range(PARTITIONS)])[self.number].extend(
                messages
            )
        if self.chance.random() < 0.8:
            self.partition.delivered(parcel.last)

    def _cut(self) -> None:
        engine = self.partition.engine
        rows = [row for some in ledger_snapshot(engine, self.table, self.number) for row in some]
        self.cuts.append(rows)
        self._commit(self.partition.cut_written())

    def _crashes(self) -> bool:
        if self.chance.random() >= self.crashes:
            return False
        self.restart()
        return True

    def restart(self) -> None:
        """Another worker takes over: from the changelog, compacted or not."""
        if self.chance.random() < 0.7:
            self.changelog = compacted(self.changelog, self.chance)
        self.table = restored(self.changelog)
        stored = self.table.get(LEDGER)
        record = LedgerRecord(life="simulated") if stored is None else read_ledger_record(stored)
        rules = self.rules if record.rules else no_rules()
        self.partition = Partition(self.number, PARTITIONS, self.table, record, rules)
        for parcel in list(self.partition.undelivered()):
            self._send(parcel)
        if self.partition.engine.standing.cut is not None:
            self._cut()


class SimulatedChannel:
    """One channel: its publications, and who works on them."""

    def __init__(
        self, name: str, rules: RuleSet, chance: random.Random, crashes: float, partitions: int
    ) -> None:
        self.name = name
        self.rules = rules
        self.chance = chance
        self.crashes = crashes
        self.partitions = partitions
        self.records: list[dict[str, Any]] = []
        self.log: list[list[tuple[bytes, Message]]] = [[] for _ in range(partitions)]
        self.publisher = ChannelPublisher(name)
        self.read = [0] * partitions

    def tick(self, now: int, quantities: list[list[Message]]) -> None:
        """Read what came, and publish what is due on the tick."""
        if self.chance.random() < self.crashes:
            self._restart()
        self._read(quantities)
        if self.publisher.idle(now):
            return
        for publication in self.publisher.tick(now):
            message = publication_message(publication)
            assert message[0] is not None
            assert message[1] is not None
            self.log[publication.partition].append((message[0], message))
            self.records.append(json.loads(message[1]))

    def _read(self, quantities: list[list[Message]]) -> None:
        for number, messages in enumerate(quantities):
            for key, value, _ in messages[self.read[number] :]:
                assert key is not None
                if key == RULES_KEY:
                    self.publisher.change_rules(self.rules)
                elif not key.startswith(b"\x00"):
                    told = msgspec.json.decode(value or b"", type=Quantity)
                    self.publisher.take(told, number)
            self.read[number] = len(messages)

    def _restart(self) -> None:
        self.publisher = ChannelPublisher(self.name)
        self.read = [0] * self.partitions
        for number, log in enumerate(self.log):
            for _, (_, value, headers) in log:
                self.publisher.restore(*read_publication(value or b"", headers), number)


class SimulatedCluster:
    """The workers of a cluster by a made clock: feed it lines as the oracle is fed."""

    def __init__(
        self, folder: Path, seed: int = 0, crashes: float = 0.0, partitions: int = PARTITIONS
    ) -> None:
        self.rules = load_rules(folder)
        self.chance = random.Random(seed)
        self.topics: dict[str, list[list[Message]]] = {}
        self.partitions = [
            SimulatedPartition(number, self.rules, self.chance, crashes, self.topics)
            for number in range(partitions)
        ]
        self.channels = {
            channel.name: SimulatedChannel(
                channel.name, self.rules, self.chance, crashes, partitions
            )
            for channel in self.rules.channels
        }
        self.tick = self.rules.settings.publish_tick
        self.now: int | None = None
        self.offset = 0
        self.places: list[tuple[int, int]] = []  # of each line: partition, envelope

    # --- driving -------------------------------------------------------------------------------

    def feed(self, line: bytes, now: int) -> None:
        """Bring one movement at the instant `now`, by way of ingest."""
        self.advance(now)
        told = decode(line, list(self.channels))
        sku = told["sku"] if isinstance(told, Mapping) else None
        number = partition_of(sku or line[:20].hex(), len(self.partitions))
        run = Run("movements.pos", 0, 1, [self.offset], [line])
        self.offset += 1
        partition = self.partitions[number]
        self.places.append((number, len(partition.envelopes)))
        partition.append(encode_movements([run]), now)

    def advance(self, now: int) -> None:
        """Let time pass, with all that falls due; every partition is told the time."""
        if self.now is None:
            for partition in self.partitions:
                partition.append(encode_control(ControlEntry("rules", RULES_NAME)), now)
            self.now = now
        while (due := min(self._dues(), default=None)) is not None and due <= now:
            # Brokers tell the time in milliseconds.
            self._happen(max(-(-due // 1_000) * 1_000, self.now))
        for partition in self.partitions:
            partition.append(encode_time(), now)
        self.now = max(self.now, now)

    def _happen(self, due: int) -> None:
        self.now = due
        for partition in self.partitions:
            own = partition.partition.next_due()
            if own is not None and own <= due:
                partition.append(encode_time(), due)
        if due % self.tick == 0:
            for name, channel in self.channels.items():
                channel.tick(due, self.topics.get(f"quantities.{name}", []))

    def _dues(self) -> Iterator[int]:
        assert self.now is not None
        for partition in self.partitions:
            due = partition.partition.next_due()
            if due is not None:
                yield due
        for channel in self.channels.values():
            pending = channel.publisher.next_due()
            if pending is not None:
                yield pending

    # --- results -------------------------------------------------------------------------------

    @property
    def publications(self) -> dict[str, list[dict[str, Any]]]:
        """The availability records by channel."""
        return {name: channel.records for name, channel in self.channels.items()}

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        """Outcome and code, one per line."""
        found = []
        for number, offset in self.places:
            (outcome,) = self.partitions[number].outcomes[offset]
            code = None if outcome.refusal is None else outcome.refusal.code
            found.append((outcome.outcome, code))
        return found

    def told(self, topic: str) -> list[dict[str, Any]]:
        """The records of a topic, those sent again left out."""
        found: dict[bytes, dict[str, Any]] = {}
        for number, messages in enumerate(self.topics.get(topic, [])):
            for place, (_, value, headers) in enumerate(messages):
                identity = dict(headers).get("id", f"{number}/{place}".encode())
                found.setdefault(identity, json.loads(value or b""))
        return list(found.values())

    def ledger_rows(self) -> dict[str, dict[str, Any]]:
        """The state of every key, as the tables have it."""
        found = {}
        for partition in self.partitions:
            engine = partition.partition.engine
            for rows in ledger_snapshot(engine, partition.table, partition.number):
                for _, value, _ in rows:
                    row = json.loads(value or b"")
                    if "kind" not in row:
                        found[f"{row.pop('sku')}|{row.pop('location')}"] = row
        return found
