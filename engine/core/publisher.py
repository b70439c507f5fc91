"""What is told to channels on a tick: the keys touched since the last one, and those held back."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contracts.availability import Availability, Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import KeyRecord, PublishedRecord, SkuRecord, Trace
from engine.core.ahead import Ahead, Ready
from engine.core.faces import Faces
from engine.core.held import HeldKeys
from engine.core.outlets import Outlet
from engine.core.sales import sold_lately
from engine.core.sums import Sums
from engine.ledger.book import Book, Reader, Sku
from engine.publication.throttle import STATUS_NAMES, Change, Ref, risk_of, status_of


class Publisher:
    """Publishes on ticks what differs from what was published last."""

    def __init__(self, book: Book, sums: Sums, slots: dict[str, int], tick: int) -> None:
        self.book = book
        self.sums = sums
        self.tick_length = tick
        rules = sums.rules
        self.outlets = [
            Outlet(channel, slots[channel.name], tick, channel.name in rules.ranked, rules.relays)
            for channel in rules.channels
        ]
        self.held = HeldKeys()
        self._whole = [outlet for outlet in self.outlets if not outlet.channel.by_location]
        self._local = [outlet for outlet in self.outlets if outlet.channel.by_location]
        self._faces = Faces(sums, self._whole)
        self.ahead = Ahead(book, sums, self._faces)
        self._places = 1 + max(slots.values(), default=-1)
        book.traces_per_key = bool(self._local)

    @property
    def tracks_sales(self) -> bool:
        """Whether some channel of granularity sku orders its keys by how fast they sell."""
        return any(outlet.ranked for outlet in self._whole)

    @property
    def tracks_key_sales(self) -> bool:
        """Whether some channel of granularity location does."""
        return any(outlet.ranked for outlet in self._local)

    def take_over(self, previous: Publisher) -> None:
        """Take over what waits for the commit from the publisher under the rules before."""
        self.held = previous.held
        by_topic = {outlet.topic: outlet for outlet in self.outlets}
        for outlet in previous.outlets:
            heir = by_topic.get(outlet.topic)
            if heir is not None:
                heir.records, heir.began = outlet.records, outlet.began
            assert heir is not None or not outlet.records, "rules change after a commit"

    # --- a tick --------------------------------------------------------------------------------

    def tick(self, now: int, swept: list[Sku], rule_trace: Trace) -> None:
        """Publish what is due at the tick `now`.

        `swept` are SKUs to be looked at because the rules have changed, with `rule_trace` as the
        cause when that is what makes their values differ.
        """
        book = self.book
        time = format_instant(now)
        dirty, book.dirty, book.dirty_saved = book.dirty, [], 0
        ready = self.ahead.take(now)
        for sku in dirty:
            self._look_at(sku, now, time, None, ready.get(sku.name))
            sku.dirty = False
        self.look_again(now, swept, rule_trace)
        for outlet in self.outlets:
            if outlet.throttle.pending:
                self._let_through(outlet, now, time)

    def look_again(self, now: int, swept: list[Sku], rule_trace: Trace) -> None:
        """Tell on the tick `now` what the rules have changed; hold back what has to wait."""
        time = format_instant(now)
        for sku in swept:
            self._look_at(sku, now, time, rule_trace)

    def _let_through(self, outlet: Outlet, now: int, time: str) -> None:
        for change in outlet.throttle.take(now):
            name, location = change.ref
            sku = self.book.sku(name)
            assert sku.record.epoch == self.sums.epoch, (
                "what is held back is found anew under new rules"
            )
            last = self._last_of(outlet, sku, location)
            trace = self._trace_of(sku, location, last)
            cause = Cause(trace[0], trace[1], trace[2])
            self._publish(outlet, sku, location, last, change.value, change.status, now)
            self._tell(outlet, sku.name, location, last, time, cause)
            last.cause = trace[:3]
            outlet.throttle.published(last, now)
            self.held.let_go(outlet.slot, change.ref)

    def _look_at(
        self, sku: Sku, now: int, time: str, rule_trace: Trace | None, ready: Ready | None = None
    ) -> None:
        """Compare each channel's value with what it was told, and tell or hold what differs."""
        self.sums.fold(self.book, sku)
        record = sku.record
        if self._local:
            self._look_at_locations(sku, now, time, rule_trace)
        if ready is not None and ready.trace is record.trail[-1]:
            _tell_ready(record, self._published_by(record), ready, now)
        elif self._whole:
            self._look_at_whole(sku, now, time, rule_trace)
        record.everywhere = False
        if record.touched_locations:
            record.touched_locations = {}
        self.book.change(sku)

    # --- channels of granularity sku -----------------------------------------------------------

    def _published_by(self, record: SkuRecord) -> list[PublishedRecord | None]:
        """Return the last publications of a SKU, with a place for every channel's."""
        published = record.published
        if len(published) < self._places:
            published.extend([None] * (self._places - len(published)))
        return published

    def _look_at_whole(self, sku: Sku, now: int, time: str, rule_trace: Trace | None) -> None:
        record, name = sku.record, sku.name
        published = self._published_by(record)
        cause: Cause | None = None
        identity = None
        for face in self._faces.of(sku):
            value, status = self._faces.value(sku, face)
            outlet, slot, interval = face.outlet, face.slot, face.interval
            last = published[slot]
            if last is None:
                last = published[slot] = PublishedRecord()
            elif value == last.value and status == last.status and last.version:
                if last.since:
                    self._withdraw(outlet, (name, ""), last, sku)
                continue
            if rule_trace is not None or last.since or last.blamed is not None:
                self._blame(last, rule_trace)
            if interval is not None:
                self._hold(outlet, sku, "", last, value, status, interval, now)
                continue
            if last.since:
                self._tell_what_an_interval_held(sku, outlet, last, value, status, now)
                continue
            if cause is None:
                identity = (rule_trace or record.trail[-1])[:3]
                cause = Cause(*identity)
            began = rule_trace[6] if rule_trace else record.touched_at
            line = Availability(
                name, outlet.name, None, value, STATUS_NAMES[status], last.version + 1, time, cause
            )
            _tell_at_once(outlet, last, value, status, now, began, identity, line)

    def _tell_what_an_interval_held(
        self, sku: Sku, outlet: Outlet, last: PublishedRecord, value: int, status: int, now: int
    ) -> None:
        """Tell what only a rule's interval has held back, now that the rule has ended.

        That lets it go but is no reason for its value: what was the cause before still is.
        """
        identity, began = self._trace_of(sku, "", last)[:3], last.since
        self._withdraw(outlet, (sku.name, ""), last, sku)
        line = Availability(
            sku.name,
            outlet.name,
            None,
            value,
            STATUS_NAMES[status],
            last.version + 1,
            format_instant(now),
            Cause(*identity),
        )
        _tell_at_once(outlet, last, value, status, now, began, identity, line)

    def _look_at_locations(self, sku: Sku, now: int, time: str, rule_trace: Trace | None) -> None:
        """Look at the touched locations; at all of them when claims or rules bear on each."""
        for location in self._places_of(sku):
            key = self.book.key(sku, location)
            for outlet in self._local:
                self._look_at_key(outlet, sku, location, key, now, time, rule_trace)

    def _places_of(self, sku: Sku) -> list[str]:
        """Return the locations whose values may have changed since the last look."""
        record = sku.record
        if record.everywhere or record.claims:
            # In order of their names: the order in memory is not the same after a start.
            keys = self.book.all_keys(sku)
            return sorted(place for place, key in keys.items() if key.version)
        return list(record.touched_locations)

    def _look_at_key(
        self,
        outlet: Outlet,
        sku: Sku,
        location: str,
        key: KeyRecord,
        now: int,
        time: str,
        rule_trace: Trace | None,
    ) -> None:
        channel = outlet.channel
        last = None if key.published is None else key.published.get(outlet.slot)
        if last is None and not self.sums.sells_from(sku, channel, location):
            return
        value = self.sums.value_at(sku, channel, location, key)
        status = status_of(value, outlet.low_stock)
        if last is None:
            last = PublishedRecord()
            key.published = {**(key.published or {}), outlet.slot: last}
            sku.changed_keys.add(location)
        elif value == last.value and status == last.status and last.version:
            if last.since:
                self._withdraw(outlet, (sku.name, location), last, sku)
            return
        self._blame(last, rule_trace)
        terms = self.sums.item(sku).terms(channel.index, location)
        sku.changed_keys.add(location)
        self.book.change(sku)
        if not outlet.free or terms.min_interval:
            self._hold(outlet, sku, location, last, value, status, terms.min_interval, now)
            return
        if last.since:
            self._withdraw(outlet, (sku.name, location), last, sku)
        trace = self._trace_of(sku, location, last)
        last.cause = trace[:3]
        if outlet.began is not None:
            outlet.began.append(_began_at(sku.record, location, last))
        self._publish(outlet, sku, location, last, value, status, now)
        self._tell(outlet, sku.name, location, last, time, Cause(trace[0], trace[1], trace[2]))

    def _blame(self, last: PublishedRecord, rule_trace: Trace | None) -> None:
        """Note the rules as the cause where nothing but they have changed the value."""
        if rule_trace is None or not last.since:
            last.blamed = rule_trace

    def _last_of(self, outlet: Outlet, sku: Sku, location: str) -> PublishedRecord:
        if location:
            last = (self.book.key(sku, location).published or {}).get(outlet.slot)
        else:
            last = sku.record.published[outlet.slot]
        return last or PublishedRecord()

    def _trace_of(self, sku: Sku, location: str, last: PublishedRecord) -> Trace:
        if last.blamed is not None:
            return last.blamed
        # Keys have traces of their own only while some channel's granularity is location.
        trace = self.book.key(sku, location).trace if location else None
        return trace or sku.record.trail[-1]

    # --- holding back and telling --------------------------------------------------------------

    def _hold(
        self,
        outlet: Outlet,
        sku: Sku,
        location: str,
        last: PublishedRecord,
        value: int,
        status: int,
        min_interval: int,
        now: int,
    ) -> None:
        if not last.since:
            last.since = _began_at(sku.record, location, last)
        ref = (sku.name, location)
        seller = self.book.key(sku, location) if location else sku.record
        risk = risk_of(sold_lately(seller, now), value)
        outlet.throttle.offer(Change(ref, value, status, last, min_interval, risk, now))
        self.held.hold(outlet.slot, ref, now)

    def _withdraw(self, outlet: Outlet, ref: Ref, last: PublishedRecord, sku: Sku) -> None:
        last.since = 0
        outlet.throttle.withdraw(ref)
        self.held.let_go(outlet.slot, ref)
        if ref[1]:
            sku.changed_keys.add(ref[1])
        self.book.change(sku)

    def _publish(
        self,
        outlet: Outlet,
        sku: Sku,
        location: str,
        last: PublishedRecord,
        value: int,
        status: int,
        now: int,
    ) -> None:
        _note(last, value, status, now)
        if location:
            sku.changed_keys.add(location)
        if not sku.changed:
            self.book.change(sku)

    def _tell(
        self,
        outlet: Outlet,
        name: str,
        location: str,
        last: PublishedRecord,
        time: str,
        cause: Cause,
    ) -> None:
        outlet.records.append(
            Availability(
                name,
                outlet.channel.name,
                location or None,
                last.value,
                STATUS_NAMES[last.status],
                last.version,
                time,
                cause,
            )
        )

    # --- what is pending -----------------------------------------------------------------------

    def next_due(self, now: int) -> int | None:
        """Return the next tick after `now` at which a key that is held back may be told."""
        dues = [o.throttle.next_due(now) for o in self.outlets if o.throttle.pending]
        return min((due for due in dues if due is not None), default=None)

    def settle(self, now: int) -> bool:
        """Look at the dirty SKUs as on the tick `now`, without publishing.

        Used when no more input comes: what equals its last publication, or is held back, needs no
        tick of its own. Returns whether something is left that the tick will publish.
        """
        book = self.book
        left: list[Sku] = []
        for sku in book.dirty:
            if self._publishes_freely(sku):
                left.append(sku)
                continue
            self._look_at(sku, now, "", None)
            sku.dirty = False
        book.dirty = left
        for outlet in self.outlets:
            outlet.throttle.await_overdue()
        return bool(left)

    def _publishes_freely(self, sku: Sku) -> bool:
        self.sums.fold(self.book, sku)
        return any(
            outlet.free
            and not self.sums.item(sku).terms(outlet.channel.index, place or None).min_interval
            for outlet, place in self._differing(sku)
        )

    def _differing(self, sku: Sku) -> Iterator[tuple[Outlet, str]]:
        """Yield the keys of a folded SKU whose value is not what was published last."""
        for outlet in self._whole:
            value = self.sums.value(sku, outlet.channel)
            published = sku.record.published
            last = published[outlet.slot] if outlet.slot < len(published) else None
            if _differs(last, value, outlet.low_stock):
                yield outlet, ""
        if not self._local:
            return
        for location in self._places_of(sku):
            key = self.book.key(sku, location)
            for outlet in self._local:
                last = None if key.published is None else key.published.get(outlet.slot)
                if last is None and not self.sums.sells_from(sku, outlet.channel, location):
                    continue
                value = self.sums.value_at(sku, outlet.channel, location, key)
                if _differs(last, value, outlet.low_stock):
                    yield outlet, location

    def pending_count(self) -> int:
        """Return how many keys' last publications differ from their values now."""
        pending = {(outlet.slot, ref) for outlet in self.outlets for ref in outlet.throttle.pending}
        for sku in self.book.dirty:
            self.sums.fold(self.book, sku)
            looked_at = {"", *self._places_of(sku)}
            pending = {
                (slot, ref)
                for slot, ref in pending
                if ref[0] != sku.name or ref[1] not in looked_at
            }
            for outlet, location in self._differing(sku):
                pending.add((outlet.slot, (sku.name, location)))
        return len(pending)

    def restore(self, reader: Reader, last_tick: int | None) -> None:
        """Find again what was held back when the last tick had passed, in the store or not yet."""
        by_slot = {outlet.slot: outlet for outlet in self.outlets}
        for (slot, (sku_name, location)), considered in self.held.read(reader).items():
            outlet = by_slot.get(slot)
            if outlet is None:
                continue
            if bool(location) != outlet.channel.by_location:
                continue  # the channel's granularity is another now
            self._restore_one(outlet, sku_name, location, considered)
        if last_tick is not None:
            for outlet in self.outlets:
                outlet.throttle.resume(last_tick)

    def _restore_one(self, outlet: Outlet, name: str, location: str, considered: int) -> None:
        sku = self.book.sku(name)
        self.sums.fold(self.book, sku)
        channel = outlet.channel
        seller: SkuRecord | KeyRecord = sku.record
        if location:
            seller = key = self.book.key(sku, location)
            last = (key.published or {}).get(outlet.slot)
            value = self.sums.value_at(sku, channel, location, key)
            terms = self.sums.item(sku).terms(channel.index, location)
        else:
            published = sku.record.published
            last = published[outlet.slot] if outlet.slot < len(published) else None
            value = self.sums.value(sku, channel)
            terms = self.sums.item(sku).terms(channel.index, None)
        if last is None or not _differs(last, value, outlet.low_stock):
            return
        status = status_of(value, outlet.low_stock)
        risk = risk_of(sold_lately(seller, considered), value)
        ref = (name, location)
        change = Change(ref, value, status, last, terms.min_interval, risk, considered)
        outlet.throttle.offer(change)


