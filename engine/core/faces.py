"""What each channel of granularity sku is to the SKUs of a class, and what it offers of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.core.outlets import Outlet
from engine.core.sums import Sums
from engine.ledger.book import ItemRules, Sku, TermsOf

REMEMBERED_CLASSES = 50_000  # item classes whose channels are remembered


class Face(NamedTuple):
    """A channel of granularity sku as the SKUs of one class see it.

    `terms` is None when the pool is offered as it is; `interval` is None when nothing ever holds a
    publication back, else the least time between two, in microseconds.
    """

    outlet: Outlet
    number: int
    slot: int
    low_stock: int
    terms: TermsOf | None
    interval: int | None
    retired: bool


class Faces:
    """The faces of all channels of granularity sku under the rules in force."""

    def __init__(self, sums: Sums, outlets: Sequence[Outlet]) -> None:
        self._sums = sums
        self._outlets = outlets
        self._of_class: dict[ItemRules, list[Face]] = {}

    def __bool__(self) -> bool:
        """Whether there is such a channel."""
        return bool(self._outlets)

    def of(self, sku: Sku) -> list[Face]:
        """Return what each channel is to the SKU."""
        item = self._sums.item(sku)
        return self._of_class.get(item) or self._make(item)

    def value(self, sku: Sku, face: Face) -> tuple[int, int]:
        """Return what a channel offers of a folded SKU, and the status of it."""
        record, terms = sku.record, face.terms
        if record.claims or face.retired:
            value = self._sums.value(sku, face.outlet.channel)
        else:
            value = record.pools[face.number]
            if value < 0:
                value = 0
            if terms is not None:
                value = terms.offered(terms.after_buffer(value))
        return value, 0 if value == 0 else 1 if value <= face.low_stock else 2

    def _make(self, item: ItemRules) -> list[Face]:
        """Return what each channel of granularity sku is to the SKUs of a class."""
        faces: list[Face] = []
        for outlet in self._outlets:
            terms = item.terms(outlet.channel.index, None)
            held = not outlet.free or terms.min_interval
            faces.append(
                Face(
                    outlet,
                    outlet.channel.index,
                    outlet.slot,
                    outlet.low_stock,
                    None if terms.plain else terms,
                    terms.min_interval if held else None,
                    outlet.channel.retired,
                )
            )
        if len(self._of_class) >= REMEMBERED_CLASSES:
            self._of_class.clear()
        self._of_class[item] = faces
        return faces
