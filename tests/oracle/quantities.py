"""From stock, reservations and rules to the number a channel may offer."""

from dataclasses import dataclass

from .rules import Channel, Rules, buffer_amount, shared


@dataclass(frozen=True)
class StockLine:
    """What counts for availability at one location."""

    sellable: int
    reserved: int

    @property
    def base(self) -> int:
        """What is there and not promised."""
        return max(0, self.sellable - self.reserved)

    @property
    def short(self) -> int:
        """What is promised and not there."""
        return max(0, self.reserved - max(0, self.sellable))


@dataclass(frozen=True)
class SkuStock:
    """All of one SKU at one moment."""

    sku: str
    lines: dict[str, StockLine]
    """By location."""
    claims: list[tuple[str | None, int]]
    """(channel or None, quantity) of each open reservation without a location."""


def channel_of(rules: Rules, name: str | None) -> Channel | None:
    """The channel of a claim; None has every location."""
    return None if name is None else rules.channels[name]


def ceiling(rules: Rules, stock: SkuStock, location: str) -> int | None:
    """What the claims on a location leave to promise there; None without a claim on it."""
    claims = [
        (channel_of(rules, name), quantity)
        for name, quantity in stock.claims
        if rules.covers(channel_of(rules, name), location)
    ]
    if not claims:
        return None
    covered = [
        line.base
        for place, line in stock.lines.items()
        if any(rules.covers(channel, place) for channel, _ in claims)
    ]
    return max(0, sum(covered) - sum(quantity for _, quantity in claims))


def after_location_buffer(
    rules: Rules, channel: Channel, stock: SkuStock, location: str, instant: int
) -> int:
    """What is left at a location that the channel sells from."""
    base = stock.lines[location].base if location in stock.lines else 0
    buffer = rules.winner("location buffer", channel, stock.sku, location, instant)
    return max(0, base - buffer_amount(buffer, base))


def pool_before_channel_buffer(
    rules: Rules, channel: Channel, stock: SkuStock, instant: int
) -> int:
    """What all locations of the channel have together, less what is short and claimed."""
    places = [
        location
        for location in stock.lines
        if rules.sells_from(channel, stock.sku, location, instant)
    ]
    after = sum(after_location_buffer(rules, channel, stock, place, instant) for place in places)
    short = sum(stock.lines[place].short for place in places)
    claimed = sum(quantity for name, quantity in stock.claims if rules.overlap(name, channel))
    return max(0, after - short - claimed)


def pool_after_channel_buffer(rules: Rules, channel: Channel, stock: SkuStock, instant: int) -> int:
    """The pool of a channel of granularity sku."""
    pool = pool_before_channel_buffer(rules, channel, stock, instant)
    buffer = rules.winner("channel buffer", channel, stock.sku, None, instant)
    return max(0, pool - buffer_amount(buffer, pool))


def computed(
    rules: Rules, channel: Channel, stock: SkuStock, location: str | None, instant: int
) -> int:
    """The number a key of the channel may offer at an instant."""
    if channel.retired:
        return 0
    if not channel.by_location:
        pool = pool_after_channel_buffer(rules, channel, stock, instant)
    else:
        assert location is not None
        if not rules.sells_from(channel, stock.sku, location, instant):
            return 0
        pool = _limited(
            after_location_buffer(rules, channel, stock, location, instant),
            ceiling(rules, stock, location),
        )
    offered = shared(rules.winner("share", channel, stock.sku, location, instant), pool)
    floor = rules.winner("floor", channel, stock.sku, location, instant)
    if floor is not None and offered < floor:
        offered = 0
    cap = rules.winner("cap", channel, stock.sku, location, instant)
    return offered if cap is None else min(offered, cap)


def available_to_reserve(
    rules: Rules, stock: SkuStock, location: str | None, name: str | None, instant: int
) -> int:
    """What a strict reservation may take at this moment."""
    channel = channel_of(rules, name)
    if location is not None:
        if channel is None:
            there = stock.lines[location].base if location in stock.lines else 0
        elif rules.sells_from(channel, stock.sku, location, instant):
            there = after_location_buffer(rules, channel, stock, location, instant)
        else:
            there = 0
        return _limited(there, ceiling(rules, stock, location))
    if channel is None:
        lines = stock.lines.values()
        claimed = sum(quantity for _, quantity in stock.claims)
        there = sum(line.base for line in lines) - claimed - sum(line.short for line in lines)
        return max(0, there)
    if channel.by_location:
        return pool_before_channel_buffer(rules, channel, stock, instant)
    return pool_after_channel_buffer(rules, channel, stock, instant)


def _limited(quantity: int, limit: int | None) -> int:
    return quantity if limit is None else min(quantity, limit)
