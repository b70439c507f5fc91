"""What is told to channels on a tick: the keys touched since the last one, and those held back."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contracts.availability import Availability, Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import KeyRecord, PublishedRecord, SkuRecord, Trace
from engine.core.ahead import Ahead, Ready
from engine.core.faces import Face, Faces
from engine.core.held import HeldKeys
from engine.core.outlets import Outlet
from engine.core.sales import sold_lately
from engine.core.sums import Sums
from engine.ledger.book import EVERY_CHANNEL, Book, Reader, Sku
from engine.publication.throttle import STATUS_NAMES, Change, risk_of
from engine.publication.timers import Ref


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
        self.faces = Faces(sums, self.outlets)
        self._places = 1 + max(slots.values(), default=-1)
        self.ahead = Ahead(book, sums, self.faces, self._places)
        # What a channel without a selector sells from is everywhere: the SKU's own trail says it.
        book.traces_per_key = bool(self.faces.local) or any(
            outlet.channel.selector is not None for outlet in self.outlets
        )

    @property
    def tracks_sales(self) -> bool:
        """Whether some channel of granularity sku orders its keys by how fast they sell."""
        return any(outlet.ranked for outlet in self.faces.whole)

    @property
    def tracks_key_sales(self) -> bool:
        """Whether some channel of granularity location does."""
        return any(outlet.ranked for outlet in self.faces.local)

    def take_over(self, previous: Publisher) -> None:
        """Take over what waits for the commit from the publisher under the rules before."""
        self.held = previous.held
        self.held.note(previous.outlets)
        by_topic = {outlet.topic: outlet for outlet in self.outlets}
        for outlet in previous.outlets:
            heir = by_topic.get(outlet.topic)
            if heir is not None:
                heir.records, heir.began = outlet.records, outlet.began
            assert heir is not None or not outlet.records, "rules change after a commit"

    # --- a tick --------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Publish what is due at the tick `now`."""
        book = self.book
        time = format_instant(now)
        dirty, book.dirty, book.dirty_saved = book.dirty, [], 0
        ready = self.ahead.take(now)
        for sku in dirty:
            worked_out = ready.get(sku.name)
            if worked_out is not None and worked_out.holds_for(sku):
                self._tell_ready(sku, worked_out, now, time)
            else:
                self._look_at(sku, now, time, None)
            sku.dirty = False
        for outlet in self.outlets:
            if outlet.throttle.may_tell(now):
                self._let_through(outlet, now, time)

    def look_again(self, now: int, swept: list[Sku], rule_trace: Trace) -> None:
        """Look on the tick `now`, before it, at SKUs of which the rules have changed.

        `rule_trace` is the cause when that is what makes their values differ.
        """
        time = format_instant(now)
        for sku in swept:
            self._look_at(sku, now, time, rule_trace)

    def _let_through(self, outlet: Outlet, now: int, time: str) -> None:
        throttle = outlet.throttle
        for change in throttle.take(now):
            name, location = change.ref
            sku = self.book.sku(name)
            assert sku.record.epoch == self.sums.epoch, (
                "what is held back is found anew under new rules"
            )
            last = self._last_of(outlet, sku, location)
            identity = self._trace_of(sku, location, last)[:3]
            if location:
                sku.changed_keys.add(location)
            if not sku.changed:
                self.book.change(sku)
            value, status, version = change.value, change.status, last.version + 1
            line = _line(outlet, name, location, value, status, version, time, Cause(*identity))
            throttle.spend(last, now)
            _tell(outlet, last, value, status, now, last.since, identity, line)

    def _look_at(self, sku: Sku, now: int, time: str, rule_trace: Trace | None) -> None:
        """Compare each channel's value with what it was told, and tell or hold what differs."""
        self.sums.fold(self.book, sku)
        if self.faces.local:
            self._look_at_locations(sku, now, time, rule_trace)
        if self.faces.whole:
            self._look_at_whole(sku, now, time, rule_trace)
        self._looked_at(sku)

    def _tell_ready(self, sku: Sku, ready: Ready, now: int, time: str) -> None:
        """Tell what was worked out ahead of the tick, which has summed the SKU up as well."""
        if self.faces.local:
            self._look_at_locations(sku, now, time, None)
        sku.record.published = ready.published
        for outlet, line in ready.told:
            outlet.records.append(line)
        self._looked_at(sku)

    def _looked_at(self, sku: Sku) -> None:
        record = sku.record
        if record.everywhere:
            record.everywhere = False
        sku.moved = 0
        if record.touched_locations:
            record.touched_locations = {}
        if not sku.changed:
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
        moved = sku.moved if rule_trace is None and not record.everywhere else EVERY_CHANNEL
        for face in self.faces.of(sku):
            last = published[face.slot]
            if not moved >> face.number & 1 and last is not None and not last.since:
                continue  # as it was when it was last looked at
            value, status = self.faces.value(sku, face)
            if last is None:
                last = published[face.slot] = PublishedRecord()
            elif value == last.value and status == last.status and last.version:
                if last.since:
                    self._withdraw(face.outlet, (name, ""), last, sku)
                continue
            if rule_trace is not None or last.since or last.blamed is not None:
                self._blame(last, rule_trace)
            if face.interval is not None:
                self._offer(face, sku, "", record, last, value, status, now)
                continue
            if last.since:
                self._tell_freely(face.outlet, sku, "", last, value, status, now, time)
                continue
            if cause is None:
                identity = (rule_trace or record.trail[-1])[:3]
                cause = Cause(*identity)
            began = rule_trace[6] if rule_trace else record.touched_at
            # Made here and not by `_line`: this runs for every publication that nothing holds back.
            version, status_name = last.version + 1, STATUS_NAMES[status]
            line = Availability(
                name, face.outlet.name, None, value, status_name, version, time, cause
            )
            _tell(face.outlet, last, value, status, now, began, identity, line)

    # --- channels of granularity location ------------------------------------------------------

    def _look_at_locations(self, sku: Sku, now: int, time: str, rule_trace: Trace | None) -> None:
        """Look at the touched locations; at all of them when claims or rules bear on each."""
        for location in self._places_of(sku):
            key = sku.keys.get(location) or self.book.key(sku, location)
            for face in self.faces.at(sku, location):
                self._look_at_key(face, sku, location, key, now, time, rule_trace)

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
        face: Face,
        sku: Sku,
        location: str,
        key: KeyRecord,
        now: int,
        time: str,
        rule_trace: Trace | None,
    ) -> None:
        last = None if key.published is None else key.published.get(face.slot)
        if last is None and not face.sells:
            return
        value, status = self.faces.value_at(sku, face, location, key)
        if last is None:
            last = PublishedRecord()
            key.published = {**(key.published or {}), face.slot: last}
        elif value == last.value and status == last.status and last.version:
            if last.since:
                self._withdraw(face.outlet, (sku.name, location), last, sku)
            return
        self._blame(last, rule_trace)
        sku.changed_keys.add(location)
        if face.interval is not None:
            self._offer(face, sku, location, key, last, value, status, now)
            return
        self._tell_freely(face.outlet, sku, location, last, value, status, now, time)

    # --- either --------------------------------------------------------------------------------

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

    def _offer(
        self,
        face: Face,
        sku: Sku,
        location: str,
        seller: SkuRecord | KeyRecord,
        last: PublishedRecord,
        value: int,
        status: int,
        now: int,
    ) -> None:
        """Let the channel's limits decide whether the value is told on the tick, or later."""
        throttle, ref = face.outlet.throttle, (sku.name, location)
        if last.since:
            throttle.changed[ref] = None  # it may wait in the store, though in vain since a start
        else:
            last.since = _began_at(sku.record, location, last)
        risk = risk_of(sold_lately(seller, now), value) if seller.sales else 0
        throttle.offer(Change(ref, value, status, last, face.interval or 0, risk, now))

    def _tell_freely(
        self,
        outlet: Outlet,
        sku: Sku,
        location: str,
        last: PublishedRecord,
        value: int,
        status: int,
        now: int,
        time: str,
    ) -> None:
        """Tell what nothing holds back, or nothing any more.

        That a rule's interval has ended lets a value go but is no reason for it: what was the cause
        before still is.
        """
        began = last.since or _began_at(sku.record, location, last)
        identity = self._trace_of(sku, location, last)[:3]
        if last.since:
            self._withdraw(outlet, (sku.name, location), last, sku)
        version, cause = last.version + 1, Cause(*identity)
        line = _line(outlet, sku.name, location, value, status, version, time, cause)
        _tell(outlet, last, value, status, now, began, identity, line)

    def _withdraw(self, outlet: Outlet, ref: Ref, last: PublishedRecord, sku: Sku) -> None:
        last.since = 0
        outlet.throttle.withdraw(ref)
        if ref[1]:
            sku.changed_keys.add(ref[1])
        self.book.change(sku)

    # --- what is pending -----------------------------------------------------------------------

    def next_due(self, now: int) -> int | None:
        """Return the next tick after `now` at which a key that is held back may be told."""
        first: int | None = None
        for outlet in self.outlets:
            due = outlet.throttle.next_due(now)
            if due is not None and (first is None or due < first):
                first = due
        return first

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
            outlet.throttle.rest()
        return bool(left)

    def _publishes_freely(self, sku: Sku) -> bool:
        self.sums.fold(self.book, sku)
        return any(face.interval is None for face, _ in self._differing(sku))

    def _differing(self, sku: Sku) -> Iterator[tuple[Face, str]]:
        """Yield the keys of a folded SKU whose value is not what was published last."""
        published = sku.record.published
        for face in self.faces.of(sku):
            last = published[face.slot] if face.slot < len(published) else None
            if _differs(last, *self.faces.value(sku, face)):
                yield face, ""
        if not self.faces.local:
            return
        for location in self._places_of(sku):
            key = self.book.key(sku, location)
            for face in self.faces.at(sku, location):
                last = None if key.published is None else key.published.get(face.slot)
                if last is None and not face.sells:
                    continue
                if _differs(last, *self.faces.value_at(sku, face, location, key)):
                    yield face, location

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
            for face, location in self._differing(sku):
                pending.add((face.slot, (sku.name, location)))
        return len(pending)

    def restore(self, reader: Reader, last_tick: int | None) -> None:
        """Find again what was held back when the last tick had passed, in the store or not yet."""
        by_slot = {outlet.slot: outlet for outlet in self.outlets}
        for (slot, ref), considered in self.held.read(reader).items():
            outlet = by_slot.get(slot)
            if outlet is None:
                continue
            if bool(ref[1]) != outlet.channel.by_location:
                continue  # the channel's granularity is another now
            self._restore_one(outlet, ref, considered)
        for outlet in self.outlets:
            if last_tick is not None:
                outlet.throttle.resume(last_tick)
            outlet.throttle.changed.clear()  # the store has them, or the commit before will

    def _restore_one(self, outlet: Outlet, ref: Ref, considered: int) -> None:
        name, location = ref
        sku = self.book.sku(name)
        self.sums.fold(self.book, sku)
        key = self.book.key(sku, location) if location else None
        if key is None:
            published = sku.record.published
            last = published[outlet.slot] if outlet.slot < len(published) else None
        else:
            last = (key.published or {}).get(outlet.slot)
        value, status, face = self.faces.offered(sku, outlet, location, key)
        if last is None or not _differs(last, value, status):
            return
        seller = key or sku.record
        risk = risk_of(sold_lately(seller, considered), value)
        change = Change(ref, value, status, last, face.interval or 0, risk, considered)
        outlet.throttle.offer(change)


def _line(
    outlet: Outlet,
    name: str,
    location: str,
    value: int,
    status: int,
    version: int,
    time: str,
    cause: Cause,
) -> Availability:
    return Availability(
        name, outlet.name, location or None, value, STATUS_NAMES[status], version, time, cause
    )


def _tell(
    outlet: Outlet,
    last: PublishedRecord,
    value: int,
    status: int,
    now: int,
    began: int,
    identity: tuple[str, str, str | None] | None,
    line: Availability,
) -> None:
    """Publish a value that has differed since `began`."""
    if outlet.began is not None:
        outlet.began.append(began)
    last.value = value
    last.status = status
    last.version += 1
    last.at = now
    last.since = 0
    last.cause = identity
    outlet.records.append(line)


def _differs(last: PublishedRecord | None, value: int, status: int) -> bool:
    return last is None or not last.version or value != last.value or status != last.status


def _began_at(record: SkuRecord, location: str, last: PublishedRecord) -> int:
    """Return since when a key has differed that did not on the last tick."""
    if last.blamed is not None:
        return last.blamed[6]
    return record.touched_locations.get(location, record.touched_at)
