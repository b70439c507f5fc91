"""The AsyncAPI document: what the catalogue of topics says, in the words of the specification.

`asyncapi-3.0.0.schema.json` is the JSON Schema of AsyncAPI 3.0.0 that its makers publish (in the
package @asyncapi/specs, Apache License 2.0), with the spaces taken out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from engine.kafka.asyncapi import FILE, write
from engine.kafka.catalogue import TOPICS, Direction

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "topics"
OUTSIDE = [topic for topic in TOPICS if topic.direction is not Direction.INSIDE]


def document() -> Any:
    """The stored document."""
    return yaml.safe_load((FOLDER / FILE).read_text())


def test_the_stored_document_is_what_the_catalogue_gives(tmp_path: Path) -> None:
    """Otherwise run: python -m engine.kafka.asyncapi topics."""
    write(tmp_path)
    assert (FOLDER / FILE).read_text() == (tmp_path / FILE).read_text()


def test_the_document_is_valid_asyncapi_3() -> None:
    """By the schema of the specification, the Kafka bindings included."""
    schema = json.loads((HERE / "asyncapi-3.0.0.schema.json").read_text())
    errors = sorted(Draft7Validator(schema).iter_errors(document()), key=str)
    assert [(list(error.path), error.message) for error in errors] == []


def test_every_topic_that_others_meet_is_a_channel_with_its_schema_and_one_operation() -> None:
    """What is inside is nobody's business."""
    said = document()
    assert {each["address"] for each in said["channels"].values()} == {
        topic.name for topic in OUTSIDE
    }
    for channel in said["channels"].values():
        reference = channel["messages"]["record"]["payload"]["schema"]["$ref"]
        assert (FOLDER / reference).is_file()
    named = [each["channel"]["$ref"] for each in said["operations"].values()]
    assert sorted(named) == sorted(f"#/channels/{name}" for name in said["channels"])
