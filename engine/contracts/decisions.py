"""The topic `reservations.decisions`: every step in the life of a reservation."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

ACCEPTED: Final = "accepted"
PARTIAL: Final = "partial"
REJECTED: Final = "rejected"
RELEASED: Final = "released"
FULFILLED: Final = "fulfilled"
EXPIRED: Final = "expired"
DECISION_OUTCOMES: Final = (ACCEPTED, PARTIAL, REJECTED, RELEASED, FULFILLED, EXPIRED)

REINSTATED: Final = "reinstated"
"""`reason` of an `accepted` whose reservation had expired although the customer was in time."""


class Decision(msgspec.Struct, gc=False):
    """One step: a reserve decided, or a part or all of a reservation ended."""

    reservation: Annotated[str, Meta(description="Unique per SKU.")]
    sku: str
    location: Annotated[str | None, Meta(description="Null while it is unallocated.")]
    channel: str | None
    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(DECISION_OUTCOMES)})]
    quantity: Annotated[
        int,
        Meta(
            ge=0,
            description="Base units of this step. 0 on `accepted`: a late reserve took no more.",
        ),
    ]
    requested: Annotated[
        int | None, Meta(description="Base units that were asked for, on steps that ask.")
    ]
    reason: Annotated[
        str | None, Meta(description="Why; on `rejected` it carries the available quantity.")
    ]
    decided_at: Annotated[
        str,
        Meta(
            description="The engine's clock, RFC 3339.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    correlation_id: str | None
