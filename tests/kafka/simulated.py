"""The engine on Kafka without servers: its own parts over a broker in memory, with a made time.

Envelopes are cut at random, and on every occasion of which a seed says so something fails: owners
end and others go on from what the logs hold, deliveries are repeated, messages come late. The
results have the shape of the oracle's.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.kafka.channel_publisher import ChannelPublisher, Publication
from engine.kafka.envelopes import ControlEntry, Run, encode_control, encode_movements, encode_time
from engine.kafka.ledger_snapshot import ledger_snapshot
from engine.kafka.messages import RULES_KEY, Quantity
from engine.kafka.partitioning import partition_of
from engine.kafka.publications import publication_message, read_publication
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet
from tests.kafka.simulated_broker import (
    CRASH_AFTER,
    CRASH_BEFORE,
    LATE_QUANTITIES,
    LOST_ACKNOWLEDGEMENT,
    REBALANCE,
    SENT_AGAIN,
    WRITE,
    Broker,
    Fault,
    Faults,
    Message,
)
from tests.kafka.simulated_ledger import SimulatedPartition
from tests.oracle.decoding import decode

RULES_NAME = "rules"
PARTITIONS = 3
SOURCES = 2
APART = 0.3
EARLY = 0.5
LATE_UNTIL = 3  # messages that are left for later, at most


class SimulatedChannel:
    """One channel: its publications, and who works on them.

    `exact` is False once something came late or a worker ended between two publications of a tick:
    what is told then is as true, but not on the same ticks as the oracle's.
    """

    def __init__(
        self, name: str, rules: RuleSet, broker: Broker, chance: random.Random, partitions: int
    ) -> None:
        self.name = name
        self.rules = rules
        self.records: list[dict[str, Any]] = []
        self.publisher = ChannelPublisher(name)
        self.exact = True
        self._broker = broker
        self._chance = chance
        self._partitions = partitions
        self._read = [0] * partitions

    @property
    def waits(self) -> bool:
        """Whether quantities were left for later."""
        found = self._broker.partitions(f"quantities.{self.name}", self._partitions)
        return [len(messages) for messages in found] != self._read

    def tick(self, now: int) -> None:
        """Read what came, or most of it, and publish what is due on the tick."""
        late = self._broker.faults.at(LATE_QUANTITIES) is not None
        self._take(LATE_UNTIL if late else 0)
        if self._chance.random() < EARLY:
            self._publish(self.publisher.pass_on())
        self._publish(self.publisher.tick(now))
        if late:
            self.exact = False
            self._take(0)
            self._publish(self.publisher.pass_on())

    def _publish(self, publications: Iterator[Publication]) -> None:
        for publication in publications:
            fault = self._broker.faults.at(WRITE)
            if fault == CRASH_BEFORE:
                self._restart()
                return
            message = publication_message(publication)
            assert message[1] is not None
            log = self._broker.logs[f"availability.{self.name}", publication.partition]
            log.messages.append(Message(log.end, *message, self._broker.now_ms))
            log.end += 1
            self.records.append(json.loads(message[1]))
            if fault in (CRASH_AFTER, LOST_ACKNOWLEDGEMENT, REBALANCE):
                self._restart()
                return

    def _take(self, left: int) -> None:
        found = self._broker.partitions(f"quantities.{self.name}", self._partitions)
        for number, messages in enumerate(found):
            end = max(self._read[number], len(messages) - left)
            for one in messages[self._read[number] : end]:
                assert one.key is not None
                if one.key == RULES_KEY:
                    self.publisher.change_rules(self.rules)
                elif not one.key.startswith(b"\x00"):
                    told = msgspec.json.decode(one.value or b"", type=Quantity)
                    self.publisher.take(told, number)
            self._read[number] = end

    def _restart(self) -> None:
        """Another worker takes the channel over, and knows what the two topics hold."""
        self.exact = False
        self.publisher = ChannelPublisher(self.name)
        self._read = [0] * self._partitions
        found = self._broker.partitions(f"availability.{self.name}", self._partitions)
        for number, messages in enumerate(found):
            for one in messages:
                self.publisher.restore(*read_publication(one.value or b"", one.headers), number)
        self._take(0)


class SimulatedCluster:
    """The workers of a cluster by a made clock: feed it lines as the oracle is fed."""

    def __init__(
        self,
        rules_folder: Path,
        data_folder: Path,
        seed: int = 0,
        faults: Sequence[Fault] = (),
        partitions: int = PARTITIONS,
    ) -> None:
        self.rules = load_rules(rules_folder)
        self.broker = Broker(Faults(faults))
        chance = self._chance = random.Random(f"cluster {seed}")
        self.partitions = [
            SimulatedPartition(number, partitions, self.rules, self.broker, chance, data_folder)
            for number in range(partitions)
        ]
        self.channels = {
            channel.name: SimulatedChannel(
                channel.name, self.rules, self.broker, chance, partitions
            )
            for channel in self.rules.channels
        }
        self.tick = self.rules.settings.publish_tick
        self.now: int | None = None
        self.places: list[tuple[int, int, int]] = []  # of each line: partition, envelope, index
        self._offset = 0
        self._sent: dict[tuple[int, int], Run] = {}

    # --- driving -------------------------------------------------------------------------------

    def feed(self, lines: Sequence[bytes], now: int) -> list[bytes]:
        """Bring movements at the instant `now`, by way of ingest.

        Returns them in the order in which the ledger takes them.
        """
        self.advance(now)
        runs: dict[int, dict[int, Run]] = defaultdict(dict)
        for line in lines:
            told = decode(line, list(self.channels))
            sku = told["sku"] if isinstance(told, Mapping) else None
            number = partition_of(sku or line[:20].hex(), len(self.partitions))
            source = len(line) % SOURCES
            if source not in runs[number]:
                runs[number][source] = self._run(number, source)
            run = runs[number][source]
            run.offsets.append(self._offset)
            run.payloads.append(line)
            self._offset += 1
        ordered: list[bytes] = []
        for number, by_source in runs.items():
            for envelope in self._cut(list(by_source.values())):
                new = [one for run in envelope for one in self._new(number, run)]
                at = len(self.partitions[number].envelopes)
                self.places += [(number, at, index) for index in range(len(new))]
                ordered += new
                self.partitions[number].append(encode_movements(envelope), now)
        return ordered

    def _cut(self, runs: list[Run]) -> list[list[Run]]:
        """The runs as envelopes: in one, or each in one of its own."""
        return [[run] for run in runs] if self._chance.random() < APART else [runs]

    def _new(self, number: int, run: Run) -> list[bytes]:
        """The payloads of a run that were not sent before; the run then counts as sent."""
        known = self._sent.get((number, run.partition))
        sent = -1 if known is None else known.offsets[-1]
        self._sent[number, run.partition] = run
        told = zip(run.offsets, run.payloads, strict=True)
        return [payload for offset, payload in told if offset > sent]

    def _run(self, number: int, source: int) -> Run:
        """A run to be filled; ingest that has died may begin it with what it has sent before."""
        known = self._sent.get((number, source))
        if known is None or self.broker.faults.at(SENT_AGAIN) is None:
            return Run("movements.pos", source, 1, [], [])
        return Run("movements.pos", source, 1, list(known.offsets), list(known.payloads))

    def advance(self, now: int) -> None:
        """Let time pass, with all that falls due; every partition is told the time."""
        if self.now is None:
            self.broker.now_ms = now // 1_000
            for partition in self.partitions:
                partition.append(encode_control(ControlEntry("rules", RULES_NAME)), now)
            self.now = now
        while (due := min(self._dues(), default=None)) is not None and due <= now:
            # Brokers tell the time in milliseconds.
            self._happen(max(-(-due // 1_000) * 1_000, self.now))
        self.broker.now_ms = now // 1_000
        for partition in self.partitions:
            partition.append(encode_time(), now)
        self.now = max(self.now, now)

    def settle(self) -> None:
        """Let everything that is on its way arrive, with no more faults."""
        self.broker.faults.disarm()
        for partition in self.partitions:
            partition.settle()

    def close(self) -> None:
        """Let go of all files."""
        for partition in self.partitions:
            partition.close()

    def _happen(self, due: int) -> None:
        self.now = due
        self.broker.now_ms = due // 1_000
        for partition in self.partitions:
            own = partition.next_due()
            if own is not None and own <= due:
                partition.append(encode_time(), due)
            partition.settle()
        if due % self.tick == 0:
            for channel in self.channels.values():
                channel.tick(due)

    def _dues(self) -> Iterator[int]:
        assert self.now is not None
        for partition in self.partitions:
            due = partition.next_due()
            if due is not None:
                yield due
        for channel in self.channels.values():
            pending = channel.publisher.next_due()
            if pending is not None:
                yield pending
            if channel.waits:
                yield self.now - self.now % self.tick + self.tick

    # --- results -------------------------------------------------------------------------------

    @property
    def publications(self) -> dict[str, list[dict[str, Any]]]:
        """The availability records by channel."""
        return {name: channel.records for name, channel in self.channels.items()}

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        """Outcome and code, one per line."""
        found = []
        for number, offset, index in self.places:
            outcome = self.partitions[number].outcomes[offset][index]
            code = None if outcome.refusal is None else outcome.refusal.code
            found.append((outcome.outcome, code))
        return found

    def told(self, topic: str) -> list[dict[str, Any]]:
        """The records of a topic, those sent again left out.

        Raises:
            AssertionError: something was said again with other content.
        """
        found: dict[bytes, bytes] = {}
        for messages in self.broker.partitions(topic, len(self.partitions)):
            for one in messages:
                identity, value = dict(one.headers)["id"], one.value or b""
                assert found.setdefault(identity, value) == value, f"{identity!r} was said anew"
        return [json.loads(value) for value in found.values()]

    def ledger_rows(self) -> dict[str, dict[str, Any]]:
        """The state of every key, as the tables have it."""
        found = {}
        for partition in self.partitions:
            engine = partition.partition.engine
            for rows in ledger_snapshot(engine, partition.owner.table, partition.number):
                for _, value, _ in rows:
                    row = json.loads(value or b"")
                    if "kind" not in row:
                        found[f"{row.pop('sku')}|{row.pop('location')}"] = row
        return found
