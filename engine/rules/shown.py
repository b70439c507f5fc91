"""The rule set in force, as it is told to programs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.contracts.answers import MaybeTime
from engine.contracts.instants import format_duration, format_instant
from engine.rules.model import Channel, LocationMatch, Rate, Rule, Settings
from engine.rules.reasons import effect
from engine.rules.ruleset import RuleSet

_UNITS = {1_000_000: "s", 60_000_000: "min", 3_600_000_000: "h", 86_400_000_000: "day"}


class PublishShown(msgspec.Struct):
    """How a channel wants to be told; durations and rates as in `channels.yaml`."""

    min_interval: str
    max_rate: str | None
    max_per_key: str | None
    min_change: int
    low_stock: int
    max_staleness: str


class ChannelShown(msgspec.Struct):
    """A channel; `locations` null: every location."""

    channel: str
    granularity: Annotated[str, Meta(extra_json_schema={"enum": ["sku", "location"]})]
    retired: bool
    locations: dict[str, list[str]] | None
    publish: PublishShown


class RuleShown(msgspec.Struct, rename={"from_": "from"}):
    """A rule: where it stands, what it asks for, when it holds, and its effects in words."""

    name: str
    file: str
    line: int
    note: str
    priority: int
    when: dict[str, list[str]]
    from_: MaybeTime
    until: MaybeTime
    in_force: bool
    effects: dict[str, str]


class RulesShown(msgspec.Struct):
    """A rule set; `fingerprint` is another one when anything that matters to a number is."""

    fingerprint: str
    channels: list[ChannelShown]
    rules: Annotated[list[RuleShown], Meta(description="The one that would win first.")]
    settings: dict[str, str]


def show_rules(rules: RuleSet, instant: int) -> RulesShown:
    """The rule set as it stands at an instant."""
    return RulesShown(
        fingerprint=rules.fingerprint,
        channels=[_channel(channel) for channel in rules.channels],
        rules=[_rule(rule, rules, instant) for rule in rules.rules],
        settings=_settings(rules.settings),
    )


def _channel(channel: Channel) -> ChannelShown:
    publish = channel.publish
    return ChannelShown(
        channel=channel.name,
        granularity="location" if channel.by_location else "sku",
        retired=channel.retired,
        locations=None if channel.selector is None else _match(channel.selector, "ids", ""),
        publish=PublishShown(
            min_interval=format_duration(publish.min_interval),
            max_rate=_rate(publish.max_rate),
            max_per_key=_rate(publish.max_per_key),
            min_change=publish.min_change,
            low_stock=publish.low_stock,
            max_staleness=format_duration(publish.max_staleness),
        ),
    )


def _rule(rule: Rule, rules: RuleSet, instant: int) -> RuleShown:
    named = [channel.name for channel in rules.channels if rule.for_channel(channel.index)]
    conditions = {
        "channels": named if len(named) < len(rules.channels) else [],
        "skus": sorted(rule.items.skus),
        "categories": sorted(rule.items.categories),
        "brands": sorted(rule.items.brands),
        "item_tags": sorted(rule.items.tags),
        **_match(rule.locations, "locations", "location_"),
    }
    return RuleShown(
        name=rule.name,
        file=rule.file,
        line=rule.line,
        note=rule.note,
        priority=rule.priority,
        when={kind: names for kind, names in conditions.items() if names},
        from_=None if rule.begins is None else format_instant(rule.begins),
        until=None if rule.ends is None else format_instant(rule.ends),
        in_force=rule.in_force(instant),
        effects={kind.value: effect(rule, kind) for kind in rule.kinds},
    )


def _match(match: LocationMatch, ids: str, prefix: str) -> dict[str, list[str]]:
    """Conditions on locations under the names that they have in the rules folder."""
    found = {
        ids: match.ids,
        f"{prefix}types": match.types,
        "regions": match.regions,
        f"{prefix}tags": match.tags,
    }
    return {kind: sorted(names) for kind, names in found.items() if names}


def _rate(rate: Rate | None) -> str | None:
    return None if rate is None else f"{rate.count}/{_UNITS.get(rate.period, rate.period)}"


def _settings(settings: Settings) -> dict[str, str]:
    every = settings.snapshot_every
    return {
        "count_window": format_duration(settings.count_window),
        "reservation_window": format_duration(settings.reservation_window),
        "dedupe_window": format_duration(settings.dedupe_window),
        "max_future": format_duration(settings.max_future),
        "max_jump": format_duration(settings.max_jump),
        "publish_tick": format_duration(settings.publish_tick),
        "drain": format_duration(settings.drain),
        "snapshot.every": "off" if every is None else format_duration(every),
        "erp.window": format_duration(settings.erp_window),
    }
