"""Writes the JSON Schema of each topic.

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

from engine.contracts.availability import Availability
from engine.contracts.catalogue import ItemRow, LocationRow
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord
from engine.contracts.findings import Finding
from engine.contracts.movement_schema import DRAFT, JsonSchema, movement_schema
from engine.contracts.observations import ObservationRecord
from engine.contracts.outcomes import MovementOutcome, ObservationOutcome
from engine.contracts.postings import Posting
from engine.contracts.snapshots import ChannelRow, LedgerRow, SnapshotHeader, SnapshotTrailer

_REF_TEMPLATE: Final = "#/$defs/{name}"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, what it is, and what a record may be."""

    name: str
    summary: str
    records: tuple[type[msgspec.Struct], ...]


OUTGOING: Final = (
    Topic(
        "availability",
        "What a channel may sell of each key, throttled; compacted.",
        (Availability,),
    ),
    Topic("reservations.decisions", "Every step in the life of a reservation.", (Decision,)),
    Topic("erp.postings", "Stock changes summed into documents for the ERP.", (Posting,)),
    Topic(
        "reconciliation.snapshots",
        "Consistent cuts of every channel and of the ledger: header, rows, trailer.",
        (SnapshotHeader, ChannelRow, LedgerRow, SnapshotTrailer),
    ),
    Topic(
        "reconciliation.findings",
        "Differences between what another system observed and the book.",
        (Finding,),
    ),
    Topic(
        "exceptions",
        "Movements that were refused, and warnings about movements that were applied.",
        (ExceptionRecord,),
    ),
    Topic(
        "movements.outcomes",
        "What became of every movement; on Kafka only.",
        (MovementOutcome,),
    ),
    Topic(
        "observations.outcomes",
        "What became of every observation; on Kafka only.",
        (ObservationOutcome,),
    ),
)
INCOMING: Final = (
    Topic(
        "catalogue.locations", "Attributes of locations; compacted; on Kafka only.", (LocationRow,)
    ),
    Topic("catalogue.items", "Attributes of items; compacted; on Kafka only.", (ItemRow,)),
    Topic(
        "observations",
        "What other systems believe the stock is, to be compared with the book.",
        (ObservationRecord,),
    ),
)
"""Those with a schema made from a struct; the schema of `movements` follows from its own rules."""

# Fields that are written always although the struct gives them a default.
_ALWAYS_WRITTEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "SnapshotHeader": ("kind",),
        "SnapshotTrailer": ("kind",),
        "CountedAt": ("sellable", "inspecting", "damaged"),
    }
)


def record_schema(topic: Topic) -> JsonSchema:
    """The JSON Schema (draft 2020-12) of one record of a topic."""
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


def documents() -> dict[str, str]:
    """The text of every generated file, by its path inside the topics folder."""
    texts = {"movements/schema.json": _json(movement_schema())}
    for topic in (*INCOMING, *OUTGOING):
        texts[f"{topic.name}/schema.json"] = _json(record_schema(topic))
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
