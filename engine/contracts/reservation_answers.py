"""What is told of a reservation to whoever made it.

Quantities are in base units, times RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.answers import ExceptionBrief, MaybeTime, Time
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import REFUSED_CODES
from engine.contracts.outcomes import OUTCOMES

EARLY: Final = "early"
OPEN: Final = "open"
ENDED: Final = "ended"
EXPIRED: Final = "expired"
_LINE_OUTCOMES: Final = ("accepted", "partial", "rejected", "expired", "refused", "duplicate")
RESERVATION_STATUSES: Final = (EARLY, OPEN, ENDED, EXPIRED)


class LineAnswer(msgspec.Struct, gc=False):
    """What became of one line of a reservation."""

    sku: str
    location: str | None
    requested: int
    quantity: Annotated[int, Meta(ge=0, description="Units taken; 0 when none were.")]
    outcome: Annotated[
        str,
        Meta(
            description="Not `accepted` or `partial`: nothing was taken. `not_taken`: it could"
            " have been, and another line could not.",
            extra_json_schema={"enum": [*_LINE_OUTCOMES, "not_taken"]},
        ),
    ]
    code: Annotated[
        str | None,
        Meta(description="Why it was refused.", extra_json_schema={"enum": [*REFUSED_CODES, None]}),
    ] = None
    message: str | None = None


class ReservationAnswer(msgspec.Struct, gc=False):
    """What became of a reservation: all of its lines were taken, or none."""

    reservation: str
    outcome: Annotated[
        str,
        Meta(extra_json_schema={"enum": list(_LINE_OUTCOMES)}),
    ]
    decided_at: Time
    lines: list[LineAnswer]
    decisions: Annotated[
        list[Decision], Meta(description="As told on the topic reservations.decisions.")
    ]
    exceptions: Annotated[list[ExceptionBrief], Meta(description="What was refused, warnings.")]


class ReservationState(msgspec.Struct, gc=False):
    """A reservation of one SKU as it stands now."""

    reservation: str
    sku: str
    status: Annotated[
        str,
        Meta(
            description="`ended`: fulfilled, released or rejected; `early`: steps have come, the"
            " reserve has not.",
            extra_json_schema={"enum": list(RESERVATION_STATUSES)},
        ),
    ]
    quantity: Annotated[int, Meta(ge=0, description="What is still held.")]
    location: Annotated[str | None, Meta(description="Null while it is unallocated.")]
    channel: str | None
    confirmed: Annotated[bool, Meta(description="It no longer expires.")]
    expires_at: MaybeTime
    correlation_id: str | None


class StepAnswer(msgspec.Struct, gc=False):
    """What became of one step of a reservation, and how the reservation stands after it."""

    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(OUTCOMES)})]
    decided_at: Time
    reservation: ReservationState
    decisions: list[Decision]
    exceptions: list[ExceptionBrief]
