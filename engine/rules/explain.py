"""The signed way from physical stock to the published number of one channel and SKU."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.contracts.errors import UsageError
from engine.rules import quantities
from engine.rules.model import Buffer, Channel, Kind, Rule
from engine.rules.plan import Terms
from engine.rules.reasons import Decision, Loser, decide, reference, why_elsewhere
from engine.rules.ruleset import EVERYWHERE, RuleSet

NEAR_MISSES_SHOWN = 20
"""Rules for other locations that an explanation lists; the rest are only counted."""

_SKU_KINDS = (Kind.CHANNEL_BUFFER, Kind.SHARE, Kind.FLOOR, Kind.CAP, Kind.MIN_INTERVAL)


class StockLine(NamedTuple):
    """What a location holds of the SKU, in base units; `sellable` may be below 0."""

    sellable: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Step:
    """One signed term. The quantities of all steps add up to what is available."""

    what: str
    quantity: int
    location: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class LocationLine:
    """What one location contributes.

    `buffer` is the amount the winning rule asks for, which may be more than `base`; `ceiling` is
    None where no claim limits the location, and on channels of granularity sku.
    """

    location: str
    sellable: int
    reserved: int
    base: int
    buffer: int
    after: int
    short: int
    ceiling: int | None
    rule: str | None


@dataclass(frozen=True, slots=True)
class ExcludedLocation:
    """A location with stock that the channel does not sell from; `rule` None: by its selector."""

    location: str
    base: int
    reason: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """Open unallocated reservations on the channel; `channel` None: made without a channel."""

    channel: str | None
    quantity: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a number comes about. Quantities in base units, times in microseconds.

    `locations` are those the channel sells from, in alphabetical order; `steps` add up to
    `available`; `decisions` tell for each kind of effect which rule won and why others did not;
    `near_misses` are rules for this channel and SKU that fit no location looked at.
    """

    sku: str
    channel: str
    location: str | None
    granularity: str
    instant: int
    locations: tuple[LocationLine, ...]
    excluded: tuple[ExcludedLocation, ...]
    claims: tuple[ClaimLine, ...]
    pool: int
    after_buffer: int
    available: int
    status: str
    min_interval: int
    retired: bool
    next_edge: int | None
    steps: tuple[Step, ...]
    decisions: tuple[Decision, ...]
    near_misses: tuple[Loser, ...]
    near_misses_left_out: int


def explain_channel(
    rules: RuleSet,
    instant: int,
    channel: Channel,
    sku: str,
    location: str | None,
    stock: Mapping[str, StockLine],
    claims: Mapping[int, int],
) -> Explanation:
    """Explain what a channel publishes for a SKU under the rules in force at `instant`.

    `stock` holds every location that has the SKU; `claims` the open unallocated quantity by
    channel index, `EVERYWHERE` for reservations without a channel. `location` is needed for a
    channel of granularity location, and is None for the others.

    Raises:
        UsageError: the location is missing, or given for a channel that sells by SKU.
    """
    if channel.by_location and location is None:
        message = f"the channel {channel.name} publishes a number for each location"
        raise UsageError(message, "Name a location as well.")
    if not channel.by_location and location is not None:
        message = f"the channel {channel.name} publishes one number per SKU, for all locations"
        raise UsageError(message, "Leave the location out.")
    return _Explainer(rules, instant, channel, sku, location, stock, claims).explain()


