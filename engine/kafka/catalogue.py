"""The catalogue of topics: everything about them that is decided, in one place.

`sellable topics create` makes what stands here, `check` compares a cluster with it, `describe`
prints it, and `topics/asyncapi.yaml` is written from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from engine.kafka.settings import KafkaSettings

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
MIB: Final = 1024 * 1024

INCOMING_MESSAGE_BYTES: Final = MIB
"""Longest message on an incoming topic. A movement may have 64 KiB; a longer one comes in all the
same, to become an exception."""

CARRYING_MESSAGE_BYTES: Final = 8 * MIB
"""Longest message where an incoming one may be quoted: each of its bytes may take six in JSON."""

MAX_DURABLE_REPLICAS: Final = 2
"""Copies that must have a message before it counts as written, where there are so many."""


class Direction(StrEnum):
    """Who writes a topic, and who reads it."""

    INCOMING = "in"
    OUTGOING = "out"
    INSIDE = "inside"


class Cleanup(StrEnum):
    """What becomes of old messages."""

    COMPACT = "compact"
    DELETE = "delete"


class Partitions(StrEnum):
    """How many partitions a topic has."""

    LEDGER = "as the ledger"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is decided; `{channel}` and `{source}` in a name stand for many topics.

    `record` names the folder of the record's schema in `topics/`, or says what an inside topic
    holds. `retention_ms` is None where messages are compacted instead. `config` is what else is
    set, by the names of Kafka.
    """

    name: str
    direction: Direction
    summary: str
    key: str
    record: str
    partitions: Partitions = Partitions.LEDGER
    cleanup: Cleanup = Cleanup.DELETE
    retention_ms: int | None = None
    max_message_bytes: int = INCOMING_MESSAGE_BYTES
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameter(self) -> str | None:
        """What a name with braces stands for: `channel`, `source`."""
        if "{" not in self.name:
            return None
        return self.name[self.name.index("{") + 1 : self.name.index("}")]

    @property
    def is_single(self) -> bool:
        """Whether the topic has one partition, however many the ledger has."""
        return self.partitions is Partitions.ONE


MOVEMENTS: Final = "movements.{source}"
RESERVATIONS: Final = "reservations"
OBSERVATIONS: Final = "observations"
CATALOGUE_LOCATIONS: Final = "catalogue.locations"
CATALOGUE_ITEMS: Final = "catalogue.items"
ENVELOPES: Final = "ledger.envelopes"
CHANGELOG: Final = "ledger.changelog"
CONTENTS: Final = "control.contents"
QUANTITIES: Final = "quantities.{channel}"
STANDINGS: Final = "channels.standing"
AVAILABILITY: Final = "availability.{channel}"
DECISIONS: Final = "reservations.decisions"
POSTINGS: Final = "erp.postings"
SNAPSHOTS: Final = "reconciliation.snapshots"
FINDINGS: Final = "reconciliation.findings"
EXCEPTIONS: Final = "exceptions"
OUTCOMES: Final = "movements.outcomes"
OBSERVED: Final = "observations.outcomes"

APPEND_TIME: Final[Mapping[str, str]] = MappingProxyType(
    {"message.timestamp.type": "LogAppendTime"}
)
"""Where time is that of the brokers, not of whoever wrote."""

DELETE_RETENTION_MS: Final = DAY_MS
"""How long a compacted topic keeps the message that takes a key away."""
COMPACT_SOON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "segment.ms": str(HOUR_MS),
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": str(DELETE_RETENTION_MS),
        **APPEND_TIME,
    }
)
"""For compacted topics that are read from their start when a worker starts: little more than one
message for each key."""
QUANTITIES_LAG_MS: Final = HOUR_MS
"""So long every quantity stays beside newer ones of its key: the publish worker finds again since
when a key has been waiting."""

