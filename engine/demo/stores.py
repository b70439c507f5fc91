"""What the stores of the demo are for. The data knows their numbers; the rest is invented here.

The stores with most lines take part in selling online: the first `SHIPPING_STORES` pack parcels,
the first `COLLECT_STORES` let customers collect. Regions go by the store's number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.demo.source import Ints, Lines, Mask, largest

SHIPPING_STORES = 20
COLLECT_STORES = 25
HUB_STORES = 6  # of the shipping stores: they pack for marketplaces as well
REGIONS = ("north", "east", "south", "west")

SHIPS_ONLINE = "ships-online"
CLICK_AND_COLLECT = "click-and-collect"
STORE_TYPE = "store"
HUB_TYPE = "hub"


@dataclass(frozen=True)
class Roles:
    """For each store of `Lines.stores`: whether it packs for marketplaces, ships, hands out."""

    hub: Mask
    ships: Mask
    collects: Mask


def assign_roles(lines: Lines) -> Roles:
    """Gives the stores their roles by the number of their lines."""
    ranked = largest(lines.store, len(lines.stores))
    return Roles(
        hub=_first(ranked, HUB_STORES),
        ships=_first(ranked, SHIPPING_STORES),
        collects=_first(ranked, COLLECT_STORES),
    )


def _first(ranked: Ints, count: int) -> Mask:
    chosen = np.zeros(len(ranked), dtype=np.bool_)
    chosen[ranked[:count]] = True
    return chosen


def location_name(number: int) -> str:
    """The location of a store number: `S-0367`."""
    return f"S-{number:04d}"


def region_of(number: int) -> str:
    """The region of a store number."""
    return REGIONS[number % len(REGIONS)]
