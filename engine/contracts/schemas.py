"""Writes the descriptions of the topics: one JSON Schema each, and the AsyncAPI document.

`python -m engine.contracts.schemas [FOLDER]` writes them into the folder, by default `topics`.
They are generated from the wire types, so they cannot say anything else than the code does.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
import yaml

from engine.contracts.availability import Availability
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord
from engine.contracts.findings import Finding
from engine.contracts.movement_schema import DRAFT, JsonSchema, movement_schema
from engine.contracts.outcomes import MovementOutcome
from engine.contracts.postings import Posting
from engine.contracts.snapshots import ChannelRow, LedgerRow, SnapshotHeader, SnapshotTrailer

_REF_TEMPLATE: Final = "#/$defs/{name}"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, its address on Kafka, its key there, and what a record may be."""

    name: str
    summary: str
    key: str
    records: tuple[type[msgspec.Struct], ...]
    address: str = ""


OUTGOING: Final = (
    Topic(
        "availability",
        "What a channel may sell of each key, throttled; compacted.",
        "`sku`, or `sku|location` for a channel of granularity location",
        (Availability,),
        "availability.{channel}",
    ),
    Topic(
        "reservations.decisions",
        "Every step in the life of a reservation.",
        "`sku`",
        (Decision,),
    ),
    Topic(
        "erp.postings",
        "Stock changes summed into documents for the ERP.",
        "none: one sequence per partition",
        (Posting,),
    ),
    Topic(
        "reconciliation.snapshots",
        "Consistent cuts of every channel and of the ledger: header, rows, trailer.",
        "`snapshot`",
        (SnapshotHeader, ChannelRow, LedgerRow, SnapshotTrailer),
    ),
    Topic(
        "reconciliation.findings",
        "Differences between what another system observed and the book.",
        "`sku`",
        (Finding,),
    ),
    Topic(
        "exceptions",
        "Movements that were refused, and warnings about movements that were applied.",
        "`exception`",
        (ExceptionRecord,),
    ),
    Topic(
        "movements.outcomes",
        "What became of every movement; on Kafka only.",
        "`sku`",
        (MovementOutcome,),
    ),
)

# Fields that are written always although the struct gives them a default.
_ALWAYS_WRITTEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "SnapshotHeader": ("kind",),
        "SnapshotTrailer": ("kind",),
        "CountedAt": ("sellable", "inspecting", "damaged"),
    }
)


def outgoing_schema(topic: Topic) -> JsonSchema:
    """The JSON Schema (draft 2020-12) of one record of an outgoing topic."""
    references, definitions = msgspec.json.schema_components(
        topic.records, ref_template=_REF_TEMPLATE
    )
    for name, definition in definitions.items():
        _require(definition, _ALWAYS_WRITTEN.get(name, ()))
        # Newer Pythons take the indentation out of docstrings by themselves.
        definition["description"] = inspect.cleandoc(definition["description"])
    if "ExceptionRecord" in definitions:
        definitions["ExceptionRecord"]["oneOf"] = [
            {"required": ["payload"]},
            {"required": ["payload_base64"]},
        ]
    chosen: JsonSchema = dict(references[0]) if len(references) == 1 else {"anyOf": [*references]}
    return {
        "$schema": DRAFT,
        "$id": f"urn:sellable:topics:{topic.name}",
        "title": topic.name,
        "description": topic.summary,
        **chosen,
        "$defs": definitions,
    }


def _require(definition: dict[str, object], fields: Sequence[str]) -> None:
    properties = definition["properties"]
    required = definition.get("required", [])
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    definition["required"] = [name for name in properties if name in required or name in fields]
    for name in fields:
        properties[name].pop("default", None)


def asyncapi() -> JsonSchema:
    """The AsyncAPI 3.0 document over all topics; it refers to the schemas beside it."""
    channels: JsonSchema = {
        "movements": _channel("movements.{source}", "What comes in.", "any", "movements")
    }
    operations: JsonSchema = {"receiveMovements": _operation("receive", "movements")}
    for topic in OUTGOING:
        channels[topic.name] = _channel(
            topic.address or topic.name, topic.summary, topic.key, topic.name
        )
        operations[f"send{_camel(topic.name)}"] = _operation("send", topic.name)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sellable",
            "version": "1",
            "description": "Stock movements in, throttled channel availability out. In files one"
            " record per line (NDJSON), on Kafka one per message.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def _channel(address: str, summary: str, key: str, folder: str) -> JsonSchema:
    channel: JsonSchema = {
        "address": address,
        "description": f"{summary} Kafka key: {key}.",
    }
    if "{" in address:
        parameter = address[address.index("{") + 1 : address.index("}")]
        channel["parameters"] = {parameter: {"description": f"Name of the {parameter}."}}
    channel["messages"] = {
        "record": {
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": {"$ref": f"./{folder}/schema.json"},
            }
        }
    }
    return channel


def _operation(action: str, channel: str) -> JsonSchema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("."))


def documents() -> dict[str, str]:
    """The text of every generated file, by its path inside the topics folder."""
    texts = {"movements/schema.json": _json(movement_schema())}
    for topic in OUTGOING:
        texts[f"{topic.name}/schema.json"] = _json(outgoing_schema(topic))
    texts["asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, width=100)
    return texts


def _json(schema: JsonSchema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Writes every generated file below the folder.

    Raises:
        OSError: a file cannot be written.
    """
    for name, text in documents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "topics"))
