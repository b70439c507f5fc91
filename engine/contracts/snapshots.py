"""The topic `reconciliation.snapshots`: a consistent cut, whole or recognisably not.

A snapshot is a header, its rows and a trailer, one after the other: one snapshot for each channel
and one for the ledger, all of the same cut.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.availability import STATUSES, Cause

HEADER: Final = "header"
TRAILER: Final = "trailer"


class SnapshotHeader(msgspec.Struct, gc=False, kw_only=True):
    """Opens a snapshot."""

    snapshot: Annotated[str, Meta(description="Names the snapshot; its trailer has the same.")]
    kind: Annotated[str, Meta(extra_json_schema={"const": HEADER})] = HEADER
    channel: Annotated[str | None, Meta(description="Null for the ledger's.")]
    ledger: Annotated[bool, Meta(description="True for the one with stock, not availability.")]
    taken_at: Annotated[
        str,
        Meta(
            description="The tick of the cut, RFC 3339.", extra_json_schema={"format": "date-time"}
        ),
    ]
    rows: Annotated[int, Meta(ge=0, description="How many rows follow.")]
    position: Annotated[int, Meta(ge=0, description="Movements received before the cut.")]


class ChannelRow(msgspec.Struct, gc=False):
    """A key of a channel: its last publication, and its value now.

    Before the first publication `version` is 0 and what a publication would say is null.
    """

    sku: str
    channel: str
    location: str | None
    available: Annotated[int | None, Meta(description="As last published.")]
    status: Annotated[str | None, Meta(extra_json_schema={"enum": [*STATUSES, None]})]
    version: Annotated[int, Meta(ge=0, description="Apply later publications above it.")]
    computed_at: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})]
    cause: Cause | None
    computed: Annotated[int, Meta(ge=0, description="What the key's quantity is at the cut.")]


class CountedAt(msgspec.Struct, gc=False):
    """When each disposition of a key was last counted, RFC 3339, or null."""

    sellable: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})] = None
    inspecting: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})] = None
    damaged: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})] = None


class LedgerRow(msgspec.Struct, gc=False):
    """The stock of one SKU at one location, in base units."""

    sku: str
    location: str
    sellable: int
    inspecting: int
    damaged: int
    reserved: Annotated[int, Meta(ge=0)]
    incoming: Annotated[int, Meta(ge=0)]
    version: Annotated[int, Meta(ge=1)]
    counted_at: CountedAt


class SnapshotTrailer(msgspec.Struct, gc=False, kw_only=True):
    """Closes a snapshot: without it, or with another sum, the snapshot is not whole."""

    snapshot: str
    kind: Annotated[str, Meta(extra_json_schema={"const": TRAILER})] = TRAILER
    rows: Annotated[int, Meta(ge=0)]
    sha256: Annotated[
        str,
        Meta(
            description="Hex digest over the row lines with their newlines.",
            extra_json_schema={"pattern": "^[0-9a-f]{64}$"},
        ),
    ]
