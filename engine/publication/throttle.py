"""The throttle of one channel: which changed keys may be told on a tick, and in which order.

A key is pending while its computed value differs from its last publication. A pending key waits
until its interval, its budget and the least change allow it; then it stands in a queue ordered by
risk, from which the channel's rate takes as many as it allows. All that a throttle knows follows
from the publications and the computed values, so it is rebuilt from them after a crash.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from engine.contracts.records import PublishedRecord
from engine.publication.bucket import Bucket
from engine.publication.timers import Ref, Timers
from engine.rules.model import Publish

SPARE_RANKS = 1_000  # ranks that count no more and may stay in the queue, beside as many as do

OUT_OF_STOCK, LOW_STOCK, IN_STOCK = 0, 1, 2
STATUS_NAMES = ("out_of_stock", "low_stock", "in_stock")

# Classes of risk, most urgent first.
OVERDUE, SELL_OUT, FALL_TO_LOW, OTHER_FALL, RESTOCK, OTHER_RISE = range(6)


def status_of(value: int, low_stock: int) -> int:
    """Return the status of a quantity: out of stock, low stock or in stock."""
    if value <= 0:
        return OUT_OF_STOCK
    return LOW_STOCK if value <= low_stock else IN_STOCK


def risk_of(sold: int, left: int) -> int:
    """Return how fast a key sells for what it has left; 0 is slowest.

    `sold` is units of the current and the previous hour of the clock, `left` units. Two keys with
    less than 2**32 left compare as their exact quotients do.
    """
    return (sold << 64) // max(1, left)


class Change(msgspec.Struct, frozen=True, gc=False):
    """A key whose value differs from its last publication."""

    ref: Ref
    value: int
    status: int
    published: PublishedRecord
    min_interval: int  # microseconds
    risk: int
    considered: int  # the tick whose state this is


# Order in the queue: class of risk, minus the risk, waiting since, key.
Rank = tuple[int, int, int, Ref]


class Throttle:
    """What is pending on one channel.

    `pending` are the keys that wait; `changed` are those that have begun to wait, wait for another
    value, or wait no more, in order, since whoever keeps a record of them has looked and cleared
    it. What is offered and told on the same tick never waits.
    """

    def __init__(self, publish: Publish, tick: int) -> None:
        self.publish = publish
        self.tick = tick
        self.bucket = None if publish.max_rate is None else Bucket(publish.max_rate)
        self.pending: dict[Ref, Change] = {}
        self.changed: dict[Ref, None] = {}
        self._ready: dict[Ref, Change] = {}
        self._rank: dict[Ref, Rank] = {}
        self._queue: list[Rank] = []
        self._allowed_on: dict[Ref, int] = {}
        self._timers = Timers()
        self._overdue = Timers()

    def __len__(self) -> int:
        """Return how many keys are pending."""
        return len(self.pending) + len(self._ready)

    def by_rate(self) -> int:
        """Return how many pending keys nothing but the channel's rate holds back."""
        return len(self._rank)

    def oldest(self) -> int | None:
        """Return since when the longest pending key has waited."""
        changes = chain(self.pending.values(), self._ready.values())
        return min((change.published.since for change in changes), default=None)

    def offer(self, change: Change) -> None:
        """Consider a key that differs; it replaces what was pending of the key."""
        ref, now = change.ref, change.considered
        allowed = self._allowed_from(change)
        if allowed <= now:
            if ref in self._rank:
                self._keep(change, now)
                return
            if ref in self.pending:
                self._end_wait(ref)
            self._ready[ref] = change
            return
        self._ready.pop(ref, None)
        self._rank.pop(ref, None)
        self.pending[ref] = change
        self.changed[ref] = None
        tick = self._tick_from(allowed)
        if self._allowed_on.get(ref) != tick:
            self._allowed_on[ref] = tick
            self._timers.set(tick, ref)

    def withdraw(self, ref: Ref) -> None:
        """Forget a key whose value equals its last publication again."""
        self._ready.pop(ref, None)
        self._end_wait(ref)

    def _end_wait(self, ref: Ref) -> None:
        self.pending.pop(ref, None)
        self.changed[ref] = None
        self._rank.pop(ref, None)
        self._allowed_on.pop(ref, None)

    def resume(self, last_tick: int) -> None:
        """Go on after a start, as if what was offered since had been here on the last tick."""
        self._fire_timers(last_tick)
        self.rest()
        self._fire_timers(last_tick)

    def take(self, now: int) -> Iterator[Change]:
        """Yield what is to be published on the tick, most at risk first.

        The caller publishes each before it asks for the next.
        """
        self._fire_timers(now)
        bucket = self.bucket
        if bucket is not None:
            bucket.fill(now)
        ready = self._ready
        if self._rank or not (bucket is None or bucket.holds(len(ready))):
            yield from self._take_in_turn(now)
            return
        # Nothing is left waiting for the rate: no queue is needed to tell who goes first.
        self._ready = {}
        self._queue.clear()
        ranked = [(self._rank_of(change, now), change) for change in ready.values()]
        ranked.sort()
        for _, change in ranked:
            if bucket is not None:
                bucket.take()
            yield change

    def _take_in_turn(self, now: int) -> Iterator[Change]:
        """Yield as many as the rate allows; the others wait in the queue."""
        came = list(self._ready)
        self._queue_ready(now)
        bucket = self.bucket
        while self._queue:
            rank = self._queue[0]
            ref = rank[3]
            if self._rank.get(ref) != rank:
                heapq.heappop(self._queue)
                continue
            if bucket is not None and not bucket.take():
                break
            heapq.heappop(self._queue)
            change = self.pending[ref]
            self._end_wait(ref)
            yield change
        self._await_overdue(came)

    def rest(self) -> None:
        """Let what was offered wait for the next tick."""
        came = list(self._ready)
        self._queue_ready()
        self._await_overdue(came)

    def _queue_ready(self, now: int | None = None) -> None:
        """Let what may be told stand in the queue, ranked at `now` or when it was considered."""
        ready, self._ready = self._ready, {}
        for change in ready.values():
            self._keep(change, change.considered if now is None else now)

    def _keep(self, change: Change, now: int) -> None:
        """Let a key wait in the queue."""
        self.pending[change.ref] = change
        self.changed[change.ref] = None
        self._enqueue(change, now)

    def _await_overdue(self, refs: Sequence[Ref]) -> None:
        """Set timers for those that stay in the queue, for when they have waited too long."""
        for ref in refs:
            rank = self._rank.get(ref)
            if rank is not None and rank[0] != OVERDUE:
                overdue_at = rank[2] + self.publish.max_staleness
                self._overdue.set(self._tick_from(overdue_at), ref)

    def spend(self, record: PublishedRecord, now: int) -> None:
        """Note in the key's budget that it is told now; `record` is still its last publication."""
        budget = self.publish.max_per_key
        if budget is None:
            return
        log = [at for at in _told(record) if at > now - budget.period]
        log.append(now)
        record.log = log[-budget.count :]

    def next_due(self, now: int) -> int | None:
        """Return the next tick after `now` at which something may be published."""
        if self._ready:
            self.rest()
        first = self._timers.first(self._allowed_on)
        if not self._rank:
            return first
        at = now if self.bucket is None else self.bucket.ready_at(now)
        told = max(self._tick_from(at), self._tick_from(now + 1))
        return told if first is None else min(first, told)

    def may_tell(self, now: int) -> bool:
        """Return whether something may be published on the tick `now`."""
        return bool(self._ready or self._rank or self._timers.are_due(now))

    def _fire_timers(self, now: int) -> None:
        for ref in self._timers.fire(now):
            if self._allowed_on.get(ref, now + 1) <= now:
                change = self.pending[ref]
                self._end_wait(ref)
                self._ready[ref] = change
        for ref in self._overdue.fire(now):
            if ref in self._rank:
                self._enqueue(self.pending[ref], now)

    def _enqueue(self, change: Change, now: int) -> None:
        ref, rank = change.ref, self._rank_of(change, now)
        if self._rank.get(ref) != rank:
            self._rank[ref] = rank
            heapq.heappush(self._queue, rank)
            if len(self._queue) > 2 * len(self._rank) + SPARE_RANKS:
                self._queue = list(self._rank.values())
                heapq.heapify(self._queue)

    def _rank_of(self, change: Change, now: int) -> Rank:
        ref, since = change.ref, change.published.since
        if self.bucket is None or now >= since + self.publish.max_staleness:
            return OVERDUE, 0, since, ref
        kind = self._class_of(change)
        return kind, -change.risk if kind == OTHER_FALL else 0, since, ref

    def _class_of(self, change: Change) -> int:
        published = change.published
        first = published.version == 0
        if first or change.value < published.value:
            if change.value == 0:
                return SELL_OUT
            if change.status == LOW_STOCK:
                return FALL_TO_LOW
            return RESTOCK if first else OTHER_FALL
        return RESTOCK if published.value == 0 and change.value > 0 else OTHER_RISE

    def _allowed_from(self, change: Change) -> int:
        """Return the instant from which interval, budget and least change allow the key."""
        published = change.published
        if published.version == 0:
            return change.considered
        urgent = change.value < published.value and change.status != IN_STOCK
        allowed = change.considered
        if not urgent:
            allowed = max(allowed, published.at + change.min_interval)
            if self._too_small(change):
                allowed = max(allowed, published.since + self.publish.max_staleness)
        budget = self.publish.max_per_key
        if budget is not None:
            told = _told(published)
            if len(told) >= budget.count:
                allowed = max(allowed, told[-budget.count] + budget.period)
        return allowed

    def _too_small(self, change: Change) -> bool:
        published = change.published
        difference = abs(change.value - published.value)
        restock = published.value == 0 and change.value > 0
        return 0 < difference < self.publish.min_change and not restock

    def _tick_from(self, instant: int) -> int:
        """Return the first tick at or after the instant."""
        return -(-instant // self.tick) * self.tick


def _told(record: PublishedRecord) -> list[int]:
    """Return when a key was told, oldest first, as far as it is known.

    Its log holds what was told under a budget; where there was none, the last one alone is known.
    """
    log = record.log or []
    if not record.version or log[-1:] == [record.at]:
        return log
    return [*log, record.at]
