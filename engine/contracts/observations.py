"""The topic `observations`: what another system believes the stock is."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.contracts.limits import (
    MAX_LOCATION_LENGTH,
    MAX_QUANTITY,
    MAX_SKU_LENGTH,
    MAX_SOURCE_LENGTH,
    MIN_SIGNED_QUANTITY,
)
from engine.contracts.movement import DISPOSITIONS


class Observation(msgspec.Struct, gc=False):
    """One quantity that a system holds for true; never applied blindly."""

    source: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_SOURCE_LENGTH, description="The system that observed."),
    ]
    sku: Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH)]
    location: Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_LENGTH)]
    disposition: Annotated[str, Meta(extra_json_schema={"enum": list(DISPOSITIONS)})]
    quantity: Annotated[int, Meta(ge=MIN_SIGNED_QUANTITY, le=MAX_QUANTITY)]
    observed_at: Annotated[
        str, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
    ]
