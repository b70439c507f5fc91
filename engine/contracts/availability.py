"""The topics `availability.<channel>`: what a channel may sell of a key."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

IN_STOCK: Final = "in_stock"
LOW_STOCK: Final = "low_stock"
OUT_OF_STOCK: Final = "out_of_stock"
STATUSES: Final = (IN_STOCK, LOW_STOCK, OUT_OF_STOCK)

ENGINE_SOURCE: Final = "engine"
"""`cause.source` of what falls due by itself: an expiry."""

RULES_SOURCE: Final = "rules"
"""`cause.source` of changed rules and of time boxes that open or close."""


class Cause(msgspec.Struct, gc=False):
    """The last thing that changed the quantity before it was published."""

    source: Annotated[
        str,
        Meta(description="The movement's source; `engine` for an expiry, `rules` for rules."),
    ]
    id: Annotated[str, Meta(description="The movement's id, or what happened.")]
    correlation_id: str | None


class Availability(msgspec.Struct, gc=False):
    """One publication; the Kafka key is `sku`, or `sku|location` for granularity location."""

    sku: str
    channel: str
    location: Annotated[str | None, Meta(description="Null for a channel of granularity sku.")]
    available: Annotated[int, Meta(ge=0, description="Base units that may be sold now.")]
    status: Annotated[str, Meta(extra_json_schema={"enum": list(STATUSES)})]
    version: Annotated[
        int, Meta(ge=1, description="Strictly increasing per key: apply only what is newer.")
    ]
    computed_at: Annotated[
        str,
        Meta(
            description="The publication tick, RFC 3339.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    cause: Cause
