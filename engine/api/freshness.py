"""How old an answer is: told with every answer, so that nobody takes an old number for new."""

from __future__ import annotations

import time
from typing import Annotated, Final

from msgspec import Meta

from engine.contracts.instants import SECOND, format_instant

_DIGITS: Final = 3

AsOf = Annotated[
    str | None,
    Meta(
        description="Up to when everything is in the answer; null before the engine's clock runs.",
        extra_json_schema={"format": "date-time"},
    ),
]
Staleness = Annotated[
    Annotated[float, Meta(ge=0)] | None,
    Meta(description="How long before the answer that was, by this machine's clock."),
]


AGE_EXAMPLE: Final = {"as_of": "2026-11-20T09:05:02.450Z", "staleness_seconds": 0.012}


def age_of(instant: int | None) -> tuple[str | None, float | None]:
    """The `as_of` and `staleness_seconds` of an answer that is complete up to the instant."""
    if instant is None:
        return None, None
    passed = time.time() - instant / SECOND
    return format_instant(instant), round(max(0.0, passed), _DIGITS)
