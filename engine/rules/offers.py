"""What a SKU comes to on every channel: the number of an explanation without its reasons."""

from __future__ import annotations

from collections.abc import Mapping

from engine.rules import quantities
from engine.rules.explain import StockLine
from engine.rules.model import Channel
from engine.rules.ruleset import EVERYWHERE, RuleSet


class Offers:
    """The numbers of one SKU under the rules in force at `instant`.

    `stock` holds every location that has the SKU; `claims` the open unallocated quantity by channel
    index, `EVERYWHERE` for reservations without a channel. All in base units.
    """

    def __init__(
        self,
        rules: RuleSet,
        instant: int,
        sku: str,
        stock: Mapping[str, StockLine],
        claims: Mapping[int, int],
    ) -> None:
        self._rules = rules
        self._item = rules.at(instant).item_class(sku)
        self._claims = {index: quantity for index, quantity in claims.items() if quantity}
        self._bases = {place: quantities.base(*line) for place, line in stock.items()}
        self._after: list[dict[str, int]] = [{} for _ in rules.channels]
        self._shorts = [0] * len(rules.channels)
        self._ceilings: dict[frozenset[int], int | None] = {}
        for place, line in stock.items():
            short = quantities.short(*line)
            for index, buffer in self._item.contributions(place):
                self._after[index][place] = quantities.after(self._bases[place], buffer)
                self._shorts[index] += short

    def sells_from(self, channel: Channel, location: str) -> bool:
        """Whether the channel sells the SKU from a location that has it."""
        return location in self._after[channel.index]

    def available(self, channel: Channel, location: str | None) -> int:
        """What the channel publishes; `location` is that of a key of granularity location."""
        if channel.retired:
            return 0
        terms = self._item.terms(channel.index, location)
        if location is None:
            return terms.offered(terms.after_buffer(self._pool(channel)))
        after = self._after[channel.index].get(location, 0)
        return terms.offered(quantities.pool_at(after, self._ceiling(location)))

    def min_interval(self, channel: Channel, location: str | None) -> int:
        """The least time between two publications of the key, in microseconds."""
        return self._item.terms(channel.index, location).min_interval

    def _pool(self, channel: Channel) -> int:
        overlap = self._rules.claims_overlap
        claims = sum(
            quantity for index, quantity in self._claims.items() if overlap(index, channel.index)
        )
        afters = self._after[channel.index].values()
        return quantities.pool(afters, [self._shorts[channel.index]], claims)

    def _ceiling(self, location: str) -> int | None:
        covered = self._rules.coverage(location)
        on_it = frozenset(
            index for index in self._claims if index == EVERYWHERE or covered >> index & 1
        )
        if on_it not in self._ceilings:
            self._ceilings[on_it] = self._ceiling_of(on_it)
        return self._ceilings[on_it]

    def _ceiling_of(self, claims: frozenset[int]) -> int | None:
        """What the locations of these claims have together, less the claims; None without any."""
        mask = sum(1 << index for index in claims if index != EVERYWHERE)
        bases = (
            base
            for place, base in self._bases.items()
            if EVERYWHERE in claims or self._rules.coverage(place) & mask
        )
        return quantities.ceiling(bases, sum(self._claims[index] for index in claims))
