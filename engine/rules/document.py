"""YAML files as plain data in which every scalar is still the text that was written.

YAML 1.1 turns `off` and `NO` into booleans, `010` into 8 and `2.5` into a binary float. None of
that is wanted here: a region may be called NO, a SKU 010, and percentages are exact. So scalars
stay text, and the fields decide what the text means. Lines are kept for every path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from engine.rules.mistakes import Mistakes

Value: TypeAlias = "dict[str, Value] | list[Value] | str | None"
Place: TypeAlias = tuple[str | int, ...]

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest YAML file that is read."""
MAX_NODES = 2_000_000
"""Most values of one file."""
MAX_DEPTH = 32
"""Deepest nesting of one file."""

_NULL = "tag:yaml.org,2002:null"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"
_STANDARD = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its name in the folder, its plain data, and the line of every path in it."""

    file: str
    value: Value
    lines: Mapping[Place, int]

    def line(self, path: Place) -> int:
        """The line of `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(path: Path, name: str, mistakes: Mistakes) -> Document | None:
    """Read one YAML file; None (with the mistakes noted) when it is no YAML at all."""
    text = _read_text(path, name, mistakes)
    if text is None:
        return None
    # Events, not nodes: the parser keeps its own stack, while PyYAML's composer recurses and
    # takes the process down with it on a file of nothing but brackets.
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    reader = _Reader(name, mistakes, yaml.parse(text, Loader=loader))
    try:
        value = reader.read()
    except _UnusableError as error:
        mistakes.add(name, error.line, str(error), error.remedy)
    except yaml.MarkedYAMLError as error:
        last = max(1, len(text.splitlines()))
        line = min(error.problem_mark.line + 1, last) if error.problem_mark else 1
        what = error.problem or "it cannot be read"
        mistakes.add(name, line, f"this is not YAML: {what}", _yaml_remedy(text, line))
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        mistakes.add(name, line, "this is not YAML: a character that is not allowed", _SAVE_AGAIN)
    else:
        return Document(name, value, reader.lines)
    return None


_ANCHOR = "Write it out, or give what is meant a name with &."
_SAVE_AGAIN = "Take it out, or save the file again as plain UTF-8 text."


def _read_text(path: Path, name: str, mistakes: Mistakes) -> str | None:
    """The text of a file without a byte order mark; None when it cannot be read as UTF-8."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            message = f"the file has {size} bytes, more than the {MAX_FILE_BYTES} allowed"
            mistakes.add(name, 0, message, "Split it into several files.")
            return None
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        mistakes.add(name, 0, f"the file cannot be read: {reason}", "Check its permissions.")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        mistakes.add(name, line, "this is not UTF-8 text", _SAVE_AGAIN)
        return None


def _yaml_remedy(text: str, line: int) -> str:
    """What to look for on the line the YAML parser stopped at."""
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "Indent with spaces, not with tabs."
    return (
        "Check the indentation, the brackets and the quotes of this line and the one before; "
        "put text that holds ': ' or ' #' in quotes."
    )


class _UnusableError(Exception):
    """Ends the reading of a file that is YAML and yet cannot be used."""

    def __init__(self, line: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.line = line
        self.remedy = remedy


@dataclass(slots=True)
class _Reader:
    """Turns parser events into plain data and remembers where each came from."""

    file: str
    mistakes: Mistakes
    events: Iterator[yaml.Event]
    lines: dict[Place, int] = field(default_factory=dict)
    anchors: dict[str, Value] = field(default_factory=dict)
    nodes: int = 0

    def read(self) -> Value:
        """The plain data of the one document; None when the file is empty."""
        value: Value = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "a second document begins here"
                    raise _UnusableError(_line(event), message, "Take the line --- out.")
            elif isinstance(event, yaml.NodeEvent):
                value = self._read_node(event, (), 0)
        return value

    def _read_node(self, event: yaml.Event, place: Place, depth: int) -> Value:
        """The plain data of the node that the event begins; consumes all its events."""
        self.nodes += 1
        if depth > MAX_DEPTH:
            message = f"this is nested more than {MAX_DEPTH} levels deep"
            raise _UnusableError(_line(event), message, "Take brackets or indentation out.")
        if self.nodes > MAX_NODES:
            message = f"the file holds more than {MAX_NODES} values"
            raise _UnusableError(_line(event), message, "Split it into several files.")
        self.lines.setdefault(place, _line(event))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.anchors:
                return self.anchors[event.anchor]
            self._mistake(event, f"there is no &{event.anchor} before *{event.anchor}", _ANCHOR)
            return None
        value: Value = None
        if isinstance(event, yaml.MappingStartEvent):
            value = self._read_mapping(place, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._read_sequence(place, depth)
        elif isinstance(event, yaml.ScalarEvent) and not _is_null(event):
            value = event.value
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag and event.tag != "!" and not event.tag.startswith(_STANDARD):
            self._mistake(event, f"the tag {event.tag} is not known", "Take the tag out.")
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _read_sequence(self, place: Place, depth: int) -> list[Value]:
        result: list[Value] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            result.append(self._read_node(event, (*place, len(result)), depth + 1))
        return result

    def _read_mapping(self, place: Place, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        merged: list[tuple[int, Value]] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._read_key(event, place, depth)
            here = (*place, key)
            known = self.lines.setdefault(here, _line(event))
            value = self._read_node(next(self.events), here, depth + 1)
            if key == _MERGE:
                merged.append((_line(event), value))
            elif key in result:
                message = f"{key!r} is given twice, first in line {known}"
                self._mistake(event, message, "Keep one of the two.")
            elif key:
                result[key] = value
        for line, source in merged:
            self._merge(line, source, result, place)
        return result

    def _read_key(self, event: yaml.Event, place: Place, depth: int) -> str:
        """The name before a colon; empty, with the mistake noted, where there is none."""
        if isinstance(event, yaml.ScalarEvent) and not _is_null(event) and event.value:
            return event.value
        self._mistake(event, "a name is missing before the colon", "Write a name there.")
        self._read_node(event, (*place, ""), depth + 1)
        return ""

    def _merge(self, line: int, source: Value, result: dict[str, Value], place: Place) -> None:
        """Add what `<<: *anchor` brings in; what is written out wins, then the earlier anchor."""
        for block in source if isinstance(source, list) else [source]:
            if not isinstance(block, dict):
                message = "only a block of settings can be merged"
                self.mistakes.add(self.file, line, message, "Name the anchor of one.")
                continue
            for key, value in block.items():
                if key not in result:
                    result[key] = value
                    self.lines[(*place, key)] = line

    def _mistake(self, event: yaml.Event, message: str, remedy: str) -> None:
        self.mistakes.add(self.file, _line(event), message, remedy)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _is_null(event: yaml.ScalarEvent) -> bool:
    """Whether a scalar is YAML's null: written plainly, or tagged so."""
    return event.tag == _NULL or (event.implicit[0] and event.value in _NULLS)