class _Explainer:
    """One explanation in the making: collects steps and decisions on the way."""

    def __init__(
        self,
        rules: RuleSet,
        instant: int,
        channel: Channel,
        sku: str,
        location: str | None,
        stock: Mapping[str, StockLine],
        claims: Mapping[int, int],
    ) -> None:
        self._rules = rules
        self._instant = instant
        self._channel = channel
        self._sku = sku
        self._location = location
        self._stock = stock
        self._claims = claims
        self._steps: list[Step] = []
        self._decisions: list[Decision] = []
        self._excluded: list[ExcludedLocation] = []

    def explain(self) -> Explanation:
        lines = [line for place in self._places() if (line := self._sell_from(place))]
        claim_lines = self._claim_lines()
        if self._channel.by_location:
            pool = self._pool_at(lines)
        else:
            pool = self._pool(lines, sum(line.quantity for line in claim_lines))
        won = self._decide_sku_kinds()
        terms = self._rules.at(self._instant).item_class(self._sku)
        offer = terms.terms(self._channel.index, self._location)
        after_buffer = self._take_buffer(offer, pool, won)
        available = self._offer(offer, after_buffer, won)
        near, left_out = self._near_misses()
        channel, edges = self._channel, self._rules.edges
        passed = bisect_right(edges, self._instant)
        return Explanation(
            sku=self._sku,
            channel=channel.name,
            location=self._location,
            granularity="location" if channel.by_location else "sku",
            instant=self._instant,
            locations=tuple(lines),
            excluded=tuple(self._excluded),
            claims=tuple(claim_lines),
            pool=pool,
            after_buffer=after_buffer,
            available=available,
            status=quantities.status(available, channel.publish.low_stock),
            min_interval=offer.min_interval,
            retired=channel.retired,
            next_edge=edges[passed] if passed < len(edges) else None,
            steps=tuple(step for step in self._steps if step.quantity),
            decisions=tuple(d for d in self._decisions if d.winner or d.losers),
            near_misses=near,
            near_misses_left_out=left_out,
        )

    def _places(self) -> list[str]:
        return sorted(self._stock) if self._location is None else [self._location]

    def _stock_at(self, location: str) -> StockLine:
        return StockLine(*self._stock.get(location, (0, 0)))

    def _base_at(self, location: str) -> int:
        return quantities.base(*self._stock_at(location))

    def _step(self, what: str, quantity: int, where: str | None, rule: Rule | None) -> None:
        self._steps.append(Step(what, quantity, where, rule.name if rule else None))

    def _decide(self, kind: Kind, location: str | None) -> Rule | None:
        candidates = self._rules.index.candidates(self._sku, location)
        winner, decision = decide(kind, candidates, self._channel.index, self._instant, location)
        self._decisions.append(decision)
        return winner

    def _sell_from(self, location: str) -> LocationLine | None:
        """The line of one location, with its steps; None where the channel does not sell."""
        free = self._base_at(location)
        if not self._rules.coverage(location) >> self._channel.index & 1:
            reason = "the channel's locations do not include it"
            self._excluded.append(ExcludedLocation(location, free, reason, None))
            return None
        barring = self._decide(Kind.EXCLUDE, location)
        if barring is not None and barring.exclude:
            reason = f"excluded by the rule {barring.name}"
            self._excluded.append(ExcludedLocation(location, free, reason, barring.name))
            return None
        rule = self._decide(Kind.LOCATION_BUFFER, location)
        buffer: Buffer | None = rule.location_buffer if rule else None
        sellable, reserved = self._stock_at(location)
        left = quantities.after(free, buffer)
        self._step("sellable", sellable, location, None)
        self._step("reserved", -reserved, location, None)
        self._step("not below 0", free - (sellable - reserved), location, None)
        self._step("location buffer", left - free, location, rule)
        return LocationLine(
            location=location,
            sellable=sellable,
            reserved=reserved,
            base=free,
            buffer=buffer.amount(free) if buffer else 0,
            after=left,
            short=quantities.short(sellable, reserved),
            ceiling=self._ceiling(location) if self._channel.by_location else None,
            rule=rule.name if rule else None,
        )

    def _claim_lines(self) -> list[ClaimLine]:
        """The claims on the channel, or on the location that is asked for."""
        if self._location is not None:
            on_it = self._claims_on_location(self._location)
        else:
            overlap, mine = self._rules.claims_overlap, self._channel.index
            on_it = [claim for claim in self._claims if overlap(claim, mine)]
        lines = []
        for claim in sorted(on_it):
            if self._claims[claim]:
                name = None if claim == EVERYWHERE else self._rules.channels[claim].name
                lines.append(ClaimLine(name, self._claims[claim]))
        return lines

    def _claims_on_location(self, location: str) -> list[int]:
        covered = self._rules.coverage(location)
        return [claim for claim in self._claims if claim == EVERYWHERE or covered >> claim & 1]

    def _ceiling(self, location: str) -> int | None:
        claims = [claim for claim in self._claims_on_location(location) if self._claims[claim]]
        mask = sum(1 << claim for claim in claims if claim != EVERYWHERE)
        bases = (
            self._base_at(place)
            for place in self._stock
            if EVERYWHERE in claims or self._rules.coverage(place) & mask
        )
        return quantities.ceiling(bases, sum(self._claims[claim] for claim in claims))

    def _pool(self, lines: list[LocationLine], claims: int) -> int:
        gathered = sum(line.after for line in lines)
        shorts = sum(line.short for line in lines)
        pool = quantities.pool(
            (line.after for line in lines), (line.short for line in lines), claims
        )
        for line in lines:
            self._step("promised and not there", -line.short, line.location, None)
        self._step("unallocated reservations", -claims, None, None)
        self._step("not below 0", pool - (gathered - shorts - claims), None, None)
        return pool

    def _pool_at(self, lines: list[LocationLine]) -> int:
        if not lines:
            return 0
        pool = quantities.pool_at(lines[0].after, lines[0].ceiling)
        self._step("unallocated reservations", pool - lines[0].after, self._location, None)
        return pool

    def _decide_sku_kinds(self) -> dict[Kind, Rule | None]:
        kinds = [kind for kind in _SKU_KINDS if not self._ignored(kind)]
        return {kind: self._decide(kind, self._location) for kind in kinds}

    def _ignored(self, kind: Kind) -> bool:
        """Channel-scope buffers do not enter where each location is a pool of its own."""
        return kind is Kind.CHANNEL_BUFFER and self._channel.by_location

    def _take_buffer(self, terms: Terms, pool: int, won: dict[Kind, Rule | None]) -> int:
        left = terms.after_buffer(pool)
        self._step("channel buffer", left - pool, None, won.get(Kind.CHANNEL_BUFFER))
        return left

    def _offer(self, terms: Terms, left: int, won: dict[Kind, Rule | None]) -> int:
        """Share, floor and cap, each as a step of its own; then what a retired channel gives."""
        shared = left
        if terms.share is not None:
            shared = left * terms.share[0] // terms.share[1]
        floored = 0 if terms.floor is not None and shared < terms.floor else shared
        capped = floored if terms.cap is None else min(floored, terms.cap)
        available = 0 if self._channel.retired else capped
        self._step("share", shared - left, None, won.get(Kind.SHARE))
        self._step("floor", floored - shared, None, won.get(Kind.FLOOR))
        self._step("cap", capped - floored, None, won.get(Kind.CAP))
        self._step("the channel is retired", available - capped, None, None)
        return available

    def _near_misses(self) -> tuple[tuple[Loser, ...], int]:
        """Rules with conditions on the location that none of the locations here meets."""
        places = [(place, self._rules.catalogue.location(place)) for place in self._places()]
        index = self._channel.index
        missing: list[Loser] = []
        for rule in self._rules.index.of_item(self._sku):
            if not rule.locations.any_given or not rule.for_channel(index):
                continue
            per_location = bool(rule.location_buffer) or rule.exclude is not None
            only_sku = not self._channel.by_location and not per_location
            if only_sku or not any(rule.locations.fits(*place) for place in places):
                reason = why_elsewhere(rule.locations, places, only_sku)
                missing.append(Loser(reference(rule, rule.kinds[0]), reason))
        shown = missing[:NEAR_MISSES_SHOWN]
        return tuple(shown), len(missing) - len(shown)
