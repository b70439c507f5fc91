"""What one channel is told, and when: the same throttle as in the embedded engine, over a cluster.

Pure: quantities and ticks go in, publications come out. All it knows follows from what was
published last of every key and what its quantity is now, so it is rebuilt from the two topics.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from engine.contracts.availability import Availability, Cause
from engine.contracts.instants import format_instant, parse_instant
from engine.contracts.records import PublishedRecord
from engine.kafka.messages import Quantity
from engine.publication.throttle import (
    STATUS_NAMES,
    Change,
    Throttle,
    risk_of,
    status_of,
)
from engine.publication.timers import Ref
from engine.rules.model import Channel
from engine.rules.plan import Plan
from engine.rules.ruleset import RuleSet

STATUS_NUMBERS: Final = {name: number for number, name in enumerate(STATUS_NAMES)}

_NOBODY: Final = Cause("engine", "unknown", None)


class Standing(msgspec.Struct, array_like=True, gc=False):
    """What a publication carries in its header so that the throttle can be rebuilt from it.

    `quantity_version` is that of the quantity it tells; `tokens` are what was left in the bucket of
    the channel's rate, and since when, None without one; `log` holds the ticks of the key's
    publications inside its budget's window.
    """

    quantity_version: int
    tokens: int | None = None
    filled_at: int | None = None
    log: list[int] | None = None


class Publication(NamedTuple):
    """A record to be published, the partition it belongs to, and its standing."""

    record: Availability
    partition: int
    standing: Standing
    since: int


class Key:
    """One key of the channel: its last publication, and its quantity now, of the tick `tick`.

    `quantity_version` 0 means that no quantity has come yet; `since` is when the quantity that
    waits to be looked at began to change, microseconds.
    """

    __slots__ = (
        "cause",
        "dirty",
        "last",
        "partition",
        "quantity_version",
        "sales",
        "since",
        "tick",
        "value",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.last = PublishedRecord()
        self.value = 0
        self.quantity_version = 0
        self.cause = _NOBODY
        self.sales = 0
        self.since = 0
        self.tick = 0
        self.dirty = False


class Keeper(Protocol):
    """Wants to see quantities before they are replaced."""

    def keep(self, ref: Ref, partition: int, value: int) -> None:
        """Look at a key's quantity, which is about to be replaced."""
        ...


