"""What a SKU's locations add up to under the rules in force, kept by difference.

A channel's pool is a sum over its locations. It is never summed anew for a movement: each location
touched since last time adds the difference between what it contributes now and what it did. Only
when the rules have changed are a SKU's locations walked, once, when it is next looked at.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.ledger.book import Book, BufferOf, ItemRules, Sku
from engine.ledger.reservations import NO_CHANNEL
from engine.rules.model import Channel
from engine.rules.plan import Plan
from engine.rules.ruleset import RuleSet

REMEMBERED_OFFERS = 4_096  # bases whose offers a buffer remembers
REMEMBERED_PLACES = 200_000  # pairs of item class and location that are remembered


class Offers(dict[int, int]):
    """What is left of a base after one buffer, remembered: the same few bases come again."""

    def __init__(self, buffer: BufferOf) -> None:
        super().__init__()
        self._amount = buffer.amount

    def __missing__(self, base: int) -> int:
        """Work the offer out."""
        left = max(0, base - self._amount(base))
        if len(self) < REMEMBERED_OFFERS:
            self[base] = left
        return left


class Place(NamedTuple):
    """What a location is to SKUs of one class: its coverage mask, and the channels it serves.

    `serves` has a bit for each of these channels.
    """

    coverage: int
    offers: tuple[tuple[int, Offers | None], ...]
    serves: int


class Sums:
    """The sums of SKUs under one set of rules in force, which `epoch` numbers."""

    def __init__(self, rules: RuleSet, plan: Plan, epoch: int, slots: dict[str, int]) -> None:
        self.rules = rules
        self.plan = plan
        self.epoch = epoch
        self.slots = slots
        self._index_of_slot = {slots[channel.name]: channel.index for channel in rules.channels}
        self._channels = {channel.name: channel for channel in rules.channels}
        self._places: dict[ItemRules, dict[str, Place]] = {}
        self._offers: dict[BufferOf, Offers] = {}
        self._remembered = 0

    def item(self, sku: Sku) -> ItemRules:
        """Return the rules that hold for the SKU."""
        if sku.item is None or sku.item_epoch != self.epoch:
            sku.item = self.plan.item_class(sku.name)
            sku.item_epoch = self.epoch
        return sku.item

    def places(self, sku: Sku) -> dict[str, Place]:
        """Return the places that are known to the SKU's class, to be filled by `place`."""
        item = self.item(sku)
        found = self._places.get(item)
        if found is None:
            found = self._places[item] = {}
        return found

    def place(self, sku: Sku, location: str) -> Place:
        """Return what the location is to the SKU."""
        places = self.places(sku)
        found = places.get(location)
        if found is None:
            offers = tuple(
                (channel, None if buffer is None else self._offers_after(buffer))
                for channel, buffer in self.item(sku).contributions(location)
            )
            serves = sum(1 << channel for channel, _ in offers)
            found = Place(self.rules.coverage(location), offers, serves)
            if self._remembered >= REMEMBERED_PLACES:
                self._places.clear()
                self._remembered = 0
            places[location] = found
            self._remembered += 1
        return found

    def _offers_after(self, buffer: BufferOf) -> Offers:
        found = self._offers.get(buffer)
        if found is None:
            found = self._offers[buffer] = Offers(buffer)
        return found

    def fold(self, book: Book, sku: Sku) -> None:
        """Bring the SKU's sums up to date with its keys."""
        record = sku.record
        if record.epoch != self.epoch:
            self._sum_anew(book, sku)
            return
        if not sku.touched:
            return
        places = self.places(sku)
        keys, pools, bases = sku.keys, record.pools, record.bases
        for location in sku.touched:
            key = keys[location]
            shelf = key.sellable
            free = (max(0, shelf)) - key.reserved
            base, short = (free, 0) if free > 0 else (0, -free)
            old, shorter = key.base, key.short - short
            if base == old and not shorter:
                continue
            gained = base - old
            mask, offers, serves = places.get(location) or self.place(sku, location)
            sku.moved |= serves
            for channel, after in offers:
                if after is None:
                    pools[channel] += gained + shorter
                else:
                    pools[channel] += after[base] - after[old] + shorter
            bases[mask] = bases.get(mask, 0) + gained
            record.short -= shorter
            key.base, key.short = base, short
        sku.changed_keys |= sku.touched
        sku.touched.clear()

    def _sum_anew(self, book: Book, sku: Sku) -> None:
        record = sku.record
        pools = [0] * len(self.rules.channels)
        bases: dict[int, int] = {}
        total_short = 0
        for location, key in book.all_keys(sku).items():
            shelf = max(0, key.sellable)
            base, short = max(0, shelf - key.reserved), max(0, key.reserved - shelf)
            mask, offers, _ = self.place(sku, location)
            for channel, after in offers:
                pools[channel] += (base if after is None else after[base]) - short
            bases[mask] = bases.get(mask, 0) + base
            total_short += short
            if (base, short) != (key.base, key.short):
                key.base, key.short = base, short
                sku.changed_keys.add(location)
        record.pools, record.bases, record.short = pools, bases, total_short
        record.epoch = self.epoch
        record.everywhere = True
        sku.changed_keys |= sku.touched
        sku.touched.clear()
        book.change(sku)

    # --- what follows from the sums ------------------------------------------------------------

    def claims_on(self, sku: Sku, channel: int) -> int:
        """Return the open unallocated reservations that lay claim to the channel's locations."""
        return sum(
            quantity
            for slot, quantity in sku.record.claims.items()
            if self.rules.claims_overlap(self._claimant(slot), channel)
        )

    def ceiling(self, sku: Sku, location: str) -> int | None:
        """Return the most that may be taken at a location beside the claims on it; None: all."""
        claims = sku.record.claims
        if not claims:
            return None
        here = self.rules.coverage(location)
        claimed, covering, everywhere = 0, 0, False
        for slot, quantity in claims.items():
            channel = self._claimant(slot)
            if channel == NO_CHANNEL:
                everywhere = True
            elif here >> channel & 1:
                covering |= 1 << channel
            else:
                continue
            claimed += quantity
        if not claimed:
            return None
        bases = sku.record.bases.items()
        covered = sum(base for mask, base in bases if everywhere or mask & covering)
        return max(0, covered - claimed)

    def pool(self, sku: Sku, channel: int) -> int:
        """Return a channel's pool before its own buffer."""
        pool = sku.record.pools[channel]
        if sku.record.claims:
            pool -= self.claims_on(sku, channel)
        return max(0, pool)

    def available(self, book: Book, sku: Sku, location: str | None, channel: str | None) -> int:
        """Return how much a strict reservation may take now."""
        self.fold(book, sku)
        seller = None if channel is None else self._channels[channel]
        if location is not None:
            return self._available_at(book, sku, location, seller)
        record = sku.record
        if seller is None:
            return max(0, sum(record.bases.values()) - sum(record.claims.values()) - record.short)
        pool = self.pool(sku, seller.index)
        if seller.by_location:
            return pool
        return self.item(sku).terms(seller.index, None).after_buffer(pool)

    def _available_at(self, book: Book, sku: Sku, location: str, seller: Channel | None) -> int:
        key = book.key(sku, location)
        offer = key.base
        if seller is not None:
            offer = 0
            for index, after in self.place(sku, location).offers:
                if index == seller.index:
                    offer = key.base if after is None else after[key.base]
        ceiling = self.ceiling(sku, location)
        return offer if ceiling is None else min(offer, ceiling)

    def _claimant(self, slot: int) -> int:
        """Return the channel of a claim; a channel that is gone claims every location."""
        return self._index_of_slot.get(slot, NO_CHANNEL)
