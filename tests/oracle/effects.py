"""The book: what every movement did to every disposition of every key, kept for ever.

Nothing is summed up front: a quantity is told by replaying the whole history of its disposition.
The count rule in one sentence: the newest count's quantity plus everything that occurred after it.
"""

from dataclasses import dataclass, field

from .decoding import DISPOSITIONS, Movement

Key = tuple[str, str]
"""(sku, location)"""


@dataclass(frozen=True)
class Entry:
    """One thing that happened to one disposition of one key."""

    kind: str
    """`moved` (quantity is signed) or `counted` (quantity is what was there)."""
    at: int
    """When it occurred."""
    quantity: int


@dataclass(frozen=True)
class Effect:
    """What a movement does to one disposition of its key."""

    location: str
    disposition: str
    quantity: int
    """Signed; of a count: what was counted."""


@dataclass
class Book:
    """Dispositions, incoming goods and versions of all keys."""

    history: dict[tuple[str, str, str], list[Entry]] = field(default_factory=dict)
    incoming: dict[Key, int] = field(default_factory=dict)
    """Signed: below zero where an arrival was told before its transfer."""
    versions: dict[Key, int] = field(default_factory=dict)

    def quantity(self, sku: str, location: str, disposition: str) -> int:
        """What is there now."""
        entries = self.history.get((sku, location, disposition), [])
        newest = newest_count(entries)
        if newest is None:
            return sum(entry.quantity for entry in entries)
        later = [entry for entry in entries if entry.kind == "moved" and entry.at > newest.at]
        return newest.quantity + sum(entry.quantity for entry in later)

    def counted_at(self, sku: str, location: str, disposition: str) -> int | None:
        """When the newest count of the disposition was taken."""
        newest = newest_count(self.history.get((sku, location, disposition), []))
        return None if newest is None else newest.at

    def move(self, sku: str, effect: Effect, at: int) -> bool:
        """Books a signed quantity; False when the newest count had seen it already."""
        counted_at = self.counted_at(sku, effect.location, effect.disposition)
        self._write(sku, effect, Entry("moved", at, effect.quantity))
        return counted_at is None or at > counted_at

    def count(self, sku: str, effect: Effect, at: int) -> bool:
        """Takes a count; False when it is no newer than the newest one."""
        counted_at = self.counted_at(sku, effect.location, effect.disposition)
        if counted_at is not None and at <= counted_at:
            return False
        self._write(sku, effect, Entry("counted", at, effect.quantity))
        return True

    def expect(self, sku: str, location: str, quantity: int) -> None:
        """Goods are on their way, or (negative) are not after all."""
        on_the_way = self.incoming.get((sku, location), 0)
        if quantity < 0:
            quantity = -min(-quantity, max(0, on_the_way))
        self.incoming[sku, location] = on_the_way + quantity

    def arrive(self, sku: str, location: str, quantity: int, of_transfer: bool) -> None:
        """Goods came: of a transfer they are taken off in full, else as far as they were told."""
        on_the_way = self.incoming.get((sku, location), 0)
        told = quantity if of_transfer else min(quantity, max(0, on_the_way))
        self.incoming[sku, location] = on_the_way - told

    def touch(self, sku: str, location: str) -> None:
        """One more version of a key."""
        self.versions[sku, location] = self.versions.get((sku, location), 0) + 1

    def locations(self, sku: str) -> list[str]:
        """Where the SKU was ever touched."""
        return sorted(location for other, location in self.versions if other == sku)

    def _write(self, sku: str, effect: Effect, entry: Entry) -> None:
        key = (sku, effect.location, effect.disposition)
        self.history.setdefault(key, []).append(entry)


def newest_count(entries: list[Entry]) -> Entry | None:
    """The count with the latest time."""
    counts = [entry for entry in entries if entry.kind == "counted"]
    return max(counts, key=lambda entry: entry.at) if counts else None


def effects_of(movement: Movement) -> list[Effect]:
    """What a movement does to the dispositions of its key.

    Reservation steps other than a fulfilment do nothing there.
    """
    kind, location, quantity = movement["type"], movement["location"], movement["quantity"]
    assert kind in ("confirm", "release", "allocate", "reserve", "expect") or location is not None
    if kind in ("sale", "fulfil", "transfer"):
        return [Effect(location, "sellable", -quantity)]
    if kind in ("return", "receipt", "adjustment", "count"):
        return [Effect(location, movement["disposition"], quantity)]
    if kind == "reclassify":
        return [
            Effect(location, movement["from"], -quantity),
            Effect(location, movement["to"], quantity),
        ]
    return []


def dispositions(book: Book, sku: str, location: str) -> dict[str, int]:
    """All three quantities of a key by name."""
    return {name: book.quantity(sku, location, name) for name in DISPOSITIONS}
