"""The topic `reconciliation.findings`: where another system's book and ours differ, and why."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.movement import DISPOSITIONS

IN_FLIGHT: Final = "in_flight"
MISSED: Final = "missed"
DUPLICATE: Final = "duplicate"
RESERVATION_LEAK: Final = "reservation_leak"
SHRINK: Final = "shrink"
UNKNOWN: Final = "unknown"
FINDING_CLASSES: Final = (IN_FLIGHT, MISSED, DUPLICATE, RESERVATION_LEAK, SHRINK, UNKNOWN)

ADJUSTABLE_CLASSES: Final = (MISSED, DUPLICATE, SHRINK, UNKNOWN)
"""Classes that a policy may have adjusted. What is in flight settles itself, and the way to end a
reservation that leaks is to end it: less stock would only make it short."""

NO_ACTION: Final = "none"
ADJUSTED: Final = "adjusted"
REVIEW: Final = "review"
FINDING_ACTIONS: Final = (NO_ACTION, ADJUSTED, REVIEW)


class Finding(msgspec.Struct, gc=False):
    """One difference between an observation and the book as of the observation's time."""

    finding: Annotated[str, Meta(description="Identity of this finding, unique for ever.")]
    sku: str
    location: str
    source: Annotated[str, Meta(description="The system that observed.")]
    expected: Annotated[int, Meta(description="The book's quantity as of `observed_at`.")]
    observed: Annotated[int, Meta(description="The other system's quantity.")]
    difference: Annotated[int, Meta(description="`observed` less `expected`.")]
    class_: Annotated[str, Meta(extra_json_schema={"enum": list(FINDING_CLASSES)})] = msgspec.field(
        name="class"
    )
    action: Annotated[
        str,
        Meta(
            description="`adjusted`: an adjustment movement with the finding's id was made.",
            extra_json_schema={"enum": list(FINDING_ACTIONS)},
        ),
    ]
    observed_at: Annotated[
        str, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
    ]
    disposition: Annotated[str, Meta(extra_json_schema={"enum": list(DISPOSITIONS)})]
