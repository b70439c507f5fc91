"""Which keys are told to a channel on a tick, and in what order.

A *touch* of a key is a movement, an expiry or a rule edge that concerned it. A key waits from its
first touch after the last tick at which its value equalled what was published.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .instants import HOUR, SECOND, ceiling_to, format_instant
from .rules import Channel

ChannelKey = tuple[str, str, str | None]
"""(channel, sku, location or None)"""
Cause = dict[str, Any]

STALE, SELL_OUT, LOW_STOCK, FALL, RESTOCK, RISE = range(6)


@dataclass
class Published:
    """A key of a channel: what was told, and since when it waits."""

    value: int | None = None
    """None before the first publication."""
    times: list[int] = field(default_factory=list)
    waiting_since: int | None = None
    edge: int | None = None
    """The last rule edge that changed it while it waits."""
    moved: bool = False
    """Whether anything but a rule edge touched it while it waits."""


@dataclass(frozen=True)
class Pending:
    """A key whose value is not what was last published."""

    key: ChannelKey
    value: int
    min_interval: int


@dataclass
class Bucket:
    """Tokens of a channel with a rate: full at start, one for each publication."""

    per_microsecond: Fraction
    capacity: Fraction
    tokens: Fraction
    filled_at: int | None = None

    def fill(self, now: int) -> None:
        """Adds what the time since the last filling gives."""
        if self.filled_at is not None:
            gained = (now - self.filled_at) * self.per_microsecond
            self.tokens = min(self.capacity, self.tokens + gained)
        self.filled_at = now

    def ready_at(self) -> int:
        """The first microsecond with a whole token."""
        if self.filled_at is None or self.tokens >= 1:
            return self.filled_at or 0
        wait = (1 - self.tokens) / self.per_microsecond
        return self.filled_at + -(-wait.numerator // wait.denominator)


class Publisher:
    """All keys of all channels."""

    def __init__(self, channels: dict[str, Channel], tick: int) -> None:
        self.channels = channels
        self.tick = tick
        self.keys: dict[ChannelKey, Published] = {}
        self.records: dict[str, list[dict[str, Any]]] = {name: [] for name in channels}
        self.sold: list[tuple[int, str, str, int]] = []
        """(clock, sku, location, units) of every sale and fulfilment."""
        self.last_touch: dict[tuple[str, str | None], Cause] = {}
        """By (sku, None) and (sku, location)."""
        self.buckets = {
            name: _bucket(*channel.publish.max_rate)
            for name, channel in channels.items()
            if channel.publish.max_rate is not None
        }

    def touch(self, key: ChannelKey, now: int, edge: bool = False) -> None:
        """Something concerned the key, which exists from now on."""
        published = self.keys.setdefault(key, Published())
        if published.waiting_since is None:
            published.waiting_since = now
        if edge:
            published.edge = now
        else:
            published.moved = True

    def run_tick(self, now: int, values: dict[ChannelKey, tuple[int, int]]) -> list[Pending]:
        """Publishes what is due on a tick; what is still pending after it.

        `values` holds (value, min_interval) of every key.
        """
        pending: list[Pending] = []
        for key, (value, min_interval) in values.items():
            published = self.keys[key]
            if published.value == value:
                self._at_rest(published)
            else:
                pending.append(Pending(key, value, min_interval))
        for name in self.channels:
            mine = [one for one in pending if one.key[0] == name]
            due = [one for one in mine if self.due_at(one) <= now]
            for one in sorted(due, key=lambda one: self.risk(one, now)):
                if self._take_token(name, now):
                    self._publish(one, now)
                    pending.remove(one)
        return pending

    def due_at(self, one: Pending) -> int:
        """When the promises of the key (all but the channel's rate) let it be published."""
        published, promises = self.keys[one.key], self.channels[one.key[0]].publish
        moments = [0]
        last = published.value
        if last is not None and not self._urgent(one):
            moments.append(published.times[-1] + one.min_interval)
            if last != 0 and abs(one.value - last) < promises.min_change:
                assert published.waiting_since is not None
                moments.append(published.waiting_since + promises.max_staleness)
        if promises.max_per_key is not None:
            count, window = promises.max_per_key
            if len(published.times) >= count:
                moments.append(published.times[-count] + window)
        return max(moments)

    def next_due_tick(self, pending: list[Pending], after: int) -> int | None:
        """The first tick after an instant on which a pending key may be published.

        That is, if nothing else happens until then.
        """
        ticks = []
        for one in pending:
            moment = max(self.due_at(one), after + 1)
            if one.key[0] in self.buckets:
                moment = max(moment, self.buckets[one.key[0]].ready_at())
            ticks.append(ceiling_to(moment, self.tick))
        return min(ticks, default=None)

    def risk(self, one: Pending, now: int) -> tuple[int, Fraction, int, str, str]:
        """Sorts the key at most risk first."""
        published, promises = self.keys[one.key], self.channels[one.key[0]].publish
        assert published.waiting_since is not None
        speed = Fraction(0)
        if now - published.waiting_since >= promises.max_staleness:
            group = STALE
        elif one.value == 0:
            group = SELL_OUT
        elif self._falls(one) and one.value <= promises.low_stock:
            group = LOW_STOCK
        elif published.value is None or published.value == 0:
            group = RESTOCK
        elif one.value < published.value:
            group, speed = FALL, -self._speed(one, now)
        else:
            group = RISE
        return (group, speed, published.waiting_since, one.key[1], one.key[2] or "")

    def status(self, channel: str, value: int) -> str:
        """in_stock, low_stock or out_of_stock."""
        if value == 0:
            return "out_of_stock"
        low = value <= self.channels[channel].publish.low_stock
        return "low_stock" if low else "in_stock"

    def _falls(self, one: Pending) -> bool:
        """A first value counts as a fall: the marketplace may show any old number."""
        last = self.keys[one.key].value
        return last is None or one.value < last

    def _urgent(self, one: Pending) -> bool:
        low_stock = self.channels[one.key[0]].publish.low_stock
        return self._falls(one) and one.value <= low_stock

    def _speed(self, one: Pending, now: int) -> Fraction:
        """Units sold in this and the previous clock hour for each unit left."""
        _, sku, location = one.key
        since = now - now % HOUR - HOUR
        sold = sum(
            units
            for at, other, place, units in self.sold
            if at >= since and other == sku and location in (None, place)
        )
        return Fraction(sold, max(1, one.value))

    def _take_token(self, channel: str, now: int) -> bool:
        bucket = self.buckets.get(channel)
        if bucket is None:
            return True
        bucket.fill(now)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _publish(self, one: Pending, now: int) -> None:
        channel, sku, location = one.key
        published = self.keys[one.key]
        if published.edge is not None and not published.moved:
            cause: Cause = {
                "source": "rules",
                "id": f"edge:{format_instant(published.edge)}",
                "correlation_id": None,
            }
        else:
            cause = self.last_touch[sku, location]
        published.value = one.value
        published.times.append(now)
        self._at_rest(published)
        self.records[channel].append(
            {
                "sku": sku,
                "channel": channel,
                "location": location,
                "available": one.value,
                "status": self.status(channel, one.value),
                "version": len(published.times),
                "computed_at": format_instant(now),
                "cause": cause,
            }
        )

    @staticmethod
    def _at_rest(published: Published) -> None:
        published.waiting_since = published.edge = None
        published.moved = False


def _bucket(count: int, period: int) -> Bucket:
    per_microsecond = Fraction(count, period)
    capacity = max(Fraction(1), per_microsecond * SECOND)
    return Bucket(per_microsecond, capacity, capacity)
