"""Topics of a live cluster: made as the catalogue says, and compared with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from engine.contracts.errors import SellableError
from engine.kafka.catalogue import Wanted
from engine.kafka.clients import make_admin
from engine.kafka.settings import KafkaSettings

NO_ERROR: Final = 0
ALREADY_EXISTS: Final = 36
UNKNOWN_TOPIC: Final = 3
LEADER_NOT_AVAILABLE: Final = 5
NO_LEADER: Final = -1
SEEN_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.05


class BrokersError(SellableError):
    """The brokers cannot be reached, or refuse what was asked."""

    title = "The brokers did not do it"
    http_status = 503


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is on the cluster."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about a topic that is not as the catalogue has it; `found` None: no such topic."""

    topic: str
    what: str
    wanted: str
    found: str | None
    remedy: str


async def create(settings: KafkaSettings, wanted: Sequence[Wanted]) -> list[str]:
    """Make those topics that are not there; returns their names. What is there stays as it is.

    Raises:
        BrokersError: the brokers cannot be reached or refuse.
    """
    async with _Admin(settings) as admin:
        there = await _describe(admin, [topic.name for topic in wanted])
        missing = [topic for topic in wanted if topic.name not in there]
        if not missing:
            return []
        new = [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                topic_configs=dict(topic.config),
            )
            for topic in missing
        ]
        answer = await admin.create_topics(new)
        made = []
        for name, code, *message in answer.topic_errors:
            if code == NO_ERROR:
                made.append(name)
            elif code != ALREADY_EXISTS:
                raise _refused(f"the topic {name} was not made", code, message)
        await _until_seen(admin, [topic.name for topic in missing])
        return made


async def remove(settings: KafkaSettings, names: Sequence[str]) -> None:
    """Remove topics with all that is in them; one that is not there is left out.

    Raises:
        BrokersError: the brokers cannot be reached or refuse.
    """
    async with _Admin(settings) as admin:
        there = await _partitions(admin, names)
        if there:
            answer = await admin.delete_topics(list(there))
            for name, code in answer.topic_error_codes:
                if code not in (NO_ERROR, UNKNOWN_TOPIC):
                    raise _refused(f"the topic {name} was not removed", code, ())


async def check(settings: KafkaSettings, wanted: Sequence[Wanted]) -> list[Difference]:
    """Everything about the topics that is not as wanted.

    Raises:
        BrokersError: the brokers cannot be reached or refuse.
    """
    async with _Admin(settings) as admin:
        there = await _describe(admin, [topic.name for topic in wanted])
    return [each for topic in wanted for each in _differences(topic, there.get(topic.name))]


async def partitions_of(settings: KafkaSettings, names: Sequence[str]) -> dict[str, int]:
    """How many partitions the topics have, those that there are.

    Raises:
        BrokersError: the brokers cannot be reached or refuse.
    """
    async with _Admin(settings) as admin:
        topics = await _partitions(admin, names)
    return {name: len(partitions) for name, partitions in topics.items()}


def _differences(topic: Wanted, found: Found | None) -> list[Difference]:
    if found is None:
        return [Difference(topic.name, "topic", "exists", None, "Make it: sellable topics create.")]
    told = []
    if found.partitions != topic.partitions:
        told.append(
            Difference(
                topic.name,
                "partitions",
                str(topic.partitions),
                str(found.partitions),
                "The number is fixed when a topic is made: set --partitions to what is there, or "
                "start with topics of another --topic-prefix.",
            )
        )
    if found.replication < topic.replication:
        told.append(
            Difference(
                topic.name,
                "replication",
                str(topic.replication),
                str(found.replication),
                "Add copies with kafka-reassign-partitions.sh.",
            )
        )
    told += [
        Difference(
            topic.name,
            name,
            value,
            found.config.get(name, "not set"),
            f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} "
            f"--add-config {name}={value}",
        )
        for name, value in topic.config.items()
        if found.config.get(name) != value
    ]
    return told


async def _describe(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    partitions = await _partitions(admin, names)
    if not partitions:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in partitions]
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(asked):
        for code, message, _, name, entries in answer.resources:
            if code != NO_ERROR:
                raise _refused(f"the settings of the topic {name} were not told", code, [message])
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return {
        name: Found(
            partitions=len(found),
            replication=min(len(each["replicas"]) for each in found),
            config=configs[name],
        )
        for name, found in partitions.items()
    }


async def _partitions(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for topic in await admin.describe_topics(list(names)):
        code = topic["error_code"]
        if code == NO_ERROR:
            found[topic["topic"]] = topic["partitions"]
        elif code not in (UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE):
            raise _refused(f"the topic {topic['topic']} was not described", code, [])
    return found


async def _until_seen(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Wait until the brokers know of new topics, and who leads them: it is not so at once."""
    deadline = time.monotonic() + SEEN_WITHIN_S
    while True:
        found = await _partitions(admin, names)
        leaders = [each["leader"] for topic in found.values() for each in topic]
        if len(found) == len(names) and NO_LEADER not in leaders:
            return
        if time.monotonic() > deadline:
            raise BrokersError(
                f"the topics were made, but {SEEN_WITHIN_S:.0f} s later not all are ready",
                "Check that enough brokers run, then: sellable topics check.",
            )
        await asyncio.sleep(LOOK_EVERY_S)


class _Admin:
    """An admin client for as long as it is needed; what goes wrong with it is told in words."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client = make_admin(settings)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise _unreachable(self._settings, error) from error
        return self._client

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._client.close()
        if isinstance(error, KafkaError):
            raise _unreachable(self._settings, error) from error


def _unreachable(settings: KafkaSettings, error: KafkaError) -> BrokersError:
    return BrokersError(
        f"the brokers {settings.brokers} did not answer as they should: {error}",
        "Check --brokers, the security settings, and that Kafka runs.",
    )


def _refused(what: str, code: int, message: Sequence[object]) -> BrokersError:
    told = next((str(each) for each in message if each), None)
    reason = told or for_code(code).__name__
    return BrokersError(
        f"{what}: {reason}",
        "Check the rights of this user and the number of brokers; a single broker needs "
        "--replication 1 or --development.",
    )