TOPICS: Final = (
    Topic(
        MOVEMENTS,
        Direction.INCOMING,
        "Stock movements of one publishing system, keyed in any way.",
        "any",
        "movements",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        RESERVATIONS,
        Direction.INCOMING,
        "Movements of the order system: steps of reservations, keyed in any way.",
        "any",
        "movements",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        OBSERVATIONS,
        Direction.INCOMING,
        "What other systems believe the stock is, to be compared with the book.",
        "any",
        "observations",
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        CATALOGUE_LOCATIONS,
        Direction.INCOMING,
        "Attributes of locations; a message counts before the row of `locations.csv`, until one"
        " without a value takes it back.",
        "`location`",
        "catalogue.locations",
        partitions=Partitions.ONE,
        cleanup=Cleanup.COMPACT,
    ),
    Topic(
        CATALOGUE_ITEMS,
        Direction.INCOMING,
        "Attributes of items; a message counts before the row of `items.csv`, until one without a"
        " value takes it back.",
        "`sku`",
        "catalogue.items",
        partitions=Partitions.ONE,
        cleanup=Cleanup.COMPACT,
    ),
    Topic(
        ENVELOPES,
        Direction.INSIDE,
        "The log of the ledger: movements by the hundreds, time, and orders.",
        "none: ingest chooses the partition by the SKU",
        "envelopes of movements, time entries and control entries (MessagePack)",
        retention_ms=7 * DAY_MS,
        max_message_bytes=CARRYING_MESSAGE_BYTES,
        config=APPEND_TIME,
    ),
    Topic(
        CHANGELOG,
        Direction.INSIDE,
        "The state of the ledger.",
        "a record's name",
        "records of the ledger's table (MessagePack)",
        cleanup=Cleanup.COMPACT,
        max_message_bytes=CARRYING_MESSAGE_BYTES,
        config=COMPACT_SOON,
    ),
    Topic(
        CONTENTS,
        Direction.INSIDE,
        "What control entries name: rules folders and orders, by the hash of their content. Also "
        "which rules are in force, and what rules somebody wants published.",
        "the content's hash, or what is noted",
        "contents (MessagePack)",
        partitions=Partitions.ONE,
        cleanup=Cleanup.COMPACT,
        max_message_bytes=CARRYING_MESSAGE_BYTES,
    ),
    Topic(
        QUANTITIES,
        Direction.INSIDE,
        "What a channel may sell of each key as soon as it changes, before the throttle.",
        "`sku`, or `sku|location` for a channel of granularity location",
        "quantities (JSON)",
        cleanup=Cleanup.COMPACT,
        config={**COMPACT_SOON, "min.compaction.lag.ms": str(QUANTITIES_LAG_MS)},
    ),
    Topic(
        STANDINGS,
        Direction.INSIDE,
        "How far each channel is behind, told by its publish worker once a second.",
        "the channel",
        "standings (JSON)",
        partitions=Partitions.ONE,
        cleanup=Cleanup.COMPACT,
    ),
    Topic(
        AVAILABILITY,
        Direction.OUTGOING,
        "What a channel may sell of each key, throttled.",
        "`sku`, or `sku|location` for a channel of granularity location",
        "availability",
        cleanup=Cleanup.COMPACT,
        config=COMPACT_SOON,
    ),
    Topic(
        DECISIONS,
        Direction.OUTGOING,
        "Every step in the life of a reservation.",
        "`sku`",
        "reservations.decisions",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        POSTINGS,
        Direction.OUTGOING,
        "Stock changes summed into documents for the ERP.",
        "none: one sequence per partition",
        "erp.postings",
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        SNAPSHOTS,
        Direction.OUTGOING,
        "Consistent cuts of every channel and of the ledger: header, rows, trailer.",
        "`snapshot`",
        "reconciliation.snapshots",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        FINDINGS,
        Direction.OUTGOING,
        "Differences between what another system observed and the book.",
        "`sku`",
        "reconciliation.findings",
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        EXCEPTIONS,
        Direction.OUTGOING,
        "Movements that were refused, and warnings about movements that were applied.",
        "`exception`",
        "exceptions",
        retention_ms=90 * DAY_MS,
        max_message_bytes=CARRYING_MESSAGE_BYTES,
    ),
    Topic(
        OUTCOMES,
        Direction.OUTGOING,
        "What became of every movement.",
        "`sku`",
        "movements.outcomes",
        retention_ms=3 * DAY_MS,
    ),
    Topic(
        OBSERVED,
        Direction.OUTGOING,
        "What became of every observation.",
        "`sku`",
        "observations.outcomes",
        retention_ms=3 * DAY_MS,
    ),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it has to be on a cluster."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


def of_channel(topic: str, channel: str) -> str:
    """The name of a channel's topic: `availability.amazon-us`."""
    return topic.replace("{channel}", channel)


def wanted(
    settings: KafkaSettings, channels: Collection[str], topics: Sequence[Topic] = TOPICS
) -> list[Wanted]:
    """Every topic that an engine with these settings and channels needs."""
    return [
        Wanted(
            name=settings.topic(name),
            partitions=1 if topic.is_single else settings.partitions,
            replication=settings.copies,
            config=_config(topic, settings.copies),
        )
        for topic in topics
        for name in _names(topic, settings, channels)
    ]


def _names(topic: Topic, settings: KafkaSettings, channels: Collection[str]) -> Iterator[str]:
    if topic.parameter == "channel":
        yield from (of_channel(topic.name, channel) for channel in channels)
    elif topic.parameter == "source":
        yield from (topic.name.replace("{source}", source) for source in settings.sources)
    else:
        yield topic.name


def _config(topic: Topic, copies: int) -> Mapping[str, str]:
    retention = {} if topic.retention_ms is None else {"retention.ms": str(topic.retention_ms)}
    return {
        "cleanup.policy": topic.cleanup.value,
        **retention,
        "max.message.bytes": str(topic.max_message_bytes),
        "min.insync.replicas": str(min(MAX_DURABLE_REPLICAS, copies)),
        **topic.config,
    }
