"""A generated load: the busiest minutes of a retailer that has the rules folder's catalogue."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from engine.contracts.instants import format_instant
from engine.rehearsal.generated_stream import ORIGIN, Shelf, Stream
from engine.rehearsal.load import SECOND, Load
from engine.rules.ruleset import RuleSet

LOCATIONS: Final = (*(f"S-{number:03d}" for number in range(1, 9)), "DC-1", "DC-2")
ZIPF: Final = 0.9  # exponent: a few SKUs take much of the traffic
STOCK_SECONDS: Final = (5.0, 200.0)  # opening stock lasts so long, at the load's own rate
STOCK_UNITS: Final = (1, 12)  # beside that, so that slow sellers have some, too


class Generator:
    """Generates loads of `rate` movements a second over `skus` SKUs, the same for the same seed.

    Every SKU has some stock everywhere; popular ones sell out while the load lasts and are filled
    up again. `factor` is what the opening stock is made for.
    """

    name: Final = "generated movements"
    origin: Final = ORIGIN

    def __init__(self, rules: RuleSet, rate: float, skus: int, factor: float, seed: int) -> None:
        catalogue = rules.catalogue
        made = [f"SKU-{number:05d}" for number in range(1, skus + 1)]
        self._skus = [*catalogue.items, *made][: max(1, skus)]
        self._locations = list(catalogue.locations) or list(LOCATIONS)
        stores = [name for name, told in catalogue.locations.items() if told.type == "store"]
        self._stores = stores or [name for name in self._locations if name.startswith("S-")]
        self._stores = self._stores or self._locations
        self._channels: list[str | None] = [None, *(channel.name for channel in rules.channels)]
        self._rate = rate
        self._seed = seed
        weights = 1.0 / np.arange(1, len(self._skus) + 1) ** ZIPF
        self._weights = np.random.default_rng(seed).permutation(weights / weights.sum())
        self._opening = self._open(rate * factor)

    def warm_up(self) -> Iterator[bytes]:
        """Yield one receipt for every SKU at every location."""
        at = format_instant(ORIGIN)
        for (sku, location), units in self._opening.items():
            receipt = {"type": "receipt", "sku": sku, "location": location, "quantity": units}
            identity = {"id": f"opening-{sku}-{location}", "source": "wms"}
            yield msgspec.json.encode({**identity, **receipt, "occurred_at": at})

    def load(self, factor: float, duration: int) -> Load:
        """Return a load of `factor` times the rate, lasting `duration` microseconds."""
        count = max(1, round(self._rate * factor * duration / SECOND))
        shelf = Shelf(self._opening, self._stores)
        stream = Stream(random.Random(self._seed), self._keys(count), shelf, self._channels)
        return stream.load(count, duration)

    def _open(self, rate: float) -> dict[tuple[str, str], int]:
        """Return how much there is of every key before the load begins."""
        chance = random.Random(self._seed)
        found = {}
        for sku, weight in zip(self._skus, self._weights.tolist(), strict=True):
            a_second = rate * weight / len(self._locations)
            for location in self._locations:
                units = round(a_second * chance.uniform(*STOCK_SECONDS))
                found[sku, location] = units + chance.randint(*STOCK_UNITS)
        return found

    def _keys(self, count: int) -> Iterator[tuple[str, str]]:
        """Yield SKU and location of one movement after the other."""
        drawn = np.random.default_rng(self._seed)
        skus = drawn.choice(len(self._skus), size=count, p=self._weights).tolist()
        places = drawn.integers(len(self._locations), size=count).tolist()
        for sku, place in zip(skus, places, strict=True):
            yield self._skus[sku], self._locations[place]
