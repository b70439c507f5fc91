"""The topics folder: schemas as the code has them, examples that are right, cases that are not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from engine.contracts.exceptions import CODES, Refusal
from engine.contracts.movement_fields import KNOWN_FIELDS
from engine.contracts.movements import MOVEMENT_TYPES, Movement, MovementDecoder
from engine.contracts.schemas import INCOMING, OUTGOING, Topic, documents, write
from engine.contracts.snapshots import SnapshotHeader, SnapshotTrailer

TOPICS = Path(__file__).parents[2] / "topics"
MOVEMENTS = sorted((TOPICS / "movements/examples").glob("*.json"))
INVALID = sorted((TOPICS / "movements/invalid").glob("*.json"))
ALL = (*INCOMING, *OUTGOING)
INCOMING_EXAMPLES = [
    (topic, path) for topic in INCOMING for path in sorted((TOPICS / topic.name).glob("examples/*"))
]
OUTGOING_EXAMPLES = [
    (topic, path) for topic in OUTGOING for path in sorted((TOPICS / topic.name).glob("examples/*"))
]


def schema_of(topic: str) -> dict[str, Any]:
    """The stored schema of a topic."""
    schema: dict[str, Any] = json.loads((TOPICS / topic / "schema.json").read_text())
    return schema


def validator(topic: str) -> Draft202012Validator:
    """A validator with the stored schema of a topic."""
    return Draft202012Validator(schema_of(topic))


def decode(line: bytes) -> Movement | Refusal:
    """What the engine makes of a line, when one channel is configured."""
    return MovementDecoder(["amazon-us"]).decode(line)


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_stored_file_is_what_the_code_generates(name: str) -> None:
    """Otherwise run: python -m engine.contracts.schemas topics."""
    assert (TOPICS / name).read_text(encoding="utf-8") == documents()[name]


def test_the_generated_files_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    """All of them, and nothing else."""
    write(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == documents().keys()


@pytest.mark.parametrize("topic", ["movements", *(topic.name for topic in ALL)])
def test_a_schema_is_a_schema_and_its_topic_has_examples(topic: str) -> None:
    """Of draft 2020-12, and named in the guide."""
    Draft202012Validator.check_schema(schema_of(topic))
    assert list((TOPICS / topic / "examples").iterdir())
    assert f"({topic})" in (TOPICS / "README.md").read_text()


@pytest.mark.parametrize("path", MOVEMENTS, ids=lambda path: path.stem)
def test_a_movement_example_is_taken_by_schema_and_engine(path: Path) -> None:
    """Both agree on what is right."""
    validator("movements").validate(json.loads(path.read_text()))
    assert isinstance(decode(path.read_bytes()), Movement)


def test_there_is_an_example_of_every_type_and_every_field() -> None:
    """And a refused one of every code that a line alone can meet, but for one of 64 KiB."""
    examples = [json.loads(path.read_text()) for path in MOVEMENTS]
    assert {example["type"] for example in examples} == set(MOVEMENT_TYPES)
    fields = {name for example in examples for name in example}
    assert fields >= KNOWN_FIELDS
    assert {json.loads(path.read_text())["code"] for path in INVALID} == {
        "malformed",
        "unsupported_schema",
        "unknown_type",
        "invalid_field",
        "unknown_channel",
    }


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_line_is_refused_with_its_code_and_field(path: Path) -> None:
    """By the schema too, unless the case says that a schema cannot see it."""
    case = json.loads(path.read_text())
    refusal = decode(case["line"].encode())
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == (case["code"], case["field"])
    assert refusal.message
    if case["code"] != "malformed":
        takes = validator("movements").is_valid(json.loads(case["line"]))
        assert takes == case.get("schema_accepts", False)


@pytest.mark.parametrize(
    ("topic", "path"), OUTGOING_EXAMPLES, ids=lambda value: getattr(value, "stem", "")
)
def test_an_outgoing_example_is_written_by_the_engine_as_it_stands(
    topic: Topic, path: Path
) -> None:
    """Schema, fields and their order: read into the wire type and written again it is the same."""
    text = path.read_text()
    lines = text.splitlines() if path.suffix == ".ndjson" else [text]
    for line in lines:
        values = json.loads(line)
        validator(topic.name).validate(values)
        written = {
            msgspec.json.encode(record)
            for record in (_as(kind, line) for kind in topic.records)
            if record is not None
        }
        assert json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode() in written


def _as(kind: type[msgspec.Struct], line: str) -> msgspec.Struct | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.ValidationError:
        return None


@pytest.mark.parametrize(
    "path", sorted(TOPICS.glob("reconciliation.snapshots/examples/*")), ids=lambda path: path.stem
)
def test_a_snapshot_example_is_whole(path: Path) -> None:
    """Its trailer has the number and the sum of the rows before it."""
    header_line, *row_lines, trailer_line = path.read_bytes().splitlines(keepends=True)
    header = msgspec.json.decode(header_line, type=SnapshotHeader)
    trailer = msgspec.json.decode(trailer_line, type=SnapshotTrailer)
    assert (header.kind, trailer.kind) == ("header", "trailer")
    assert header.snapshot == trailer.snapshot
    assert header.rows == trailer.rows == len(row_lines)
    assert trailer.sha256 == hashlib.sha256(b"".join(row_lines)).hexdigest()


@pytest.mark.parametrize(
    ("topic", "path"), INCOMING_EXAMPLES, ids=lambda value: getattr(value, "stem", "")
)
def test_an_example_of_what_else_comes_in_is_taken_by_schema_and_engine(
    topic: Topic, path: Path
) -> None:
    """Both agree on what is right."""
    validator(topic.name).validate(json.loads(path.read_text()))
    (record,) = topic.records
    msgspec.json.decode(path.read_bytes(), type=record)


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_readers_must_expect_fields_that_they_do_not_know(topic: Topic) -> None:
    """No schema forbids what may be added later."""
    assert "additionalProperties" not in json.dumps(schema_of(topic.name))


def test_the_examples_of_exceptions_use_codes_that_exist() -> None:
    """With the message that the engine gives."""
    for path in (TOPICS / "exceptions/examples").iterdir():
        example = json.loads(path.read_text())
        assert example["code"] in CODES
        if example["outcome"] == "refused" and "payload" in example:
            refusal = decode(example["payload"].encode())
            assert isinstance(refusal, Refusal)
            assert (refusal.code, refusal.severity, refusal.message) == (
                example["code"],
                example["severity"],
                example["message"],
            )
