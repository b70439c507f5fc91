"""The rules in force between two edges, resolved: what each channel holds back, offers, skips.

The winner of a kind is the fitting rule of the smallest rank, and ranks do not depend on what is
asked. So the four groups of the index are each reduced to their winners once, and a question is
answered by comparing at most four of them; nothing grows with the number of rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.rules.index import ItemGroup, LocationGroup, RuleIndex, by_rank
from engine.rules.model import Buffer, Channel, Kind, Rule

Winners: TypeAlias = Mapping[tuple[Kind, int], Rule]
"""The winning rule by kind of effect and channel index."""

Contributions: TypeAlias = tuple[tuple[int, Buffer | None], ...]

_LOCATION_KINDS = (Kind.EXCLUDE, Kind.LOCATION_BUFFER)
"""The kinds that are decided per location even where a channel sells by SKU."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What becomes of a channel's pool before it is published.

    `share` is an exact fraction of 1 as (numerator, denominator); `floor` and `cap` are base
    units, `min_interval` microseconds (the winning rule's, else the channel's).
    """

    channel_buffer: Buffer | None
    share: tuple[int, int] | None
    floor: int | None
    cap: int | None
    min_interval: int
    plain: bool

    def after_buffer(self, pool: int) -> int:
        """What is left of the pool (0 or more) after the channel-scope buffer, not below 0."""
        if self.channel_buffer is None:
            return pool
        return max(0, pool - self.channel_buffer.amount(pool))

    def offered(self, pool: int) -> int:
        """What is offered of a pool that the channel buffer was already taken from."""
        if self.plain:
            return pool
        if self.share is not None:
            pool = pool * self.share[0] // self.share[1]
        if self.floor is not None and pool < self.floor:
            return 0
        if self.cap is not None and pool > self.cap:
            return self.cap
        return pool


class Plan:
    """The rules in force from `begins` (None: from ever) until the next edge of the rule set."""

    def __init__(self, index: RuleIndex, channels: Sequence[Channel], begins: int | None) -> None:
        self.begins = begins
        self._index = index
        self._channels = channels
        self._classes: dict[ItemGroup, ItemClass] = {}
        self._any_item: dict[LocationGroup, Winners] = {}
        self.general = self.winners(index.general)

    def item_class(self, sku: str) -> ItemClass:
        """What SKUs with the same fitting rules share; the same object for all of them."""
        group = self._index.item_group(sku)
        found = self._classes.get(group)
        if found is None:
            found = self._classes[group] = ItemClass(self, group)
        return found

    def in_force(self, rule: Rule) -> bool:
        """Whether the rule is in force throughout this plan's interval."""
        if self.begins is None:
            return rule.begins is None
        return rule.in_force(self.begins)

    def winners(self, rules: Iterable[Rule]) -> Winners:
        """The winners among `rules`, given by rank, by kind and channel."""
        found: dict[tuple[Kind, int], Rule] = {}
        for rule in rules:
            if self.in_force(rule):
                for channel in range(len(self._channels)):
                    if rule.for_channel(channel):
                        for kind in rule.kinds:
                            found.setdefault((kind, channel), rule)
        return found

    def location_winners(self, group: LocationGroup) -> Winners:
        """The winners among rules with conditions on the location only, cached by group."""
        found = self._any_item.get(group)
        if found is None:
            found = self._any_item[group] = self.winners(group.any_item)
        return found

    @property
    def index(self) -> RuleIndex:
        """The rules behind this plan."""
        return self._index

    @property
    def channels(self) -> Sequence[Channel]:
        """The channels, by index."""
        return self._channels


class ItemClass:
    """SKUs that the same rules fit, within one plan. Compared by identity."""

    __slots__ = ("_contributions", "_group", "_locate", "_plan", "_terms", "_winners")

    def __init__(self, plan: Plan, group: ItemGroup) -> None:
        self._plan = plan
        self._locate = plan.index.location_group
        self._group = group
        self._winners = _best(plan.general, plan.winners(group.everywhere))
        self._contributions: dict[LocationGroup, Contributions] = {}
        self._terms: dict[tuple[int, LocationGroup | None], Terms] = {}

    def contributions(self, location: str) -> Contributions:
        """Channel index and winning location-scope buffer of each channel that sells from there."""
        where = self._locate(location)
        found = self._contributions.get(where)
        if found is None:
            found = self._contributions[where] = self._make_contributions(where)
        return found

    def terms(self, channel: int, location: str | None) -> Terms:
        """The terms of one channel; `location` counts only where the channel sells by location."""
        where = None
        if location is not None and self._plan.channels[channel].by_location:
            where = self._locate(location)
        found = self._terms.get((channel, where))
        if found is None:
            found = self._terms[channel, where] = self._make_terms(channel, where)
        return found

    def winner(self, kind: Kind, channel: int, location: str | None) -> Rule | None:
        """The rule that decides one kind of effect for a channel, at a location or for the SKU."""
        located = self._plan.channels[channel].by_location or kind in _LOCATION_KINDS
        where = self._locate(location) if located and location is not None else None
        return self._at(where).get((kind, channel))

    def _at(self, where: LocationGroup | None) -> Winners:
        if where is None:
            return self._winners
        plan = self._plan
        # Python walks over the smaller of the two sets.
        both = plan.winners(by_rank(self._group.here_and_there & where.some_items))
        return _best(_best(self._winners, plan.location_winners(where)), both)

    def _make_contributions(self, where: LocationGroup) -> Contributions:
        winners = self._at(where)
        selling: list[tuple[int, Buffer | None]] = []
        for channel in range(len(self._plan.channels)):
            if not where.channels >> channel & 1:
                continue
            exclude = winners.get((Kind.EXCLUDE, channel))
            if exclude is not None and exclude.exclude:
                continue
            rule = winners.get((Kind.LOCATION_BUFFER, channel))
            selling.append((channel, rule.location_buffer if rule else None))
        return tuple(selling)

    def _make_terms(self, channel: int, where: LocationGroup | None) -> Terms:
        winners = self._at(where)
        buffering = winners.get((Kind.CHANNEL_BUFFER, channel))
        sharing = winners.get((Kind.SHARE, channel))
        flooring = winners.get((Kind.FLOOR, channel))
        capping = winners.get((Kind.CAP, channel))
        pacing = winners.get((Kind.MIN_INTERVAL, channel))
        settings = self._plan.channels[channel]
        if settings.by_location:
            buffering = None
        interval = pacing.min_interval if pacing else None
        return Terms(
            channel_buffer=buffering.channel_buffer if buffering else None,
            share=sharing.share if sharing else None,
            floor=flooring.floor if flooring else None,
            cap=capping.cap if capping else None,
            min_interval=settings.publish.min_interval if interval is None else interval,
            plain=not (buffering or sharing or flooring or capping),
        )


def _best(left: Winners, right: Winners) -> Winners:
    """The better of two winners, kind by kind and channel by channel."""
    if not right:
        return left
    if not left:
        return right
    best = dict(left)
    for key, rule in right.items():
        other = best.get(key)
        if other is None or rule.rank < other.rank:
            best[key] = rule
    return best
