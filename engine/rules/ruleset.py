"""A rule set: everything a rules folder says, ready to be asked."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Sequence

from engine.rules.index import RuleIndex
from engine.rules.model import Catalogue, Channel, Rule, Settings
from engine.rules.plan import Plan

PLANS_KEPT = 16
"""Plans kept at a time, one per interval between edges; the one used longest ago goes first."""

EVERYWHERE = -1
"""Stands in for a channel index: a claim without a channel, on all locations."""


class RuleSet:
    """Channels, rules, catalogue and settings of one rules folder; never changes.

    `fingerprint` is a hex digest over everything that matters to a result (not over notes, file
    names or the order of rules). `edges` are the sorted distinct instants at which some rule
    begins or ends. `rules` are all rules by rank, the one that would win first. `relays` tells
    that somebody else holds back what channels are told, and `ranked` which channels' keys that one
    orders by how fast they sell.
    """

    def __init__(
        self,
        *,
        fingerprint: str,
        settings: Settings,
        channels: Sequence[Channel],
        catalogue: Catalogue,
        rules: Sequence[Rule],
        relays: bool = False,
        ranked: Collection[str] = (),
    ) -> None:
        self.fingerprint = fingerprint
        self.settings = settings
        self.channels = tuple(channels)
        self.catalogue = catalogue
        self.rules = tuple(rules)
        self.relays = relays
        self.ranked = frozenset(ranked)
        self.edges = _edges(self.rules)
        self._coverage: dict[str, int] = {}
        self._named = _named_by_selectors(self.channels)
        self._universe = self._named | catalogue.locations.keys()
        self._everywhere = _mask_without_selector(self.channels)
        self.index = RuleIndex(self.rules, catalogue, self.coverage, self._named)
        self._overlaps = self._make_overlaps()
        self._plans: OrderedDict[int, Plan] = OrderedDict()

    def copy(self) -> RuleSet:
        """The same rules for another thread: a rule set fills its caches and serves one."""
        return RuleSet(
            fingerprint=self.fingerprint,
            settings=self.settings,
            channels=self.channels,
            catalogue=self.catalogue,
            rules=self.rules,
            relays=self.relays,
            ranked=self.ranked,
        )

    def channel(self, name: str) -> Channel | None:
        """The channel of that name, if there is one."""
        return next((channel for channel in self.channels if channel.name == name), None)

    def at(self, instant: int) -> Plan:
        """The rules in force from `instant` to the next edge; the same object in an interval."""
        number = bisect_right(self.edges, instant)
        plan = self._plans.get(number)
        if plan is None:
            begins = self.edges[number - 1] if number else None
            plan = self._plans[number] = Plan(self.index, self.channels, begins)
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(number)
        return plan

    def coverage(self, location: str) -> int:
        """Bit i is set when the selector of channel i alone includes the location."""
        mask = self._coverage.get(location)
        if mask is None:
            if location not in self._universe:
                return self._everywhere
            mask = self._coverage[location] = self._make_coverage(location)
        return mask

    def claims_overlap(self, a: int, b: int) -> bool:
        """Whether channels a and b (indexes, `EVERYWHERE` for all locations) share a location.

        Decided by the selectors alone, over the locations that the catalogue or a selector
        names; a channel without a selector has all locations there are.
        """
        return self._overlaps[a][b]

    def _make_coverage(self, location: str) -> int:
        attributes = self.catalogue.location(location)
        mask = 0
        for channel in self.channels:
            if channel.selector is None or channel.selector.fits(location, attributes):
                mask |= 1 << channel.index
        return mask

    def _make_overlaps(self) -> tuple[tuple[bool, ...], ...]:
        """Rows and columns by channel index; the last of each, index -1, is `EVERYWHERE`."""
        masks = {self.coverage(location) for location in self._universe}
        masks.add(self._everywhere)
        every = 1 << len(self.channels)
        masks = {mask | every for mask in masks}
        size = range(len(self.channels) + 1)
        return tuple(
            tuple(any(mask >> a & 1 and mask >> b & 1 for mask in masks) for b in size)
            for a in size
        )


def _edges(rules: Sequence[Rule]) -> tuple[int, ...]:
    found = {rule.begins for rule in rules} | {rule.ends for rule in rules}
    return tuple(sorted(edge for edge in found if edge is not None))


def _named_by_selectors(channels: Sequence[Channel]) -> frozenset[str]:
    selectors = [channel.selector for channel in channels if channel.selector is not None]
    return frozenset().union(*(selector.ids for selector in selectors))


def _mask_without_selector(channels: Sequence[Channel]) -> int:
    """The channels of a location that nothing names and the catalogue does not list."""
    return sum(1 << channel.index for channel in channels if channel.selector is None)
