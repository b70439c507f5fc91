"""What each channel is to the SKUs of a class, or to them at a location, and what it offers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.contracts.records import KeyRecord
from engine.core.outlets import Outlet
from engine.core.sums import Offers, Sums
from engine.ledger.book import ItemRules, Sku, TermsOf

REMEMBERED_CLASSES = 50_000  # item classes whose channels are remembered
REMEMBERED_PLACES = 200_000  # pairs of item class and location whose channels are remembered


class Face(msgspec.Struct, frozen=True, eq=False):
    """A channel as the SKUs of one class see it; one of granularity location, as they do there.

    `sells` is whether it sells from the location, `offers` whether it may offer anything, which a
    retired one may not; `after` is what a location-scope buffer leaves there, None without one.
    `terms` is None when the pool is offered as it is; `interval` is None when nothing ever holds a
    publication back, else the least time between two, in microseconds.
    """

    outlet: Outlet
    number: int
    slot: int
    low_stock: int
    terms: TermsOf | None
    interval: int | None
    sells: bool
    offers: bool
    after: Offers | None


class Faces:
    """The faces of all channels under the rules in force."""

    def __init__(self, sums: Sums, outlets: Sequence[Outlet]) -> None:
        self.whole = [outlet for outlet in outlets if not outlet.channel.by_location]
        self.local = [outlet for outlet in outlets if outlet.channel.by_location]
        self._sums = sums
        self._of_class: dict[ItemRules, list[Face]] = {}
        self._at_place: dict[ItemRules, dict[str, list[Face]]] = {}
        self._remembered = 0

    # --- channels of granularity sku -----------------------------------------------------------

    def of(self, sku: Sku) -> list[Face]:
        """Return what each channel of granularity sku is to the SKU."""
        item = self._sums.item(sku)
        return self._of_class.get(item) or self._make(item)

    def value(self, sku: Sku, face: Face) -> tuple[int, int]:
        """Return what a channel of granularity sku offers of a folded SKU, and the status of it."""
        record, terms = sku.record, face.terms
        if not face.offers:
            return 0, 0
        if record.claims:
            value = self._sums.pool(sku, face.number)
        else:
            value = record.pools[face.number]
            if value < 0:
                value = 0
        if terms is not None:
            value = terms.offered(terms.after_buffer(value))
        return value, 0 if value == 0 else 1 if value <= face.low_stock else 2

    def _make(self, item: ItemRules) -> list[Face]:
        faces = [
            _face(outlet, item.terms(outlet.channel.index, None), True, None)
            for outlet in self.whole
        ]
        if len(self._of_class) >= REMEMBERED_CLASSES:
            self._of_class.clear()
        self._of_class[item] = faces
        return faces

    # --- channels of granularity location ------------------------------------------------------

    def at(self, sku: Sku, location: str) -> list[Face]:
        """Return what each channel of granularity location is to the SKU at the location."""
        item = self._sums.item(sku)
        places = self._at_place.get(item)
        if places is None:
            places = self._at_place[item] = {}
        return places.get(location) or self._make_at(sku, location)

    def value_at(self, sku: Sku, face: Face, location: str, key: KeyRecord) -> tuple[int, int]:
        """Return what a channel offers of a folded SKU at the location, and the status of it."""
        if not face.offers:
            return 0, 0
        value = key.base if face.after is None else face.after[key.base]
        if sku.record.claims:
            ceiling = self._sums.ceiling(sku, location)
            if ceiling is not None and ceiling < value:
                value = ceiling
        if face.terms is not None:
            value = face.terms.offered(value)
        return value, 0 if value == 0 else 1 if value <= face.low_stock else 2

    def _make_at(self, sku: Sku, location: str) -> list[Face]:
        item = self._sums.item(sku)
        offers = dict(self._sums.place(sku, location).offers)
        faces = [
            _face(
                outlet,
                item.terms(outlet.channel.index, location),
                outlet.channel.index in offers,
                offers.get(outlet.channel.index),
            )
            for outlet in self.local
        ]
        if self._remembered >= REMEMBERED_PLACES:
            self._at_place.clear()
            self._remembered = 0
        self._at_place.setdefault(item, {})[location] = faces
        self._remembered += 1
        return faces

    # --- either --------------------------------------------------------------------------------

    def offered(
        self, sku: Sku, outlet: Outlet, location: str, key: KeyRecord | None
    ) -> tuple[int, int, Face]:
        """Return what one channel offers of a folded SKU, the status of it, and its face."""
        if key is None:
            face = next(face for face in self.of(sku) if face.outlet is outlet)
            return *self.value(sku, face), face
        face = next(face for face in self.at(sku, location) if face.outlet is outlet)
        return *self.value_at(sku, face, location, key), face


def _face(outlet: Outlet, terms: TermsOf, sells: bool, after: Offers | None) -> Face:
    channel = outlet.channel
    held = not outlet.free or terms.min_interval
    return Face(
        outlet,
        channel.index,
        outlet.slot,
        outlet.low_stock,
        None if terms.plain else terms,
        terms.min_interval if held else None,
        sells,
        sells and not channel.retired,
        after,
    )
