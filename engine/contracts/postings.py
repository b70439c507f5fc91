"""The topic `erp.postings`: stock changes summed into documents that the ERP books."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.limits import MAX_POSTING_LINES
from engine.contracts.movement import DISPOSITIONS

TRANSFER_RECEIPT: Final = "transfer_receipt"
"""A `receipt` with `from_location`: the arrival of a transfer."""

POSTING_TYPES: Final = (
    "sale",
    "return",
    "receipt",
    TRANSFER_RECEIPT,
    "adjustment",
    "transfer",
    "reclassify",
    "fulfil",
    "count",
)


class PostingLine(msgspec.Struct, gc=False):
    """The summed change of one stock: what the ERP adds to it."""

    location: str
    sku: str
    disposition: Annotated[str, Meta(extra_json_schema={"enum": list(DISPOSITIONS)})]
    quantity: Annotated[int, Meta(description="Base units, signed: negative took stock away.")]


class Posting(msgspec.Struct, gc=False):
    """One document: one window, one type, one business date."""

    document: Annotated[
        str, Meta(description="Deterministic: the same document always has the same name.")
    ]
    sequence: Annotated[int, Meta(ge=1, description="From 1 without gaps, per file or partition.")]
    window_start: Annotated[
        str, Meta(description="Inclusive, RFC 3339.", extra_json_schema={"format": "date-time"})
    ]
    window_end: Annotated[
        str, Meta(description="Exclusive, RFC 3339.", extra_json_schema={"format": "date-time"})
    ]
    business_date: Annotated[
        str,
        Meta(
            description="Date of `occurred_at` in the location's timezone.",
            extra_json_schema={"format": "date"},
        ),
    ]
    type: Annotated[
        str,
        Meta(
            description="The movement's type; `transfer_receipt` for an arrival, `count` for a"
            " variance.",
            extra_json_schema={"enum": list(POSTING_TYPES)},
        ),
    ]
    lines: Annotated[list[PostingLine], Meta(min_length=1, max_length=MAX_POSTING_LINES)]
    movements: Annotated[int, Meta(ge=1, description="How many movements are summed here.")]
