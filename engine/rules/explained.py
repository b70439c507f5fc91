"""An explanation as it is told to programs, and back again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.contracts.answers import MaybeTime, Time
from engine.contracts.availability import STATUSES
from engine.contracts.instants import (
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
)
from engine.rules.explain import (
    ClaimLine,
    ExcludedLocation,
    Explanation,
    LocationLine,
    Step,
)
from engine.rules.reasons import Decision, Loser


class Explained(msgspec.Struct):
    """How a number comes about: instants as RFC 3339, durations as in the rules.

    `steps` add up to `available`; `decisions` tell for each kind of effect which rule won and why
    others did not; `near_misses` are rules for this channel and SKU that fit no location here.
    """

    sku: str
    channel: str
    location: str | None
    granularity: Annotated[str, Meta(extra_json_schema={"enum": ["sku", "location"]})]
    instant: Time
    locations: tuple[LocationLine, ...]
    excluded: tuple[ExcludedLocation, ...]
    claims: tuple[ClaimLine, ...]
    pool: int
    after_buffer: int
    available: int
    status: Annotated[str, Meta(extra_json_schema={"enum": list(STATUSES)})]
    min_interval: str
    retired: bool
    next_edge: MaybeTime
    steps: tuple[Step, ...]
    decisions: tuple[Decision, ...]
    near_misses: tuple[Loser, ...]
    near_misses_left_out: int


def explained_fields(explanation: Explanation) -> dict[str, Any]:
    """The fields of `Explained` for an explanation."""
    edge = explanation.next_edge
    fields = {name: getattr(explanation, name) for name in Explained.__struct_fields__}
    fields["instant"] = format_instant(explanation.instant)
    fields["next_edge"] = None if edge is None else format_instant(edge)
    fields["min_interval"] = format_duration(explanation.min_interval)
    return fields


def explanation_of(told: Explained) -> Explanation:
    """The explanation that was told."""
    fields = {name: getattr(told, name) for name in Explained.__struct_fields__}
    edge = told.next_edge
    fields["instant"] = parse_instant(told.instant)
    fields["next_edge"] = None if edge is None else parse_instant(edge)
    fields["min_interval"] = parse_duration(told.min_interval)
    return Explanation(**fields)
