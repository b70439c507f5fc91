"""The YAML files of a rules folder, read into entries that know their file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import PydanticCustomError

from engine.rules.checks import KnownChannels, RuleChecker
from engine.rules.document import Document, Place, Value, read_document
from engine.rules.entries import ChannelEntry, Reading, RuleEntry, read_entry
from engine.rules.fields import CHANNELS, describe, read_channel_name
from engine.rules.mistakes import Mistakes, did_you_mean

CHANNELS_FILE = "channels.yaml"
ENGINE_FILE = "engine.yaml"
RULES_SUFFIX = ".rules.yaml"
_OTHER_SUFFIX = ".yml"

_CHANNELS_EXAMPLE = "Write in this file for example channels: {web: {granularity: sku}}."


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule as written, and where."""

    entry: RuleEntry
    file: str
    line: int


def read_engine_file(folder: Path, mistakes: Mistakes) -> Document | None:
    """`engine.yaml`, or None where there is none or it cannot be read."""
    path = folder / ENGINE_FILE
    return read_document(path, ENGINE_FILE, mistakes) if path.exists() else None


def read_channels(folder: Path, mistakes: Mistakes) -> dict[str, Reading[ChannelEntry] | None]:
    """The channels by name in the order of the file; empty when the file is of no use.

    A channel whose entry cannot be used at all is None, so that rules may still name it.
    """
    path = folder / CHANNELS_FILE
    if not path.exists():
        mistakes.add(CHANNELS_FILE, 0, "the file is missing", _CHANNELS_EXAMPLE)
        return {}
    before = len(mistakes.found)
    document = read_document(path, CHANNELS_FILE, mistakes)
    section = None if document is None else read_section(document, "channels", mistakes)
    if document is None or not section:
        if len(mistakes.found) == before:
            mistakes.add(CHANNELS_FILE, 1, "no channel is configured", _CHANNELS_EXAMPLE)
        return {}
    if not isinstance(section, dict):
        message = f"channels: a block of channels is expected, {describe(section)} was found"
        remedy = "Write each name with its settings below it, without dashes."
        mistakes.add(CHANNELS_FILE, document.line(("channels",)), message, remedy)
        return {}
    return {name: _read_channel(document, name, value, mistakes) for name, value in section.items()}


def _read_channel(
    document: Document, name: str, value: Value, mistakes: Mistakes
) -> Reading[ChannelEntry] | None:
    place = ("channels", name)
    try:
        read_channel_name(name)
    except PydanticCustomError as error:
        context = error.context or {}
        mistakes.add(document.file, document.line(place), context["message"], context["remedy"])
    given = {} if value is None else value
    return read_entry(ChannelEntry, document, place, given, {}, mistakes)


def granularities(channels: Mapping[str, Reading[ChannelEntry] | None]) -> KnownChannels:
    """What the checks need to know of the channels."""
    if not channels:
        return KnownChannels(None)
    known: dict[str, bool | None] = {}
    for name, reading in channels.items():
        sure = reading is not None and reading.sound(("granularity",))
        known[name] = reading.entry.granularity == "location" if reading and sure else None
    return KnownChannels(known)


def read_rules(folder: Path, channels: KnownChannels, mistakes: Mistakes) -> list[RuleSource]:
    """The rules of all files, checked one by one and for names given twice."""
    sources = [
        source
        for path in sorted(folder.glob(f"*{RULES_SUFFIX}"))
        if not path.name.startswith(".")
        for source in _read_rules_file(path, channels, mistakes)
    ]
    first: dict[str, RuleSource] = {}
    for source in sources:
        name = source.entry.name
        other = first.setdefault(name, source)
        if name and other is not source:
            message = f"the rule name {name!r} is given twice, first in {other.file}:{other.line}"
            remedy = "Give each rule a name of its own."
            mistakes.add(source.file, source.line, message, remedy)
    return sources


def _read_rules_file(
    path: Path, channels: KnownChannels, mistakes: Mistakes
) -> Iterator[RuleSource]:
    document = read_document(path, path.name, mistakes)
    if document is None:
        return
    section = read_section(document, "rules", mistakes)
    if section is None:
        return
    if not isinstance(section, list):
        message = f"rules: a list of rules is expected, {describe(section)} was found"
        remedy = "Begin each rule with a dash: - name: …"
        mistakes.add(path.name, document.line(("rules",)), message, remedy)
        return
    checker = RuleChecker(document, channels, mistakes)
    context = {CHANNELS: channels.by_location}
    for number, value in enumerate(section):
        place = ("rules", number)
        reading = read_entry(RuleEntry, document, place, value, context, mistakes)
        if reading is not None:
            checker.check(place, reading)
            yield RuleSource(reading.entry, path.name, _line_of(document, place))


def _line_of(document: Document, place: Place) -> int:
    """The line of a rule: that of its name, if it has one."""
    return document.line((*place, "name"))


def read_section(document: Document, key: str, mistakes: Mistakes) -> Value:
    """What stands under the one key a file may have; None when nothing does."""
    if document.value is None:
        return None
    if not isinstance(document.value, dict):
        message = f"the file must begin with {key}:, {describe(document.value)} was found"
        mistakes.add(document.file, 1, message, f"Write {key}: on the first line.")
        return None
    for other in document.value:
        if other != key:
            remedy = did_you_mean(other, [key])
            message = f"the key {other!r} is not known here"
            mistakes.add(document.file, document.line((other,)), message, remedy)
    return document.value.get(key)


def check_file_names(folder: Path, mistakes: Mistakes) -> None:
    """A file that is plainly meant to be read but would not be, for its suffix."""
    names = {CHANNELS_FILE, ENGINE_FILE}
    for path in sorted(folder.glob(f"*{_OTHER_SUFFIX}")):
        meant = path.with_suffix(".yaml").name
        if not path.name.startswith(".") and (meant in names or meant.endswith(RULES_SUFFIX)):
            message = f"the file is not read, since its name ends with {_OTHER_SUFFIX}"
            mistakes.add(path.name, 0, message, f"Rename it to {meant}.")