class ChannelPublisher:
    """One channel at work; nothing is told before it knows its rules.

    `cuts` are the snapshots on their way.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[Ref, Key] = {}
        self.last_tick = 0
        self._dirty: list[Ref] = []
        self._rules: RuleSet | None = None
        self._channel: Channel | None = None
        self._throttle: Throttle | None = None
        self._plan: Plan | None = None
        self._tick_text, self._tick_told = "", 0  # of the last quantity
        self._bucket: tuple[int, int] | None = None  # tokens, and since when
        self.cuts: Sequence[Keeper] = ()

    # --- what comes in -------------------------------------------------------------------------

    def restore(self, record: Availability, at: int, standing: Standing, partition: int) -> None:
        """Take a publication of an earlier owner, published on the tick `at`."""
        key = self._key((record.sku, record.location or ""), partition)
        last = key.last
        if record.version <= last.version:
            return
        last.value = key.value = record.available
        last.status = STATUS_NUMBERS[record.status]
        last.version = record.version
        last.at = at
        last.log = standing.log
        last.cause = (record.cause.source, record.cause.id, record.cause.correlation_id)
        key.quantity_version = standing.quantity_version
        key.cause = record.cause
        self.last_tick = max(self.last_tick, at)
        self._restore_bucket(standing)

    def _restore_bucket(self, standing: Standing) -> None:
        """The newest publication tells what is left of the rate, the fewest tokens on its tick."""
        if standing.tokens is None or standing.filled_at is None:
            return
        found, kept = (standing.filled_at, -standing.tokens), self._bucket
        if kept is None or found > (kept[1], -kept[0]):
            self._bucket = (standing.tokens, standing.filled_at)

    def take(self, quantity: Quantity, partition: int) -> None:
        """Take a quantity; one that is not newer than what is known changes nothing."""
        ref = (quantity.sku, quantity.location or "")
        key = self.keys.get(ref) or self._key(ref, partition)
        if quantity.version <= key.quantity_version:
            return
        if not key.dirty:
            key.dirty = True
            key.since = quantity.since
            self._dirty.append(ref)
        elif key.last.version and key.value == key.last.value and not key.last.since:
            # In between it was as published.
            key.since = quantity.since
        for cut in self.cuts:
            cut.keep(ref, partition, key.value)
        key.quantity_version = quantity.version
        key.value = quantity.quantity
        key.cause = quantity.cause
        key.sales = quantity.sales
        if quantity.computed_at != self._tick_text:
            self._tick_text = quantity.computed_at
            self._tick_told = parse_instant(quantity.computed_at)
        key.tick = self._tick_told

    def _key(self, ref: Ref, partition: int) -> Key:
        key = self.keys.get(ref)
        if key is None:
            key = self.keys[ref] = Key(partition)
        return key

    def change_rules(self, rules: RuleSet) -> None:
        """Hold back by other rules from now on; what waits is looked at again."""
        channel = rules.channel(self.name)
        if channel is None:
            # What no rule set names any more is not told either; the ledger has stopped as well.
            self._channel = self._throttle = None
            return
        previous = self._throttle
        if previous is not None and previous.bucket is not None and previous.bucket.filled_at:
            self._bucket = (previous.bucket.tokens, previous.bucket.filled_at)
        self._rules, self._channel, self._plan = rules, channel, None
        throttle = self._throttle = Throttle(channel.publish, rules.settings.publish_tick)
        if throttle.bucket is not None and self._bucket is not None:
            tokens, throttle.bucket.filled_at = self._bucket
            throttle.bucket.tokens = min(throttle.bucket.capacity, tokens)
        if previous is not None:
            self._look_again(previous.pending)

    def _look_again(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            key = self.keys[ref]
            if not key.dirty:
                key.dirty = True
                key.since = key.last.since
                self._dirty.append(ref)

    # --- ticks ---------------------------------------------------------------------------------

    @property
    def tick_length(self) -> int | None:
        """The length of a tick, microseconds; None before the rules are known."""
        return None if self._throttle is None else self._throttle.tick

    def next_due(self) -> int | None:
        """The next tick on which something may be told, if no quantity comes."""
        throttle = self._throttle
        if throttle is None or self._rules is None:
            return None
        if self._dirty:
            return self.last_tick + throttle.tick
        due = throttle.next_due(self.last_tick)
        if due is None:
            return None
        # A rule's time box that opens or closes may give what waits another interval.
        edges = self._rules.edges
        place = bisect_right(edges, self.last_tick)
        if place < len(edges):
            due = min(due, -(-edges[place] // throttle.tick) * throttle.tick)
        return due

    def tick(self, now: int) -> Iterator[Publication]:
        """Yield what is published on the tick `now`, most at risk first."""
        throttle, channel = self._throttle, self._channel
        if throttle is None or channel is None:
            return
        self.last_tick = now
        self._follow_edges(now, throttle)
        time = format_instant(now)
        dirty, self._dirty = self._dirty, []
        at_once = _holds_nothing_back(channel)
        for ref in dirty:
            key = self.keys[ref]
            if key.last.at >= now:
                self._dirty.append(ref)  # it was told as of this tick already
                continue
            key.dirty = False
            change = self._change(ref, key, channel, now)
            if change is None:
                if key.last.since:
                    key.last.since = 0
                    throttle.withdraw(ref)
            elif at_once and not change.min_interval:
                throttle.withdraw(ref)
                yield self._publish(change, key, channel, now, time)
            else:
                throttle.offer(change)
        for change in throttle.take(now):
            yield self._publish(change, self.keys[change.ref], channel, now, time)
        throttle.changed.clear()  # who waits is found again in the two topics

    def pass_on(self) -> Iterator[Publication]:
        """Yield what need not wait for a tick to be taken up, on a channel that holds nothing back.

        It is told as of the tick of its quantity, or of the last one that was taken up where that
        is later, each key once. So the ledger's word of a tick goes on as it comes, however late.
        """
        throttle, channel, rules = self._throttle, self._channel, self._rules
        if throttle is None or channel is None or rules is None or self._plan is None:
            return
        if not _holds_nothing_back(channel):
            return
        as_of, time, is_known = 0, "", False
        dirty, self._dirty = self._dirty, []
        for ref in dirty:
            key = self.keys[ref]
            now = max(self.last_tick, key.tick)
            if now != as_of:
                as_of, time = now, format_instant(now)
                # Where a time box opens or closes meanwhile, intervals may be others.
                is_known = rules.at(now) is self._plan
            wait = key.last.at >= now or not is_known
            change = None if wait else self._change(ref, key, channel, now)
            if change is None or change.min_interval:
                self._dirty.append(ref)
            else:
                key.dirty = False
                throttle.withdraw(ref)
                yield self._publish(change, key, channel, now, time)

    def _follow_edges(self, now: int, throttle: Throttle) -> None:
        """When a rule's time box opens or closes, intervals may be others from now on."""
        assert self._rules is not None, "a throttle belongs to rules"
        plan = self._rules.at(now)
        if plan is not self._plan:
            if self._plan is not None:
                self._look_again(list(throttle.pending))
            self._plan = plan

    def _change(self, ref: Ref, key: Key, channel: Channel, now: int) -> Change | None:
        """The difference of a key's quantity from what was published; None when there is none."""
        last, value = key.last, key.value
        status = status_of(value, channel.publish.low_stock)
        if last.version and value == last.value and status == last.status:
            return None
        if not last.since:
            last.since = min(key.since, now)
        assert self._plan is not None, "the plan was found at the begin of the tick"
        terms = self._plan.item_class(ref[0]).terms(channel.index, ref[1] or None)
        risk = risk_of(key.sales, value)
        return Change(ref, value, status, last, terms.min_interval, risk, now)

    def _publish(
        self, change: Change, key: Key, channel: Channel, now: int, time: str
    ) -> Publication:
        throttle = self._throttle
        assert throttle is not None, "whoever publishes knows the rules"
        last, since = key.last, key.last.since
        throttle.spend(last, now)
        last.value, last.status = change.value, change.status
        last.version += 1
        last.at = now
        last.since = 0
        last.cause = (key.cause.source, key.cause.id, key.cause.correlation_id)
        bucket = throttle.bucket
        standing = Standing(key.quantity_version, log=last.log)
        if bucket is not None:
            standing.tokens, standing.filled_at = bucket.tokens, bucket.filled_at
        sku, location = change.ref
        record = Availability(
            sku,
            channel.name,
            location or None,
            last.value,
            STATUS_NAMES[last.status],
            last.version,
            time,
            key.cause,
        )
        return Publication(record, key.partition, standing, since)

    # --- figures -------------------------------------------------------------------------------

    def pending(self) -> int:
        """How many keys' last publications differ from their quantities, as of the last tick."""
        return 0 if self._throttle is None else len(self._throttle)

    def by_rate(self) -> int:
        """How many of the pending keys nothing but the channel's rate holds back."""
        return 0 if self._throttle is None else self._throttle.by_rate()

    def oldest(self) -> int | None:
        """Since when the longest pending key has waited."""
        return None if self._throttle is None else self._throttle.oldest()


def _holds_nothing_back(channel: Channel) -> bool:
    publish = channel.publish
    return publish.max_rate is None and publish.max_per_key is None and publish.min_change <= 1
