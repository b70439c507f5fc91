"""The state of the model, and every question that can be put to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .decoding import DISPOSITIONS
from .effects import Book, dispositions
from .instants import format_instant
from .postings import Postings
from .publication import Cause, ChannelKey, Pending, Publisher
from .quantities import SkuStock, StockLine, computed
from .reservations import Reservation, ReservationBook
from .rules import Rules
from .snapshots import SnapshotClock


class World:
    """Everything there is, at the time of the clock."""

    def __init__(self, rules: Mapping[str, Any] | Path) -> None:
        self.rules = Rules(rules)
        self.clock: int | None = None
        self.book = Book()
        self.reservations = ReservationBook(
            remember_ended=max(self.setting("reservation_window"), self.setting("dedupe_window")),
            remember_early=self.setting("reservation_window"),
        )
        self.publisher = Publisher(self.rules.channels, self.setting("publish_tick"))
        self.postings = Postings(self.rules, self.setting("erp_window"))
        self.snapshot_clock = SnapshotClock(
            self.rules.settings["snapshot_every"], self.setting("publish_tick")
        )
        self.snapshots: list[dict[str, Any]] = []
        self.skus: list[str] = []
        """Those of which a movement was applied or absorbed."""
        self.crossed_until = 0
        """Rule edges up to here are in force."""
        self.ticked_until = 0
        self.tick_wanted_from: int | None = None
        """Something was touched: the first tick at or after this is to be looked at."""
        self.pending: list[Pending] = []
        """As the last tick left them; nothing was touched since unless a tick is wanted."""

    @property
    def now(self) -> int:
        """The clock, which runs."""
        assert self.clock is not None
        return self.clock

    def setting(self, name: str) -> int:
        """A setting that is always there, in microseconds."""
        value = self.rules.settings[name]
        assert value is not None
        return value

    # --- stock ---------------------------------------------------------------------------

    def sku_stock(self, sku: str) -> SkuStock:
        """What counts for the availability of a SKU."""
        lines = {
            location: StockLine(
                self.book.quantity(sku, location, "sellable"),
                self.reservations.reserved(sku, location),
            )
            for location in self.book.locations(sku)
        }
        return SkuStock(sku, lines, self.reservations.claims(sku))

    def state(self, sku: str, location: str) -> dict[str, Any]:
        """Everything the ledger knows of a key; incoming as it is shown."""
        counted = {name: self.book.counted_at(sku, location, name) for name in DISPOSITIONS}
        return {
            **dispositions(self.book, sku, location),
            "reserved": self.reservations.reserved(sku, location),
            "incoming": max(0, self.book.incoming.get((sku, location), 0)),
            "version": self.book.versions.get((sku, location), 0),
            "counted_at": {
                name: None if at is None else format_instant(at) for name, at in counted.items()
            },
        }

    def stock(self, sku: str) -> dict[str, Any]:
        """What `stock --json` tells."""
        locations = []
        for location in self.book.locations(sku):
            state = self.state(sku, location)
            on_hand = sum(state[name] for name in DISPOSITIONS)
            locations.append({"location": location, **state, "on_hand": on_hand})
        claimed = sum(quantity for _, quantity in self.reservations.claims(sku))
        return {"sku": sku, "unallocated_reserved": claimed, "locations": locations}

    # --- published numbers ---------------------------------------------------------------

    def value(self, key: ChannelKey, instant: int, stock: SkuStock | None = None) -> int:
        """What a key of a channel may offer under the rules in force at an instant."""
        channel, sku, location = key
        return computed(
            self.rules,
            self.rules.channels[channel],
            self.sku_stock(sku) if stock is None else stock,
            location,
            instant,
        )

    def values(self, instant: int) -> dict[ChannelKey, tuple[int, int]]:
        """(value, min_interval) of every key there is."""
        stocks = {sku: self.sku_stock(sku) for sku in self.skus}
        return {
            key: (
                self.value(key, instant, stocks[key[1]]),
                self.rules.min_interval(self.rules.channels[key[0]], key[1], key[2], instant),
            )
            for key in self.publisher.keys
        }

    def values_of(self, sku: str, instant: int) -> dict[ChannelKey, int]:
        """The value of every key there is of one SKU."""
        stock = self.sku_stock(sku)
        keys = [key for key in self.publisher.keys if key[1] == sku]
        return {key: self.value(key, instant, stock) for key in keys}

    def pending_now(self) -> list[Pending]:
        """Keys whose last publication differs from their value now."""
        return [
            Pending(key, value, min_interval)
            for key, (value, min_interval) in self.values(self.now).items()
            if self.publisher.keys[key].value != value
        ]

    # --- what concerned which key --------------------------------------------------------

    def touched(
        self, sku: str, locations: set[str], cause: Cause, before: dict[ChannelKey, int]
    ) -> None:
        """A movement or an expiry of a SKU touched some locations.

        `before` holds the values of its keys until then, since a claim can change the value of
        a key that it does not touch.
        """
        if sku not in self.skus:
            self.skus.append(sku)
        self.publisher.last_touch[sku, None] = cause
        for location in locations:
            self.publisher.last_touch[sku, location] = cause
        for name, channel in self.rules.channels.items():
            if not channel.by_location:
                self.publisher.touch((name, sku, None), self.now)
                continue
            for location in sorted(locations):
                key: ChannelKey = (name, sku, location)
                sells = self.rules.sells_from(channel, sku, location, self.now)
                if sells or key in self.publisher.keys:
                    self.publisher.touch(key, self.now)
        after = self.values_of(sku, self.now)
        for other, value in before.items():
            if after[other] != value and other[2] is not None and other[2] not in locations:
                self.publisher.touch(other, self.now)

    def expired(self, reservation: Reservation, before: dict[ChannelKey, int]) -> None:
        """The reservation has just expired."""
        sku, location = reservation.sku, reservation.location
        if location is not None:
            self.book.touch(sku, location)
        cause = {
            "source": "engine",
            "id": f"expiry:{reservation.name}",
            "correlation_id": reservation.correlation_id,
        }
        self.touched(sku, set() if location is None else {location}, cause, before)
