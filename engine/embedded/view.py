"""Looking at a data folder: stock, availability, explanations and exceptions, also while it runs.

A view sees what was committed last. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from engine.contracts import records
from engine.contracts.errors import NotFoundError, UsageError
from engine.contracts.records import KeyRecord, PublishedRecord, SkuRecord, Trace
from engine.contracts.snapshots import LedgerRow
from engine.core.cut import ledger_row
from engine.core.dead_letters import DeadLetter, exception_name, read_dead_letter
from engine.core.figures import Standing
from engine.ledger.reservations import NO_CHANNEL
from engine.publication.throttle import (
    STATUS_NAMES,
    Change,
    Throttle,
    status_of,
)
from engine.rules.explain import Explanation, StockLine, explain_channel
from engine.rules.model import Channel
from engine.rules.offers import Offers
from engine.rules.ruleset import EVERYWHERE, RuleSet
from engine.stores.base import StoreReader


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """One key of a channel: what was published last, what it would be now, when that is due.

    `published` is None before the first publication; `due` is None when nothing is pending, and for
    what is no key: a location that the channel has never sold from, or where nothing ever was.
    """

    channel: str
    location: str | None
    published: PublishedRecord | None
    computed: int
    status: str
    due: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a channel shows what it shows: the way to the number, who moved it, what is pending."""

    explanation: Explanation
    key: ChannelKey
    last_movements: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class StoredSku:
    """What the store has of one SKU: its record, and those of its keys by location."""

    sku: str
    record: SkuRecord
    keys: Mapping[str, KeyRecord]


# An available quantity in base units, and its status.
Number = tuple[int, str]

# A key's last publication, by channel and location.
Published = Callable[[str, str | None], PublishedRecord | None]


def no_exception(exception: str) -> NotFoundError:
    """The error of whoever asks for an exception that there is not."""
    return NotFoundError(
        f"there is no exception {exception}",
        "`sellable exceptions list` shows them all, and so does GET /v1/exceptions.",
    )