def _note(last: PublishedRecord, value: int, status: int, now: int) -> None:
    """Note a publication."""
    last.value = value
    last.status = status
    last.version += 1
    last.at = now
    last.since = 0


def _tell_ready(
    record: SkuRecord, published: list[PublishedRecord | None], ready: Ready, now: int
) -> None:
    """Tell on the tick what was worked out ahead of it."""
    identity, began = ready.trace[:3], record.touched_at
    for outlet, slot, value, status, line in ready.told:
        last = published[slot]
        if last is None:
            last = published[slot] = PublishedRecord()
        _tell_at_once(outlet, last, value, status, now, began, identity, line)


def _tell_at_once(
    outlet: Outlet,
    last: PublishedRecord,
    value: int,
    status: int,
    now: int,
    began: int,
    identity: tuple[str, str, str | None] | None,
    line: Availability,
) -> None:
    """Publish what nothing holds back."""
    if outlet.began is not None:
        outlet.began.append(began)
    last.cause = identity
    _note(last, value, status, now)
    outlet.records.append(line)


def _differs(last: PublishedRecord | None, value: int, low_stock: int) -> bool:
    if last is None or not last.version:
        return True
    return value != last.value or status_of(value, low_stock) != last.status


def _began_at(record: SkuRecord, location: str, last: PublishedRecord) -> int:
    """Return since when a key has differed that did not on the last tick."""
    if last.blamed is not None:
        return last.blamed[6]
    return record.touched_locations.get(location, record.touched_at)
