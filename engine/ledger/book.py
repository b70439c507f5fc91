"""The book: the SKUs at work in memory, what a step changed in them, and what it has to tell.

A book holds the working set only. What is not in it is read from the store when it is needed, and
what has rested for a while is forgotten again; so memory does not grow with the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from engine.contracts import records
from engine.contracts.decisions import Decision
from engine.contracts.records import KeyRecord, ReservationRecord, SkuRecord, Trace
from engine.ledger.expiries import Expiries, Expiry

# Keys and reservations read or made before the older half of the working set is dropped.
WORKING_RECORDS = 400_000

EVERY_CHANNEL = -1  # all bits of a mask of channels
SELLABLE, INSPECTING, DAMAGED = 0, 1, 2
DISPOSITIONS = ("sellable", "inspecting", "damaged")

# One change of a disposition, as the ERP will book it: type, occurred at, location, sku,
# disposition, signed quantity, and 1 when it counts as a movement of its document, else 0.
Entry = tuple[str, int, str, str, int, int, int]


class Notice(NamedTuple):
    """Something that an operator should look at though the movement was applied."""

    code: str
    message: str


class Reader(Protocol):
    """What the book needs of a store."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value under the key."""
        ...

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values with the prefix, ascending, from `start` on."""
        ...


class BufferOf(Protocol):
    """A buffer that holds back part of a quantity."""

    def amount(self, base: int) -> int:
        """Return the units held back of `base`."""
        ...


class TermsOf(Protocol):
    """What a channel makes of a pool."""

    @property
    def plain(self) -> bool:
        """Whether the pool is offered as it is."""
        ...

    @property
    def min_interval(self) -> int:
        """Least time between two publications, microseconds."""
        ...

    def after_buffer(self, pool: int) -> int:
        """Return the pool less the channel-scope buffer."""
        ...

    def offered(self, pool: int) -> int:
        """Return what is offered of the pool after share, floor and cap."""
        ...


class ItemRules(Protocol):
    """The rules that hold for a SKU."""

    def contributions(self, location: str) -> tuple[tuple[int, BufferOf | None], ...]:
        """Return the channels that sell from the location, with the buffer there."""
        ...

    def terms(self, channel: int, location: str | None) -> TermsOf:
        """Return what a channel makes of the pool."""
        ...


class Sku:
    """One SKU at work: its record, those of its keys and reservations that were needed.

    `touched` are locations whose sums are out of date; `moved` has a bit for each channel, by its
    index, whose pool may be another than when the SKU was last looked at. `has_all_keys` and
    `has_all_reservations` tell that the store has none but those in memory: nothing needs to be
    looked for in vain.
    """

    __slots__ = (
        "changed",
        "changed_keys",
        "changed_reservations",
        "dirty",
        "has_all_keys",
        "has_all_reservations",
        "item",
        "item_epoch",
        "keys",
        "moved",
        "name",
        "record",
        "reservations",
        "touched",
    )

    def __init__(self, name: str, record: SkuRecord, new: bool = False) -> None:
        self.name = name
        self.has_all_keys = self.has_all_reservations = new
        self.record = record
        self.keys: dict[str, KeyRecord] = {}
        self.reservations: dict[str, ReservationRecord | None] = {}
        self.touched: set[str] = set()
        self.moved = EVERY_CHANNEL
        self.changed_keys: set[str] = set()
        self.changed_reservations: set[str] = set()
        self.changed = False
        self.dirty = False
        self.item: ItemRules | None = None
        self.item_epoch = -1


class Windows(NamedTuple):
    """How long the ledger remembers, microseconds.

    `counts_from` and `identities_from` are instants before which it does not in any case, since a
    window was shorter once.
    """

    for_counts: int
    for_reservations: int
    for_identities: int
    counts_from: int
    identities_from: int


class Book:
    """The working set of the ledger.

    `young` holds the SKUs touched lately. `clock` is the engine's clock; `epoch` and
    `channel_count` belong to the rules in force, and a new SKU's sums are valid for them from the
    start. `decisions`, `warnings` and `entries` collect what the movements of a step have to tell;
    whoever drives the book empties them. `available` answers how much a strict reservation may
    take.
    """

    def __init__(
        self,
        reader: Reader,
        windows: Windows,
        available: Callable[[Sku, str | None, str | None], int],
        channel_slots: dict[str, int],
    ) -> None:
        self.reader = reader
        self.windows = windows
        self.available = available
        self.channel_slots = channel_slots
        self.traces_per_key = False
        self.epoch = 0
        self.channel_count = 0
        self.clock = records.NEVER
        self.dirty: list[Sku] = []
        self.dirty_saved = 0
        self.changed: list[Sku] = []
        self.decisions: list[Decision] = []
        self.warnings: list[Notice] = []
        self.entries: list[Entry] = []
        self.traces_after: list[Trace] = []
        self.expiries = Expiries()
        self.settled: list[tuple[str, str]] = []
        self.chunks_changed: dict[bytes, bytes | None] = {}
        self.touched_now: list[tuple[str, KeyRecord]] = []
        self.young: dict[str, Sku] = {}
        self._old: dict[str, Sku] = {}
        self._fetched = 0
        self._decode_sku = msgspec.msgpack.Decoder(SkuRecord).decode
        self._decode_key = msgspec.msgpack.Decoder(KeyRecord).decode
        self._decode_reservation = msgspec.msgpack.Decoder(ReservationRecord).decode

    # --- the working set -----------------------------------------------------------------------

    def sku(self, name: str) -> Sku:
        """Return the SKU, from memory, the store, or new."""
        found = self.young.get(name)
        if found is not None:
            return found
        found = self._old.get(name)
        if found is None:
            stored = self.reader.get(records.sku_name(name))
            if stored is None:
                found = Sku(name, self._new_record(), new=True)
            else:
                found = Sku(name, self._decode_sku(stored))
        self.young[name] = found
        return found

    def adopt(self, name: str, stored: bytes) -> Sku:
        """Return the SKU as it is in memory, or else as the store has it."""
        found = self.young.get(name) or self._old.get(name)
        if found is None:
            found = Sku(name, self._decode_sku(stored))
        self.young[name] = found
        return found

    def forget_unknown(self) -> None:
        """Drop SKUs that somebody has asked for, and of which nothing is known yet.

        Under other rules they have to be new again: whether they are in memory is up to where an
        engine was started, and may not show in what it stores. Called between two movements.
        """
        for skus in (self.young, self._old):
            for name in [
                name for name, sku in skus.items() if not (sku.record.trail or sku.changed)
            ]:
                del skus[name]

    def _new_record(self) -> SkuRecord:
        return SkuRecord(epoch=self.epoch, pools=[0] * self.channel_count)

    def key(self, sku: Sku, location: str) -> KeyRecord:
        """Return the state of the SKU at the location, from memory, the store, or new."""
        key = sku.keys.get(location)
        if key is None:
            stored = None
            if not sku.has_all_keys:
                stored = self.reader.get(records.key_name(sku.name, location))
            key = KeyRecord() if stored is None else self._decode_key(stored)
            sku.keys[location] = key
            self._fetched += 1
        return key

    def all_keys(self, sku: Sku) -> dict[str, KeyRecord]:
        """Return the states of the SKU at every location that a movement ever touched."""
        if sku.has_all_keys:
            return sku.keys
        prefix = f"K{sku.name}|".encode()
        for name, stored in self.reader.scan(prefix):
            location = name[len(prefix) :].decode()
            if location not in sku.keys:
                sku.keys[location] = self._decode_key(stored)
                self._fetched += 1
        sku.has_all_keys = True
        return sku.keys

    def reservation(self, sku: Sku, name: str) -> ReservationRecord | None:
        """Return the reservation, or its early steps, unless it is too old to be remembered."""
        found = sku.reservations.get(name)
        if found is None and not sku.has_all_reservations and name not in sku.reservations:
            stored = self.reader.get(records.reservation_name(sku.name, name))
            found = None if stored is None else self._decode_reservation(stored)
            sku.reservations[name] = found
            self._fetched += 1
        if found is None or found.status == records.OPEN:
            return found
        return None if found.settled_at < self.clock - self.memory_of(found) else found

    def forget_reservation(self, sku: Sku, name: str) -> None:
        """Drop the record of a reservation if it is too old to be remembered."""
        if self.reservation(sku, name) is None and sku.reservations.get(name) is not None:
            sku.reservations[name] = None
            sku.changed_reservations.add(name)
            self.change(sku)

    def counts_from(self) -> int:
        """Return since when every movement is remembered for counts, an instant."""
        return max(self.clock - self.windows.for_counts, self.windows.counts_from)

    def identities_from(self) -> int:
        """Return since when every identity is remembered, an instant."""
        return max(self.clock - self.windows.for_identities, self.windows.identities_from)

    def memory_of(self, reservation: ReservationRecord) -> int:
        """Return how long an ended reservation, or an early step, is remembered, microseconds.

        An ended one is remembered as long as a step of it may still be accepted, so that a step
        that comes late is told from one that comes early.
        """
        if reservation.status == records.EARLY:
            return self.windows.for_reservations
        return max(self.windows.for_reservations, self.windows.for_identities)

    # --- what a movement changes ---------------------------------------------------------------

    def touch(self, sku: Sku, location: str, key: KeyRecord) -> None:
        """Note that a movement or an expiry touches the key."""
        key.version += 1
        sku.touched.add(location)
        if self.traces_per_key:
            self.touched_now.append((location, key))

    def begin(self, sku: Sku, location: str) -> None:
        """Let the key begin where no movement was before this one."""
        key = self.key(sku, location)
        if not key.version:
            self.touch(sku, location, key)

    def mark(self, sku: Sku) -> None:
        """Note that the SKU has to be looked at on the next tick, and saved."""
        if not sku.dirty:
            sku.dirty = True
            sku.record.touched_at = self.clock
            self.dirty.append(sku)
        if not sku.changed:
            sku.changed = True
            self.changed.append(sku)

    def trace_keys(self, sku: Sku, trace: Trace) -> None:
        """Note who touched the keys that were touched just now."""
        for location, key in self.touched_now:
            key.trace = trace
            sku.record.touched_locations.setdefault(location, self.clock)
        self.touched_now.clear()

    def change(self, sku: Sku) -> None:
        """Note that the SKU's record has to be saved."""
        if not sku.changed:
            sku.changed = True
            self.changed.append(sku)

    def keep_reservation(self, sku: Sku, name: str, reservation: ReservationRecord) -> None:
        """Keep a reservation that is new or has changed."""
        if name not in sku.reservations:
            self._fetched += 1
        sku.reservations[name] = reservation
        sku.changed_reservations.add(name)
        self.change(sku)

    def settle(self, sku: Sku, name: str, reservation: ReservationRecord, status: int) -> None:
        """End a reservation, or note an early step; its memory is measured from now."""
        reservation.status = status
        reservation.settled_at = self.clock
        self.settled.append((sku.name, name))
        if reservation.expires is not None:
            self.unschedule(sku, name, reservation)

    def schedule(self, sku: Sku, name: str, expires: int) -> None:
        """Let an unconfirmed reservation expire when the clock reaches `expires`."""
        self.expiries.add(Expiry(expires, sku.name, name))

    def unschedule(self, sku: Sku, name: str, reservation: ReservationRecord) -> None:
        """Forget that the reservation was to expire."""
        if reservation.expires is not None:
            self.expiries.drop(Expiry(reservation.expires, sku.name, name))

    def warn(self, code: str, message: str) -> None:
        """Raise a warning with the movement at hand."""
        self.warnings.append(Notice(code, message))

    # --- rest ----------------------------------------------------------------------------------

    def load_expiries(self) -> None:
        """Read from the store which reservations will expire."""
        self.expiries.load(name for name, _ in self.reader.scan(records.EXPIRY))

    def forget_resting(self) -> None:
        """Drop the older half of the working set once the younger half is full.

        Called after a commit: nothing that is dropped has unsaved changes; SKUs that wait for the
        next tick stay.
        """
        if self._fetched + len(self.young) < WORKING_RECORDS:
            return
        self._fetched = 0
        self._old = self.young
        self.young = {sku.name: sku for sku in self.dirty}