class View:
    """What a store says, under the rules it was last run with.

    `published` tells what was published last of the SKU that is looked at, where that is not in the
    store.
    """

    def __init__(self, store: StoreReader, published: Published | None = None) -> None:
        self.store = store
        self._published = published
        stored = store.get(records.META)
        self.standing = (
            Standing() if stored is None else msgspec.msgpack.decode(stored, type=Standing)
        )

    def stock(self, sku: str, location: str | None = None) -> tuple[int, list[LedgerRow]]:
        """Return what is reserved of the SKU without a location, and its stock by location.

        Raises:
            NotFoundError: no movement has touched the SKU, or not at that location.
        """
        stored = self._stored(sku)
        rows = [
            ledger_row(sku, place, key)
            for place, key in stored.keys.items()
            if location is None or place == location
        ]
        if location is not None and not rows:
            raise NotFoundError(
                f"no movement of {sku} was ever at {location}", "Leave the location out to see all."
            )
        return sum(stored.record.claims.values()), rows

    def availability(
        self, rules: RuleSet, sku: str, channel: str | None = None
    ) -> list[ChannelKey]:
        """Return the SKU's keys on each channel, or on one.

        Raises:
            NotFoundError: no movement has touched the SKU.
            UsageError: there is no such channel.
        """
        stored = self._stored(sku)
        offers = self._offers(rules, stored)
        chosen = rules.channels if channel is None else (self.channel(rules, channel),)
        return [
            self._channel_key(rules, offers, each, stored, place)
            for each in chosen
            for place in self._places(offers, each, stored)
        ]

    def skus(self, after: str = "") -> Iterator[StoredSku]:
        """Yield the SKUs that a movement has touched, from after one on in the order of bytes."""
        start = records.sku_name(after) + b"\0" if after else b""
        for name, stored in self.store.scan(records.SKU, start):
            record = msgspec.msgpack.decode(stored, type=SkuRecord)
            if record.trail:
                sku = name[len(records.SKU) :].decode()
                yield StoredSku(sku, record, dict(self._keys(sku)))

    def numbers(self, rules: RuleSet, stored: StoredSku) -> dict[tuple[str, str | None], Number]:
        """Return what a SKU's keys come to under the rules, by channel and location."""
        offers = self._offers(rules, stored)
        found: dict[tuple[str, str | None], Number] = {}
        for channel in rules.channels:
            low = channel.publish.low_stock
            for place in self._places(offers, channel, stored):
                value = offers.available(channel, place)
                found[channel.name, place] = (value, STATUS_NAMES[status_of(value, low)])
        return found

    def told(self, stored: StoredSku) -> dict[tuple[str, str | None], Number]:
        """Return what was published last of a SKU's keys, on the channels in force."""
        slots = {self.standing.channels.index(name): name for name in self.standing.order}
        places: list[tuple[str | None, Mapping[int, PublishedRecord | None]]] = [
            (None, dict(enumerate(stored.record.published)))
        ]
        places += [(place, dict(key.published or {})) for place, key in stored.keys.items()]
        return {
            (slots[slot], place): (last.value, STATUS_NAMES[last.status])
            for place, published in places
            for slot, last in published.items()
            if slot in slots and last is not None and last.version
        }

    def explain(self, rules: RuleSet, sku: str, channel: str, location: str | None) -> Answer:
        """Explain one number.

        Raises:
            NotFoundError: no movement has touched the SKU.
            UsageError: there is no such channel, or the location is missing or too much.
        """
        stored = self._stored(sku)
        chosen = self.channel(rules, channel)
        stock, claims = self._ground(rules, stored)
        explanation = explain_channel(rules, self._now(), chosen, sku, location, stock, claims)
        offers = Offers(rules, self._now(), sku, stock, claims)
        key = self._channel_key(rules, offers, chosen, stored, location)
        return Answer(explanation, key, _movements(rules, chosen, stored, location))

    def ground(self, rules: RuleSet, sku: str) -> tuple[dict[str, StockLine], dict[int, int]]:
        """Return the SKU's stock by location, and its open claims by channel index.

        Raises:
            NotFoundError: no movement has touched the SKU.
        """
        return self._ground(rules, self._stored(sku))

    def exceptions(self) -> Iterator[DeadLetter]:
        """Yield every exception, oldest first."""
        for _, stored in self.store.scan(records.EXCEPTION):
            yield read_dead_letter(stored)

    def exception(self, exception: str) -> DeadLetter:
        """Return one exception.

        Raises:
            NotFoundError: there is no such exception.
        """
        try:
            stored = self.store.get(exception_name(exception))
        except ValueError:
            stored = None
        if stored is None:
            raise no_exception(exception)
        return read_dead_letter(stored)

    def channel(self, rules: RuleSet, name: str) -> Channel:
        """Return a channel.

        Raises:
            UsageError: there is no such channel.
        """
        found = rules.channel(name)
        if found is None:
            known = ", ".join(channel.name for channel in rules.channels)
            raise UsageError(f"there is no channel {name}", f"The channels are {known}.")
        return found

    # --- one SKU -------------------------------------------------------------------------------

    def _stored(self, sku: str) -> StoredSku:
        stored = self.store.get(records.sku_name(sku))
        record = None if stored is None else msgspec.msgpack.decode(stored, type=SkuRecord)
        if record is None or not record.trail:
            raise NotFoundError(
                f"no movement of {sku} was ever applied", "Check the SKU, and the data folder."
            )
        return StoredSku(sku, record, dict(self._keys(sku)))

    def _keys(self, sku: str) -> Iterator[tuple[str, KeyRecord]]:
        prefix = f"K{sku}|".encode()
        for name, stored in self.store.scan(prefix):
            yield name[len(prefix) :].decode(), msgspec.msgpack.decode(stored, type=KeyRecord)

    def _slot(self, channel: Channel) -> int:
        channels = self.standing.channels
        return channels.index(channel.name) if channel.name in channels else -1

    def _now(self) -> int:
        return self.standing.clock if self.standing.clock is not None else records.NEVER

    def _ground(
        self, rules: RuleSet, stored: StoredSku
    ) -> tuple[dict[str, StockLine], dict[int, int]]:
        stock = {place: StockLine(k.sellable, k.reserved) for place, k in stored.keys.items()}
        index_of = {self._slot(each): each.index for each in rules.channels}
        index_of[NO_CHANNEL] = EVERYWHERE  # of what is new to the engine there are no claims
        claims: dict[int, int] = {}
        for slot, quantity in stored.record.claims.items():
            index = index_of.get(slot, EVERYWHERE)
            claims[index] = claims.get(index, 0) + quantity
        return stock, claims

    def _offers(self, rules: RuleSet, stored: StoredSku) -> Offers:
        stock, claims = self._ground(rules, stored)
        return Offers(rules, self._now(), stored.sku, stock, claims)

    def _places(self, offers: Offers, channel: Channel, stored: StoredSku) -> list[str | None]:
        """Where the channel has a key of the SKU, or would have one; None for the SKU alone."""
        if not channel.by_location:
            return [None]
        slot = self._slot(channel)
        return [
            place
            for place, key in stored.keys.items()
            if slot in (key.published or {}) or offers.sells_from(channel, place)
        ]

    # --- one key -------------------------------------------------------------------------------

    def _channel_key(
        self,
        rules: RuleSet,
        offers: Offers,
        channel: Channel,
        stored: StoredSku,
        location: str | None,
    ) -> ChannelKey:
        value = offers.available(channel, location)
        status = status_of(value, channel.publish.low_stock)
        if self._published is None:
            last = self._stored_last(channel, stored, location)
        else:
            last = self._published(channel.name, location)
        is_key = last is not None or _begins(offers, channel, stored, location)
        if last is not None and not last.version:
            last = None
        due = None
        if is_key and (last is None or (last.value, last.status) != (value, status)):
            tick = rules.settings.publish_tick
            next_tick = self._now() // tick * tick + tick
            known = PublishedRecord() if last is None else msgspec.structs.replace(last)
            known.since = known.since or stored.record.touched_at
            interval = offers.min_interval(channel, location)
            ref = (stored.sku, location or "")
            due = self._due(
                channel, tick, Change(ref, value, status, known, interval, 0, next_tick)
            )
        return ChannelKey(channel.name, location, last, value, STATUS_NAMES[status], due)

    def _stored_last(
        self, channel: Channel, stored: StoredSku, location: str | None
    ) -> PublishedRecord | None:
        """Return a key's last publication as the store has it."""
        slot, published = self._slot(channel), stored.record.published
        if location is None:
            return published[slot] if 0 <= slot < len(published) else None
        key = stored.keys.get(location)
        return None if key is None else (key.published or {}).get(slot)

    def _due(self, channel: Channel, tick: int, change: Change) -> int | None:
        """Return the first tick at which a key that differs may be told.

        That is, when its own limits and the channel's rate let it; others at risk may go first.
        """
        throttle = Throttle(channel.publish, tick)
        saved = self.standing.buckets.get(channel.name)
        if throttle.bucket is not None and saved is not None:
            throttle.bucket.restore(saved.tokens, saved.filled_at)
        throttle.offer(change)
        return throttle.next_due(change.considered - tick)


