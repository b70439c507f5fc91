"""What the engine on Kafka said, beside what the oracle makes of the same log.

Each ledger partition has an oracle of its own. It is fed what stands in that partition's log, in
its order and at its times; so whatever interleaving of sources the workers brought about, what must
come out of it is known.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from engine.kafka.catalogue import (
    AVAILABILITY,
    DECISIONS,
    ENVELOPES,
    EXCEPTIONS,
    OUTCOMES,
    POSTINGS,
    of_channel,
)
from engine.kafka.envelopes import Movements, decode
from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import read_all
from tests.oracle import Oracle
from tests.oracle.decoding import DISPOSITIONS

US_PER_MS = 1_000
DECISION_FIELDS = ("reservation", "sku", "location", "channel", "outcome", "quantity", "requested")
EXCEPTION_FIELDS = ("code", "outcome", "payload", "correlation_id")


Said = dict[int, list[dict[str, Any]]]


async def disagreements(settings: KafkaSettings, rules: Mapping[str, Any]) -> list[str]:
    """Everything that the oracle would have said otherwise; empty when all is well."""
    log = await read_all(settings, ENVELOPES)
    replays = {
        partition: Replay(rules, records) for partition, records in by_partition(log).items()
    }
    oracles = {partition: replay.oracle for partition, replay in replays.items()}
    found: list[str] = []
    told: Callable[[Oracle], list[dict[str, Any]]]
    outcomes = once(await read_all(settings, OUTCOMES), found)
    for partition, replay in replays.items():
        heard = [_outcome(one) for one in outcomes.get(partition, [])]
        found += _compare(f"{OUTCOMES}/{partition}", replay.outcomes(), heard)
    for topic, told in (
        (EXCEPTIONS, lambda each: each.exceptions),
        (DECISIONS, lambda each: each.decisions),
    ):
        said = once(await read_all(settings, topic), found)
        for partition, oracle in oracles.items():
            names = EXCEPTION_FIELDS if topic == EXCEPTIONS else DECISION_FIELDS
            mine = [_only(one, names) for one in told(oracle)]
            other = [_only(one, names) for one in said.get(partition, [])]
            found += _compare(f"{topic}/{partition}", mine, other)
    found += _postings(oracles, once(await read_all(settings, POSTINGS), found))
    for channel in rules["channels"]:
        records = await read_all(settings, of_channel(AVAILABILITY, channel))
        found += _availability(channel, oracles.values(), records)
    return found


def by_partition(records: Sequence[ConsumerRecord]) -> dict[int, list[ConsumerRecord]]:
    """Messages by partition, each in the order of the log."""
    found: dict[int, list[ConsumerRecord]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    return found


class Replay:
    """An oracle after a partition of the log; what was sent again is left out."""

    def __init__(self, rules: Mapping[str, Any], records: Sequence[ConsumerRecord]) -> None:
        self.oracle = Oracle(rules, "wall")
        self._payloads: list[bytes] = []
        marks: dict[str, int] = {}
        now = 0
        for record in records:
            now = max(now, record.timestamp * US_PER_MS)
            entry = decode(record.value)
            self.oracle.advance(now)
            if not isinstance(entry, Movements):
                continue
            for run in entry.runs:
                for offset, payload in zip(run.offsets, run.payloads, strict=True):
                    if offset > marks.get(run.source, -1):
                        marks[run.source] = offset
                        self.oracle.feed(payload, now)
                        self._payloads.append(payload)

    def outcomes(self) -> list[tuple[Any, ...]]:
        """Identity, outcome and code of every movement; one that cannot be read has no identity."""
        return [
            (*_identity(payload), outcome, code)
            for payload, (outcome, code) in zip(self._payloads, self.oracle.outcomes, strict=True)
        ]


def once(records: Sequence[ConsumerRecord], found: list[str]) -> Said:
    """What was said by partition; a repeat, with the same header `id`, counts once."""
    said: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for record in records:
        identity = dict(record.headers)["id"]
        before = said[record.partition].setdefault(identity, record.value)
        if before != record.value:
            found.append(f"{record.topic}: {identity!r} was said with other content")
    return {
        partition: [_read(value) for value in values.values()] for partition, values in said.items()
    }


def _read(value: bytes) -> dict[str, Any]:
    """A record; a payload in base64 as the oracle has it."""
    record: dict[str, Any] = json.loads(value)
    if "payload_base64" in record:
        payload = base64.b64decode(record["payload_base64"])
        record["payload"] = payload.decode(errors="surrogateescape")
    return record


def _outcome(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("source", "id", "sku", "outcome", "code"))


def _identity(payload: bytes) -> tuple[Any, ...]:
    """Source, id and SKU, each as far as the payload says it in text."""
    try:
        fields = json.loads(payload)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return None, None, None
    found = (fields.get(name) for name in ("source", "id", "sku"))
    return tuple(value if isinstance(value, str) else None for value in found)


def _only(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: record.get(name) for name in names}


def _compare(where: str, mine: Sequence[Any], other: Sequence[Any]) -> list[str]:
    for index in range(max(len(mine), len(other))):
        left = mine[index] if index < len(mine) else None
        right = other[index] if index < len(other) else None
        if left != right:
            sizes = f"{len(mine)} and {len(other)}"
            return [f"{where} at {index} of {sizes}: the oracle has {left}, the engine {right}"]
    return []


def _postings(oracles: Mapping[int, Oracle], said: Said) -> list[str]:
    """The lines of all documents sum up to the stock; sequences have no gaps."""
    found = []
    for partition, oracle in oracles.items():
        documents = said.get(partition, [])
        sequences = [one["sequence"] for one in documents]
        if sequences != list(range(1, len(documents) + 1)):
            found.append(f"postings/{partition}: the sequence is {sequences}")
        sums: Counter[tuple[str, str, str]] = Counter()
        for one in documents:
            for line in one["lines"]:
                sums[line["sku"], line["location"], line["disposition"]] += line["quantity"]
        for sku, location in oracle.world.book.versions:
            state = oracle.state(sku, location)
            for disposition in DISPOSITIONS:
                booked = sums[sku, location, disposition]
                if booked != state[disposition]:
                    found.append(
                        f"postings/{partition}: {sku} at {location} {disposition} is "
                        f"{state[disposition]}, booked {booked}"
                    )
    return found


def _availability(
    channel: str, oracles: Iterable[Oracle], records: Sequence[ConsumerRecord]
) -> list[str]:
    """Versions rise, nothing is told twice, and the last publication of every key is right."""
    found = []
    last: dict[tuple[str, str | None], dict[str, Any]] = {}
    for record in records:
        told = json.loads(record.value)
        key = told["sku"], told["location"]
        before = last.get(key)
        if before is not None and before["version"] >= told["version"]:
            found.append(f"{channel}: {key} goes from {before} to {told}")
        if before is not None and _value(before) == _value(told):
            found.append(f"{channel}: {key} is told {_value(told)} twice")
        last[key] = told
    wanted = {
        (sku, location): oracle.computed(channel, sku, location)
        for oracle in oracles
        for name, sku, location in oracle.world.publisher.keys
        if name == channel
    }
    for key in sorted(wanted.keys() | last.keys(), key=str):
        heard = last[key]["available"] if key in last else None
        if wanted.get(key) != heard:
            found.append(f"{channel}: {key} is {wanted.get(key)}, last told {heard}")
    return found


def _value(told: Mapping[str, Any]) -> tuple[int, str]:
    return told["available"], told["status"]
