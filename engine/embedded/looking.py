"""Looking at a running engine from another thread: what it has committed, as of one moment.

Nothing here waits for the engine. A single number is one read of the store; what needs several
reads takes a snapshot of the store first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from engine.contracts import records
from engine.contracts.answers import PublishedKey, Stock, stock_line
from engine.contracts.errors import NotFoundError
from engine.contracts.records import (
    KeyRecord,
    PublishedRecord,
    ReservationRecord,
    SkuRecord,
)
from engine.contracts.reservation_answers import ReservationState
from engine.core.dead_letters import DeadLetter, Wanted, exception_name, read_dead_letter
from engine.embedded.reservation_requests import state_of, unknown_reservation
from engine.embedded.runtime import Runtime
from engine.embedded.shown import published_key
from engine.embedded.view import Answer, ChannelKey, View, no_exception
from engine.rules.model import Channel
from engine.rules.ruleset import RuleSet

ROWS_READ: Final = 10_000
"""Records that one page may read: with few matches it ends early, and the next goes on there."""


class Looking:
    """The readers' side of a runtime; for one thread at a time."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._get = runtime.store.get
        self._decode_sku = msgspec.msgpack.Decoder(SkuRecord).decode
        self._decode_key = msgspec.msgpack.Decoder(KeyRecord).decode
        self._theirs: RuleSet | None = None
        self._ours: RuleSet | None = None
        self._channels: dict[str, Channel] = {}

    # --- the rules -----------------------------------------------------------------------------

    @property
    def rules(self) -> RuleSet:
        """The rules in force, as a copy for the readers' thread."""
        theirs = self.runtime.engine.rules
        if self._ours is None or theirs is not self._theirs:
            self._ours = theirs.copy()
            self._theirs = theirs
            self._channels = {channel.name: channel for channel in theirs.channels}
        return self._ours

    def channel(self, name: str) -> Channel:
        """Return a channel.

        Raises:
            NotFoundError: there is no such channel.
        """
        rules = self.rules
        return self._channels.get(name) or channel_of(rules, name)

    # --- published numbers ---------------------------------------------------------------------

    def published(self, sku: str, channel: Channel, location: str | None) -> PublishedKey:
        """Return what a channel was told last of a key.

        Raises:
            NotFoundError: the channel has a number for each location, and none is named; or it
                has one for the SKU alone, and a location is named.
        """
        check_key(channel, location)
        slot = self._slot(channel)
        if location is None:
            record = self._sku(sku)
            last = None if record is None else at_slot(record.published, slot)
        else:
            stored = self._get(records.key_name(sku, location))
            places = None if stored is None else self._decode_key(stored).published
            last = (places or {}).get(slot)
        return published_key(sku, channel.name, location, last)

    def published_everywhere(self, sku: str, channel: Channel) -> list[PublishedKey]:
        """Return what a channel of granularity location was told of the SKU, at each of them."""
        slot = self._slot(channel)
        prefix = f"K{sku}|".encode()
        found = []
        for name, stored in self.runtime.store.scan(prefix):
            last = (self._decode_key(stored).published or {}).get(slot)
            if last is not None:
                location = name[len(prefix) :].decode()
                found.append(published_key(sku, channel.name, location, last))
        return found

    def knows(self, sku: str) -> bool:
        """Return whether a movement of the SKU was ever taken."""
        return self._get(records.sku_name(sku)) is not None

    def page(
        self, channel: Channel, after: str, limit: int
    ) -> tuple[list[PublishedKey], str | None]:
        """Return the next keys of a channel in order of their names, and after which to go on.

        A key is named by its SKU, or by SKU, `|` and location.
        """
        slot = self._slot(channel)
        prefix = records.KEY if channel.by_location else records.SKU
        start = prefix + after.encode() + b"\0" if after else prefix
        found: list[PublishedKey] = []
        last_read = ""
        for read, (name, stored) in enumerate(self.runtime.store.scan(prefix, start)):
            if len(found) == limit or read == ROWS_READ:
                return found, last_read
            last_read = name[1:].decode()
            sku, _, location = last_read.partition("|")
            if channel.by_location:
                last = (self._decode_key(stored).published or {}).get(slot)
            else:
                last = at_slot(self._decode_sku(stored).published, slot)
            if last is not None:
                found.append(published_key(sku, channel.name, location or None, last))
        return found, None

    def _sku(self, sku: str) -> SkuRecord | None:
        stored = self._get(records.sku_name(sku))
        return None if stored is None else self._decode_sku(stored)

    def _slot(self, channel: Channel) -> int:
        try:
            return self.runtime.engine.standing.channels.index(channel.name)
        except ValueError:
            return -1

    # --- what needs several reads --------------------------------------------------------------

    @contextmanager
    def view(self) -> Iterator[View]:
        """A view of the store as it stands now."""
        snapshot = self.runtime.store.snapshot()
        try:
            yield View(snapshot)
        finally:
            snapshot.close()

    def stock(self, sku: str, location: str | None) -> Stock:
        """Return the stock of a SKU, at one location or at each.

        Raises:
            NotFoundError: no movement has touched it.
        """
        with self.view() as view:
            unallocated, rows = view.stock(sku, location)
        return Stock(sku, unallocated, [stock_line(row) for row in rows])

    def availability(self, sku: str, channels: Sequence[Channel]) -> list[ChannelKey]:
        """Return the SKU's keys on channels: what was published, what it is now, what is due.

        Raises:
            NotFoundError: no movement has touched the SKU.
        """
        with self.view() as view:
            rules = self.rules
            return [
                key for channel in channels for key in view.availability(rules, sku, channel.name)
            ]

    def explain(self, sku: str, channel: Channel, location: str | None) -> Answer:
        """Explain one number.

        Raises:
            NotFoundError: no movement has touched the SKU, or the channel has no such key.
        """
        check_key(channel, location)
        with self.view() as view:
            return view.explain(self.rules, sku, channel.name, location)

    def reservation(self, sku: str, name: str) -> ReservationState:
        """Return a reservation.

        Raises:
            NotFoundError: there is none, or it is not remembered any more.
        """
        stored = self._get(records.reservation_name(sku, name))
        if stored is None:
            raise unknown_reservation(sku, name)
        return state_of(sku, name, msgspec.msgpack.decode(stored, type=ReservationRecord))

    # --- exceptions ----------------------------------------------------------------------------

    def exceptions(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> tuple[list[DeadLetter], str | None]:
        """Return the next exceptions, oldest first, and after which to go on.

        Raises:
            NotFoundError: `after` does not name an exception.
        """
        try:
            start = records.EXCEPTION if after is None else exception_name(after) + b"\0"
        except ValueError as error:
            raise NotFoundError(
                f"no page ends with {after!r}", "Send `after` as `next` of the page before."
            ) from error
        found: list[DeadLetter] = []
        last_read = ""
        for read, (_, stored) in enumerate(self.runtime.store.scan(records.EXCEPTION, start)):
            if len(found) == limit or read == ROWS_READ:
                return found, last_read
            letter = read_dead_letter(stored)
            last_read = letter.record.exception
            if wanted.fits(letter):
                found.append(letter)
        return found, None

    def exception(self, exception: str) -> DeadLetter:
        """Return one exception.

        Raises:
            NotFoundError: there is none of that name.
        """
        try:
            stored = self._get(exception_name(exception))
        except ValueError:
            stored = None
        if stored is None:
            raise no_exception(exception)
        return read_dead_letter(stored)


def channel_of(rules: RuleSet, name: str) -> Channel:
    """Return a channel of a rule set.

    Raises:
        NotFoundError: there is no such channel.
    """
    found = rules.channel(name)
    if found is None:
        known = ", ".join(channel.name for channel in rules.channels)
        raise NotFoundError(f"there is no channel {name}", f"The channels are {known}.")
    return found


def check_key(channel: Channel, location: str | None) -> None:
    """Check that a channel may have a key with, or without, a location.

    Raises:
        NotFoundError: it has none of that kind.
    """
    if channel.by_location and location is None:
        raise NotFoundError(
            f"the channel {channel.name} has a number for each location, and none is named",
            "Name a location as well.",
        )
    if not channel.by_location and location is not None:
        raise NotFoundError(
            f"the channel {channel.name} has one number per SKU, for all its locations",
            "Leave the location out.",
        )


def at_slot(published: Sequence[PublishedRecord | None], slot: int) -> PublishedRecord | None:
    """Return the publication of a channel's slot, None before the first one."""
    return published[slot] if 0 <= slot < len(published) else None