def _begins(offers: Offers, channel: Channel, stored: StoredSku, location: str | None) -> bool:
    """Return whether the next tick makes a key of what has none yet."""
    if location is None:
        return True
    key = stored.keys.get(location)
    return key is not None and key.version > 0 and offers.sells_from(channel, location)


def _movements(
    rules: RuleSet, channel: Channel, stored: StoredSku, location: str | None
) -> tuple[Trace, ...]:
    """The last movements that concern a number, newest first.

    They are those of the SKU's last ones that were where the channel sells from, or without a
    place; then the last of each such place, by when they occurred.
    """
    places = {location} if location is not None else _places_of(rules, channel, stored)
    last = {stored.keys[place].trace for place in places if place in stored.keys}
    trail = stored.record.trail
    found = [
        trace
        for trace in reversed(trail)
        if trace[4] is None or trace[4] in places or trace in last
    ]
    older = (trace for trace in last - set(trail) if trace is not None)
    found += sorted(older, key=_occurred, reverse=True)
    return tuple(found[: records.TRAIL_LENGTH])


def _places_of(rules: RuleSet, channel: Channel, stored: StoredSku) -> set[str]:
    """The locations of a SKU that the channel sells from by its selector."""
    there, selector = rules.catalogue.location, channel.selector
    return {
        place for place in stored.keys if selector is None or selector.fits(place, there(place))
    }


def _occurred(trace: Trace) -> tuple[int, str, str]:
    return trace[6], trace[0], trace[1]
