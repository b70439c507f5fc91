"""What is told of stock, availability, movements, exceptions and rules to whoever asks.

Quantities are in base units, times RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.availability import STATUSES, Cause
from engine.contracts.exceptions import CODES, REFUSED_CODES, SEVERITIES, ExceptionRecord
from engine.contracts.outcomes import OUTCOMES
from engine.contracts.snapshots import CountedAt, LedgerRow

_TIME: Final = {"format": "date-time"}

Time = Annotated[str, Meta(extra_json_schema=_TIME)]
MaybeTime = Annotated[str | None, Meta(extra_json_schema=_TIME)]


class StockLine(msgspec.Struct, gc=False):
    """The stock of a SKU at one location."""

    location: str
    sellable: int
    inspecting: int
    damaged: int
    on_hand: Annotated[int, Meta(description="Sellable, inspecting and damaged together.")]
    reserved: int
    incoming: int
    version: int
    counted_at: CountedAt


class Stock(msgspec.Struct, gc=False):
    """The stock of one SKU; `unallocated_reserved` is reserved without a location."""

    sku: str
    unallocated_reserved: int
    locations: list[StockLine]


class KeyShown(msgspec.Struct, gc=False):
    """One key of a channel: its last publication (null before the first), and its value now.

    `due` is the first tick at which the key's own limits and the channel's rate let a pending value
    be told; others at more risk may go first.
    """

    channel: str
    location: str | None
    available: int | None
    status: Annotated[str | None, Meta(extra_json_schema={"enum": [*STATUSES, None]})]
    version: int
    computed_at: MaybeTime
    cause: Cause | None
    computed: int
    computed_status: Annotated[str, Meta(extra_json_schema={"enum": list(STATUSES)})]
    pending: bool
    due: MaybeTime


class SkuShown(msgspec.Struct, gc=False):
    """The keys of one SKU."""

    sku: str
    channels: list[KeyShown]


class PublishedKey(msgspec.Struct, gc=False):
    """What a channel was told last of one key; null and version 0 before the first time."""

    sku: str
    channel: str
    location: Annotated[str | None, Meta(description="Null for a channel of granularity sku.")]
    available: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="As last published; null: never published."),
    ]
    status: Annotated[str | None, Meta(extra_json_schema={"enum": [*STATUSES, None]})]
    version: Annotated[int, Meta(ge=0, description="Strictly increasing per key.")]
    computed_at: Annotated[
        str | None, Meta(description="The publication's tick.", extra_json_schema=_TIME)
    ]
    cause: Cause | None
    pending_since: Annotated[
        str | None,
        Meta(
            description="Since when the true number has been another one, held back by the"
            " channel's limits; null: none is known to be.",
            extra_json_schema=_TIME,
        ),
    ]


class ExceptionBrief(msgspec.Struct, gc=False):
    """An exception that a call has caused; `GET /v1/exceptions` has all of it."""

    exception: str
    code: Annotated[str, Meta(extra_json_schema={"enum": list(CODES)})]
    severity: Annotated[str, Meta(extra_json_schema={"enum": list(SEVERITIES)})]
    message: str


class ExceptionShown(ExceptionRecord, gc=False, kw_only=True):
    """An exception and what became of it."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["open", "replayed", "dismissed"]})]
    changed_at: MaybeTime
    note: Annotated[str | None, Meta(description="An operator's words.")]
    advice: Annotated[str, Meta(description="What to do about it.")]


class ChannelStanding(msgspec.Struct, gc=False):
    """How far one channel is behind."""

    channel: str
    granularity: Annotated[str, Meta(extra_json_schema={"enum": ["sku", "location"]})]
    retired: bool
    publications: Annotated[int, Meta(ge=0, description="Over the engine's whole history.")]
    pending: Annotated[int, Meta(ge=0, description="Keys whose true number is held back.")]
    oldest_pending_since: MaybeTime
    lag_seconds: Annotated[
        float, Meta(ge=0, description="How long the oldest pending key has waited.")
    ]


class MovementAnswer(msgspec.Struct, gc=False):
    """What became of one movement; its identity is null where it could not be read."""

    source: str | None
    id: str | None
    sku: str | None
    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(OUTCOMES)})]
    code: Annotated[
        str | None,
        Meta(
            description="Why it was refused; null for every other outcome.",
            extra_json_schema={"enum": [*REFUSED_CODES, None]},
        ),
    ] = None
    exceptions: Annotated[
        list[ExceptionBrief], Meta(description="Why it was refused, or warnings about it.")
    ] = []


def stock_line(row: LedgerRow) -> StockLine:
    """The stock at one location as it is told."""
    return StockLine(
        location=row.location,
        sellable=row.sellable,
        inspecting=row.inspecting,
        damaged=row.damaged,
        on_hand=row.sellable + row.inspecting + row.damaged,
        reserved=row.reserved,
        incoming=row.incoming,
        version=row.version,
        counted_at=row.counted_at,
    )


class MistakeShown(msgspec.Struct):
    """A mistake or a warning: where it is, and how to mend it; `line` 0: not in one line."""

    file: str
    line: int
    message: str
    remedy: str


class FilesTold(msgspec.Struct):
    """What became of the files of the rules folder."""

    put: list[str]
    kept: list[str]
    removed: list[str]


class PublishedTold(msgspec.Struct):
    """A rule set that is in force."""

    fingerprint: Annotated[str, Meta(description="Of these rules; the ETag too.")]
    before: Annotated[str, Meta(description="Of the rules that were in force before.")]
    files: FilesTold
    cases: Annotated[int, Meta(description="Cases in tests/ that were run, and passed.")]
    warnings: Annotated[list[MistakeShown], Meta(description="What is allowed and hardly meant.")]
