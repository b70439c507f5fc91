"""The shape of what may be written in the files, field by field; an unknown key is a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from engine.contracts.instants import MINUTE
from engine.rules.document import Document, Place, Value
from engine.rules.fields import (
    Change,
    Duration,
    Flag,
    Granularity,
    Instant,
    KnownChannel,
    LocationId,
    Name,
    OptionalDuration,
    OptionalFlag,
    OptionalQuantity,
    OptionalRate,
    Percent,
    Priority,
    Quantity,
    Round,
    Scope,
    Sku,
    Text,
    describe,
    fault,
)
from engine.rules.mistakes import Mistakes, did_you_mean

DEFAULT_MAX_STALENESS = 15 * MINUTE
"""In microseconds."""


class Entry(BaseModel):
    """What all entries have in common: no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _block_or_nothing(found: object) -> object:
    return {} if found is None else found


def _buffer(found: object) -> object:
    if isinstance(found, Mapping):
        return found
    message = f"a buffer is a block of settings, {describe(found)} was found"
    raise fault(message, "Write for example {units: 2} or {percent: 10, round: up}.")


def _selector(found: object) -> object:
    if found is None:
        remedy = "Take the key out to sell from every location, or write its conditions."
        raise fault("a block of conditions is expected, nothing was found", remedy)
    return found


class SelectorEntry(Entry):
    """`locations` of a channel: which locations it sells from."""

    ids: list[LocationId] = []
    types: list[Name] = []
    regions: list[Name] = []
    tags: list[Name] = []


class PublishEntry(Entry):
    """`publish` of a channel: how it wants to be told."""

    min_interval: Duration = 0
    max_rate: OptionalRate = None
    max_per_key: OptionalRate = None
    min_change: Change = 1
    low_stock: Quantity = 0
    max_staleness: Duration = DEFAULT_MAX_STALENESS


class ChannelEntry(Entry):
    """One channel of `channels.yaml`."""

    granularity: Granularity = "sku"
    locations: Annotated[SelectorEntry | None, BeforeValidator(_selector)] = None
    publish: Annotated[PublishEntry, BeforeValidator(_block_or_nothing)] = PublishEntry()
    retired: Flag = False


class WhenEntry(Entry):
    """`when` of a rule; an empty list is no condition."""

    channels: list[KnownChannel] = []
    categories: list[Name] = []
    brands: list[Name] = []
    skus: list[Sku] = []
    item_tags: list[Name] = []
    locations: list[LocationId] = []
    location_types: list[Name] = []
    regions: list[Name] = []
    location_tags: list[Name] = []


class BufferEntry(Entry):
    """`buffer` of a rule: units, or a percentage with its rounding and limits."""

    percent: Percent = None
    units: OptionalQuantity = None
    round: Round = "up"
    min: OptionalQuantity = None
    max: OptionalQuantity = None


class RuleEntry(Entry):
    """One rule. A missing name is left empty here and found by the checks."""

    name: Name = ""
    when: WhenEntry = WhenEntry()
    scope: Scope = "location"
    buffer: Annotated[BufferEntry | None, BeforeValidator(_buffer)] = None
    cap: OptionalQuantity = None
    floor: OptionalQuantity = None
    share: Percent = None
    exclude: OptionalFlag = None
    min_interval: OptionalDuration = None
    from_: Instant = Field(default=None, alias="from")
    until: Instant = None
    priority: Priority = 0
    note: Text = ""


EntryType = TypeVar("EntryType", bound=Entry)


@dataclass(frozen=True, slots=True)
class Reading(Generic[EntryType]):
    """An entry as far as it could be read; `faulty` are the places that could not."""

    entry: EntryType
    faulty: frozenset[Place]

    def sound(self, *places: Place) -> bool:
        """Whether nothing at, in or around these places was faulty, so that they may be judged."""
        return not any(
            bad[: len(place)] == place[: len(bad)] for bad in self.faulty for place in places
        )


def read_entry(
    kind: type[EntryType],
    document: Document,
    place: Place,
    value: Value,
    context: Mapping[str, object],
    mistakes: Mistakes,
) -> Reading[EntryType] | None:
    """Read one entry and note the mistakes of all its fields.

    Faulty fields are then left out, so that what remains can still be checked further. None when
    too little remains, such as for a text where a block of settings is expected.
    """
    try:
        return Reading(kind.model_validate(value, context=dict(context)), frozenset())
    except ValidationError as error:
        faults = error.errors(include_url=False)
    faulty = set()
    for found in faults:
        message, remedy = _explain(kind, found)
        mistakes.add(document.file, document.line((*place, *found["loc"])), message, remedy)
        faulty.add(tuple(found["loc"]))
    rest = _without(value, frozenset(faulty), ())
    try:
        return Reading(kind.model_validate(rest, context=dict(context)), frozenset(faulty))
    except ValidationError:
        return None


def _without(value: Value, faulty: frozenset[Place], here: Place) -> Value:
    if isinstance(value, dict):
        kept = ((key, item) for key, item in value.items() if (*here, key) not in faulty)
        return {key: _without(item, faulty, (*here, key)) for key, item in kept}
    if isinstance(value, list):
        numbered = ((i, item) for i, item in enumerate(value) if (*here, i) not in faulty)
        return [_without(item, faulty, (*here, i)) for i, item in numbered]
    return value


def _explain(kind: type[Entry], found: ErrorDetails) -> tuple[str, str]:
    """The message and the remedy of one pydantic error."""
    place = found["loc"]
    name = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
    label = f"{name}: " if name else ""
    if found["type"] == "field":
        return f"{label}{found['ctx']['message']}", found["ctx"]["remedy"]
    if found["type"] == "extra_forbidden":
        return f"the key {name!r} is not known here", did_you_mean(name, _known(kind, place[:-1]))
    if found["type"] == "list_type":
        message = f"{label}a list is expected, {describe(found['input'])} was found"
        return message, f"Write it in brackets: {name}: [{_example(found['input'])}]."
    if found["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = f"{label}a block of settings is expected, {describe(found['input'])} was found"
        return message, f"Write its keys below it: {', '.join(sorted(_known(kind, place)))}."
    if found["type"] == "missing":
        return f"the key {name!r} is missing", f"Add {name!r}."
    return f"{label}{found['msg']}", "Correct it."


def _example(found: Any) -> str:
    return found if isinstance(found, str) and found else "…"


def _known(kind: type[Entry], place: Place) -> set[str]:
    """The keys that the block at `place` of an entry of this kind may have."""
    for part in place:
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        if part in fields:  # otherwise a position in a list, or a key that is free to choose
            kind = next(_entries_in(fields[str(part)].annotation), kind)
    return {field.alias or name for name, field in kind.model_fields.items()}


def _entries_in(annotation: object) -> Iterator[type[Entry]]:
    """The kinds of entry that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        yield annotation
    for inner in get_args(annotation):
        yield from _entries_in(inner)
