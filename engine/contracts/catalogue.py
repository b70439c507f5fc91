"""The compacted topics `catalogue.locations` and `catalogue.items`: attributes of both."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.contracts.limits import MAX_LOCATION_LENGTH, MAX_SKU_LENGTH

Tags = Annotated[
    list[str] | str, Meta(description="A list, or one text with semicolons as in the file.")
]


class LocationRow(msgspec.Struct):
    """One location; the Kafka key is `location`. A message without a value takes it back."""

    location: Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_LENGTH)]
    type: str = ""
    region: str = ""
    tags: Tags = ""
    timezone: Annotated[str, Meta(description="IANA name; left out: UTC.")] = ""


class ItemRow(msgspec.Struct):
    """One item; the Kafka key is `sku`. A message without a value takes it back."""

    sku: Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH)]
    category: str = ""
    brand: str = ""
    tags: Tags = ""
