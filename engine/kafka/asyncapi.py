"""Writes the AsyncAPI 3 document over all topics that others read or write.

`python -m engine.kafka.asyncapi [FOLDER]` writes `asyncapi.yaml` into the folder, by default
`topics`, beside the schemas that it refers to. It is made from the catalogue of topics, so it
cannot say anything else than what `sellable topics create` makes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from engine.kafka.catalogue import (
    AVAILABILITY,
    DECISIONS,
    EXCEPTIONS,
    FINDINGS,
    OBSERVED,
    OUTCOMES,
    POSTINGS,
    TOPICS,
    Direction,
    Topic,
)
from engine.kafka.settings import DEFAULT_PARTITIONS, DEFAULT_REPLICATION

VERSION: Final = "3.0.0"
BINDING: Final = "0.5.0"
FILE: Final = "asyncapi.yaml"
SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"

Json = dict[str, object]

CORRELATION: Final[Json] = {
    "correlation_id": {"type": "string", "description": "Of the movement that was the cause."},
}
IDENTITY: Final[Json] = {
    "id": {
        "type": "string",
        "description": "Unique for ever; a message that is sent again, as after a crash, has it"
        " again.",
    },
}
CAME_FROM: Final[Json] = {
    "origin": {
        "type": "string",
        "description": "Where it came from, `topic/partition@offset`: what the brokers tell whoever"
        " sends it.",
    },
}
HEADERS: Final[Mapping[str, Json]] = {
    AVAILABILITY: {
        **CORRELATION,
        "source": {"type": "string", "description": "The source of that movement."},
        "id": {"type": "string", "description": "The id of that movement."},
    },
    OUTCOMES: {**CORRELATION, **IDENTITY, **CAME_FROM},
    OBSERVED: {**IDENTITY, **CAME_FROM},
    FINDINGS: IDENTITY,
    DECISIONS: {**CORRELATION, **IDENTITY},
    EXCEPTIONS: {**CORRELATION, **IDENTITY},
    POSTINGS: IDENTITY,
}


def asyncapi() -> Json:
    """The document: a channel for each topic that others meet, and what the engine does there."""
    topics = [topic for topic in TOPICS if topic.direction is not Direction.INSIDE]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "sellable",
            "version": "1",
            "description": "Stock movements in, throttled channel availability out. In files one"
            " record per line (NDJSON), on Kafka one per message.",
            "license": {"name": "Apache 2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic) for topic in topics},
        "operations": {f"{_verb(topic)}{_camel(topic)}": _operation(topic) for topic in topics},
    }


def write(folder: Path) -> None:
    """Writes the document into the folder.

    Raises:
        OSError: it cannot be written.
    """
    text = yaml.safe_dump(asyncapi(), sort_keys=False, width=100)
    (folder / FILE).write_text(text, encoding="utf-8")


def _channel(topic: Topic) -> Json:
    channel: Json = {"address": topic.name, "description": topic.summary}
    if topic.parameter is not None:
        channel["parameters"] = {
            topic.parameter: {"description": f"Name of the {topic.parameter}."}
        }
    channel["messages"] = {"record": _message(topic)}
    retention = {} if topic.retention_ms is None else {"retention.ms": topic.retention_ms}
    channel["bindings"] = {
        "kafka": {
            "partitions": 1 if topic.is_single else DEFAULT_PARTITIONS,
            "replicas": DEFAULT_REPLICATION,
            "topicConfiguration": {
                "cleanup.policy": [topic.cleanup.value],
                **retention,
                "max.message.bytes": topic.max_message_bytes,
            },
            "bindingVersion": BINDING,
        }
    }
    return channel


def _message(topic: Topic) -> Json:
    key = {"type": "string", "description": topic.key}
    message: Json = {}
    if topic.name in HEADERS:
        message["headers"] = {"type": "object", "properties": HEADERS[topic.name]}
    message["payload"] = {
        "schemaFormat": SCHEMA_FORMAT,
        "schema": {"$ref": f"./{topic.record}/schema.json"},
    }
    message["bindings"] = {"kafka": {"key": key, "bindingVersion": BINDING}}
    return message


def _operation(topic: Topic) -> Json:
    channel = f"#/channels/{_name(topic)}"
    return {
        "action": _verb(topic),
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/record"}],
    }


def _verb(topic: Topic) -> str:
    return "receive" if topic.direction is Direction.INCOMING else "send"


def _name(topic: Topic) -> str:
    """The name without its parameter: `availability`."""
    return topic.name.partition(".{")[0]


def _camel(topic: Topic) -> str:
    return "".join(part.capitalize() for part in _name(topic).split("."))


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "topics"))
