"""The shape of `tests/*.yaml`: what merchandisers expect of their rules, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo

from engine.contracts.availability import STATUSES
from engine.contracts.limits import MAX_LOCATION_LENGTH
from engine.rules.document import Document, Place, read_document
from engine.rules.entries import Entry, Reading, read_entry
from engine.rules.fields import (
    CHANNELS,
    Instant,
    KnownChannel,
    LocationId,
    Name,
    OptionalDuration,
    OptionalQuantity,
    Quantity,
    SignedQuantity,
    Sku,
    Text,
    describe,
    fault,
    name_fault,
)
from engine.rules.mistakes import Mistakes, did_you_mean
from engine.rules.ruleset import RuleSet
from engine.rules.sources import granularities, read_channels, read_section

CASES_FOLDER = "tests"
NO_RULE = "none"
"""Expected in place of a rule's name where no rule is to win."""

_RULES = "rules"
"""Key of the validation context under which the names of the rules are found."""


def _stock_line(found: object) -> object:
    return {"sellable": found} if isinstance(found, str) else found


def _stock(found: object) -> object:
    if not isinstance(found, Mapping):
        message = f"stock by location is expected, {describe(found)} was found"
        raise fault(message, "Write for example {DC-EAST: {sellable: 10, reserved: 2}}.")
    for location in found:
        why = name_fault(str(location), MAX_LOCATION_LENGTH)
        if why:
            raise fault(f"the location {describe(location)} {why}", "Correct the name.")
    return found


def _status(found: object) -> str:
    if isinstance(found, str) and found in STATUSES:
        return found
    remedy = f"Write {', '.join(STATUSES)}."
    raise fault(f"a status is expected, {describe(found)} was found", remedy)


def _known_rule(found: object, info: ValidationInfo) -> str:
    known = (info.context or {}).get(_RULES)
    if not isinstance(found, str):
        message = f"the name of a rule is expected, {describe(found)} was found"
        raise fault(message, f"Write a rule's name, or {NO_RULE}.")
    if known is not None and found != NO_RULE and found not in known:
        raise fault(f"there is no rule {found!r}", did_you_mean(found, known))
    return found


def _by_location(found: object) -> object:
    """A name alone stands for every location; it is kept under the empty text."""
    return {"": found} if isinstance(found, str) else found


RuleName = Annotated[str, BeforeValidator(_known_rule)]
OptionalRuleName = Annotated[str | None, BeforeValidator(_known_rule)]
RuleByLocation = Annotated[dict[str, RuleName] | None, BeforeValidator(_by_location)]


class StockEntry(Entry):
    """Stock of one location; a number alone is its sellable quantity."""

    sellable: SignedQuantity = 0
    reserved: Quantity = 0


class ClaimEntry(Entry):
    """Open unallocated reservations, made on a channel or on all of them."""

    channel: KnownChannel | None = None
    quantity: Quantity


class WinnersEntry(Entry):
    """Names of the rules that are to win, by kind of effect."""

    exclude: RuleByLocation = None
    location_buffer: RuleByLocation = None
    channel_buffer: OptionalRuleName = None
    share: OptionalRuleName = None
    floor: OptionalRuleName = None
    cap: OptionalRuleName = None
    min_interval: OptionalRuleName = None


class ExpectEntry(Entry):
    """What is expected; whatever is left out is not compared."""

    available: OptionalQuantity = None
    status: Annotated[str | None, BeforeValidator(_status)] = None
    pool: OptionalQuantity = None
    min_interval: OptionalDuration = None
    excluded: list[LocationId] | None = None
    rules: WinnersEntry | None = None


class CaseEntry(Entry):
    """One case: stock and claims in, expected quantities and winning rules out."""

    name: Name
    note: Text = ""
    at: Instant = None
    sku: Sku
    channel: KnownChannel
    location: LocationId | None = None
    stock: Annotated[
        dict[str, Annotated[StockEntry, BeforeValidator(_stock_line)]], BeforeValidator(_stock)
    ] = Field(default_factory=dict)
    claims: list[ClaimEntry] = Field(default_factory=list)
    expect: ExpectEntry


@dataclass(frozen=True, slots=True)
class Case:
    """One case as written, and where; `file` is relative to the rules folder."""

    entry: CaseEntry
    file: str
    line: int


def read_cases(folder: Path, rules: RuleSet | None, mistakes: Mistakes) -> list[Case]:
    """The cases of all files in the order of their names, with every mistake noted.

    Names of channels are checked against `channels.yaml` as far as it can be read, names of rules
    against `rules`, where there are any.
    """
    by_location = _channels(folder, rules)
    context: dict[str, object] = {CHANNELS: by_location}
    if rules is not None:
        context[_RULES] = [rule.name for rule in rules.rules]
    cases: list[Case] = []
    below = folder / CASES_FOLDER
    for path in sorted([*below.glob("*.yaml"), *below.glob("*.yml")]):
        name = f"{CASES_FOLDER}/{path.name}"
        if path.suffix == ".yaml":
            cases += _read_file(path, name, by_location, context, mistakes)
        else:
            message = "the file is not read, since its name ends with .yml"
            mistakes.add(name, 0, message, f"Rename it to {path.stem}.yaml.")
    return cases


def _channels(folder: Path, rules: RuleSet | None) -> Mapping[str, bool | None] | None:
    """Whether each channel sells by location, None where that, or what there are, is unknown."""
    if rules is not None:
        return {channel.name: channel.by_location for channel in rules.channels}
    noted_before = Mistakes()
    return granularities(read_channels(folder, noted_before)).by_location


def _read_file(
    path: Path,
    name: str,
    by_location: Mapping[str, bool | None] | None,
    context: Mapping[str, object],
    mistakes: Mistakes,
) -> Iterator[Case]:
    document = read_document(path, name, mistakes)
    section = None if document is None else read_section(document, "cases", mistakes)
    if document is None or section is None:
        return
    if not isinstance(section, list):
        message = f"cases: a list of cases is expected, {describe(section)} was found"
        remedy = "Begin each case with a dash: - name: …"
        mistakes.add(name, document.line(("cases",)), message, remedy)
        return
    for number, value in enumerate(section):
        place = ("cases", number)
        reading = read_entry(CaseEntry, document, place, value, context, mistakes)
        if reading is not None:
            _check(document, place, reading, by_location, mistakes)
            yield Case(reading.entry, name, document.line((*place, "name")))


def _check(
    document: Document,
    place: Place,
    reading: Reading[CaseEntry],
    by_location: Mapping[str, bool | None] | None,
    mistakes: Mistakes,
) -> None:
    entry = reading.entry
    if reading.sound(("expect",)) and not entry.expect.model_fields_set:
        remedy = "Write for example expect: {available: 8}."
        line = document.line((*place, "expect"))
        mistakes.add(document.file, line, "the case expects nothing", remedy)
    name = entry.channel
    located = None if by_location is None else by_location[name]
    if located is None or not reading.sound(("location",)):
        return
    if located and entry.location is None:
        message = f"the channel {name!r} publishes a number for each location"
        line = document.line((*place, "channel"))
        mistakes.add(document.file, line, message, "Add location: to the case.")
    if not located and entry.location is not None:
        message = f"the channel {name!r} publishes one number for all locations"
        line = document.line((*place, "location"))
        mistakes.add(document.file, line, message, "Take location: out.")
