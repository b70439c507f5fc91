"""Turns entries as written into the model: exact fractions, bit masks, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.rules.entries import (
    BufferEntry,
    ChannelEntry,
    RuleEntry,
    SelectorEntry,
    WhenEntry,
)
from engine.rules.model import (
    Buffer,
    Channel,
    ItemMatch,
    LocationMatch,
    Publish,
    Rule,
    Specificity,
)
from engine.rules.sources import RuleSource


def build_channel(name: str, index: int, entry: ChannelEntry) -> Channel:
    """A channel from its entry; a selector without any condition counts as none."""
    publish = entry.publish
    return Channel(
        name=name,
        index=index,
        by_location=entry.granularity == "location",
        selector=_selector(entry.locations),
        retired=entry.retired,
        publish=Publish(
            min_interval=publish.min_interval,
            max_rate=publish.max_rate,
            max_per_key=publish.max_per_key,
            min_change=publish.min_change,
            low_stock=publish.low_stock,
            max_staleness=publish.max_staleness,
        ),
    )


def build_rules(sources: Sequence[RuleSource], channels: Sequence[Channel]) -> tuple[Rule, ...]:
    """The rules by rank.

    The higher priority comes first, then the more specific, then the name that sorts first by
    code points. This order holds among any rules, whatever is asked, so it is settled here.
    """
    bits = {channel.name: 1 << channel.index for channel in channels}
    order = sorted(sources, key=_precedence)
    return tuple(_rule(source, rank, bits) for rank, source in enumerate(order))


def specificity(when: WhenEntry) -> Specificity:
    """How closely the conditions of a rule name its keys."""
    kinds = (
        when.channels,
        when.categories,
        when.brands,
        when.skus,
        when.item_tags,
        when.locations,
        when.location_types,
        when.regions,
        when.location_tags,
    )
    return Specificity(
        names_skus=bool(when.skus),
        names_locations=bool(when.locations),
        names_item_attribute=bool(when.categories or when.brands or when.item_tags),
        names_location_attribute=bool(when.location_types or when.regions or when.location_tags),
        names_channels=bool(when.channels),
        condition_kinds=sum(map(bool, kinds)),
    )


def _precedence(source: RuleSource) -> tuple[int, tuple[int, ...], str]:
    entry = source.entry
    closeness = tuple(-int(part) for part in specificity(entry.when))
    return -entry.priority, closeness, entry.name


def _rule(source: RuleSource, rank: int, bits: Mapping[str, int]) -> Rule:
    entry = source.entry
    when = entry.when
    buffer = None if entry.buffer is None else _buffer(entry.buffer)
    return Rule(
        name=entry.name,
        file=source.file,
        line=source.line,
        note=entry.note,
        rank=rank,
        priority=entry.priority,
        specificity=specificity(when),
        channels=sum(bits[name] for name in set(when.channels or bits)),
        items=ItemMatch(
            skus=frozenset(when.skus),
            categories=frozenset(when.categories),
            brands=frozenset(when.brands),
            tags=frozenset(when.item_tags),
        ),
        locations=LocationMatch(
            ids=frozenset(when.locations),
            types=frozenset(when.location_types),
            regions=frozenset(when.regions),
            tags=frozenset(when.location_tags),
        ),
        begins=entry.from_,
        ends=entry.until,
        location_buffer=buffer if entry.scope == "location" else None,
        channel_buffer=buffer if entry.scope == "channel" else None,
        share=_fraction(entry),
        floor=entry.floor,
        cap=entry.cap,
        exclude=entry.exclude,
        min_interval=entry.min_interval,
    )


def _fraction(entry: RuleEntry) -> tuple[int, int] | None:
    if entry.share is None:
        return None
    return entry.share.numerator, entry.share.denominator


def _buffer(entry: BufferEntry) -> Buffer:
    if entry.percent is None:
        return Buffer(units=entry.units or 0)
    return Buffer(
        numerator=entry.percent.numerator,
        denominator=entry.percent.denominator,
        round_up=entry.round == "up",
        minimum=entry.min or 0,
        maximum=entry.max,
    )


def _selector(entry: SelectorEntry | None) -> LocationMatch | None:
    if entry is None:
        return None
    match = LocationMatch(
        ids=frozenset(entry.ids),
        types=frozenset(entry.types),
        regions=frozenset(entry.regions),
        tags=frozenset(entry.tags),
    )
    return match if match.any_given else None
