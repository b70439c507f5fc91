"""Channels, catalogue and rules as they stand in the files; matching and precedence.

Every question is answered by looking at every rule; percentages are exact fractions.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from .instants import DAY, HOUR, MINUTE, SECOND, duration, instant_of, parse_instant, rate

Attributes = Mapping[str, Any]

DEFAULT_SETTINGS = {
    "count_window": 72 * HOUR,
    "reservation_window": 72 * HOUR,
    "dedupe_window": 72 * HOUR,
    "max_future": 5 * MINUTE,
    "max_jump": 31 * DAY,
    "publish_tick": SECOND,
    "drain": 24 * HOUR,
    "snapshot_every": 24 * HOUR,
    "erp_window": 15 * MINUTE,
}
EFFECT_KINDS = (
    "location buffer", "channel buffer", "cap", "floor", "share", "exclude", "min_interval",
)  # fmt: skip
ITEM_CONDITIONS = ("categories", "brands", "item_tags")
LOCATION_CONDITIONS = ("location_types", "regions", "location_tags")


@dataclass(frozen=True)
class Policy:
    """What is done about differences from observations; `in_flight` in microseconds."""

    in_flight: int
    tolerance: int
    tolerance_percent: Fraction
    adjust: frozenset[str]
    adjust_up_to: int


@dataclass(frozen=True)
class Publish:
    """The publication promises of a channel; durations in microseconds."""

    min_interval: int
    max_rate: tuple[int, int] | None
    max_per_key: tuple[int, int] | None
    min_change: int
    low_stock: int
    max_staleness: int


@dataclass(frozen=True)
class Channel:
    """One channel of channels.yaml."""

    name: str
    by_location: bool
    selector: dict[str, list[str]]
    """ids, types, regions, tags as far as given; empty: every location."""
    retired: bool
    publish: Publish


@dataclass(frozen=True)
class Rule:
    """One rule."""

    name: str
    conditions: dict[str, list[str]]
    """Only those that name something."""
    effects: dict[str, Any]
    begins: int | None
    ends: int | None
    priority: int

    def in_force(self, instant: int) -> bool:
        """From inclusive, until exclusive."""
        begun = self.begins is None or self.begins <= instant
        return begun and (self.ends is None or instant < self.ends)

    def specificity(self) -> tuple[bool, bool, bool, bool, bool, int]:
        """Larger is more specific."""
        names = self.conditions.keys()
        return (
            "skus" in names,
            "locations" in names,
            any(name in names for name in ITEM_CONDITIONS),
            any(name in names for name in LOCATION_CONDITIONS),
            "channels" in names,
            len(names),
        )

    def names_a_location_condition(self) -> bool:
        """Whether it looks at the location at all."""
        return any(name in self.conditions for name in ("locations", *LOCATION_CONDITIONS))


class Rules:
    """All that a rules folder says."""

    def __init__(self, told: Mapping[str, Any] | Path) -> None:
        raw = read_folder(told) if isinstance(told, Path) else told
        self.settings = _settings(raw.get("settings") or {})
        self.policy = _policy(raw.get("settings") or {})
        self.channels = {
            name: _channel(name, given or {}) for name, given in raw["channels"].items()
        }
        self.rules = [_rule(given) for given in raw.get("rules") or []]
        self.locations = {row["location"]: _attributes(row) for row in raw.get("locations") or []}
        self.items = {row["sku"]: _attributes(row) for row in raw.get("items") or []}

    def edges(self) -> list[int]:
        """When a rule begins or ends."""
        instants = {rule.begins for rule in self.rules} | {rule.ends for rule in self.rules}
        return sorted(instant for instant in instants if instant is not None)

    def covers(self, channel: Channel | None, location: str) -> bool:
        """Whether the channel's selector alone has the location; no channel has them all."""
        selector = {} if channel is None else channel.selector
        attributes = self.locations.get(location, {})
        told = {
            "ids": [location],
            "types": _present(attributes.get("type")),
            "regions": _present(attributes.get("region")),
            "tags": attributes.get("tags", []),
        }
        return all(set(wanted) & set(told[kind]) for kind, wanted in selector.items())

    def overlap(self, claimant: str | None, other: Channel) -> bool:
        """Whether a claim of the claimant is on the channel: they have a location in common."""
        claiming = None if claimant is None else self.channels[claimant]
        if (claiming is None or not claiming.selector) and not other.selector:
            return True
        named = {
            location
            for channel in self.channels.values()
            for location in channel.selector.get("ids", [])
        }
        return any(
            self.covers(claiming, location) and self.covers(other, location)
            for location in named | set(self.locations)
        )

    def winner(
        self, kind: str, channel: Channel, sku: str, location: str | None, instant: int
    ) -> Any:
        """The effect of one kind that wins for a key, or None."""
        matching = [
            rule
            for rule in self.rules
            if kind in rule.effects
            and rule.in_force(instant)
            and self._matches(rule, kind, channel, sku, location)
        ]
        if not matching:
            return None
        best = max((rule.priority, rule.specificity()) for rule in matching)
        tied = [rule for rule in matching if (rule.priority, rule.specificity()) == best]
        return min(tied, key=lambda rule: rule.name).effects[kind]

    def sells_from(self, channel: Channel, sku: str, location: str, instant: int) -> bool:
        """The selector has the location and no `exclude` takes it out."""
        if not self.covers(channel, location):
            return False
        return not self.winner("exclude", channel, sku, location, instant)

    def min_interval(self, channel: Channel, sku: str, location: str | None, instant: int) -> int:
        """The rule's, or else the channel's."""
        won = self.winner("min_interval", channel, sku, location, instant)
        return channel.publish.min_interval if won is None else int(won)

    def _matches(
        self, rule: Rule, kind: str, channel: Channel, sku: str, location: str | None
    ) -> bool:
        of_one_location = kind in ("exclude", "location buffer")
        if not channel.by_location and not of_one_location:
            location = None
        if channel.by_location and kind == "channel buffer":
            return False
        if location is None and rule.names_a_location_condition():
            return False
        item, place = self.items.get(sku, {}), self.locations.get(location or "", {})
        told = {
            "channels": [channel.name],
            "skus": [sku],
            "categories": _present(item.get("category")),
            "brands": _present(item.get("brand")),
            "item_tags": item.get("tags", []),
            "locations": _present(location),
            "location_types": _present(place.get("type")),
            "regions": _present(place.get("region")),
            "location_tags": place.get("tags", []),
        }
        return all(set(wanted) & set(told[name]) for name, wanted in rule.conditions.items())


def buffer_amount(buffer: Mapping[str, Any] | None, of: int) -> int:
    """Units, or a percentage rounded up or down and then held between min and max."""
    if buffer is None:
        return 0
    if "units" in buffer:
        return int(buffer["units"])
    exact = of * Fraction(str(buffer["percent"])) / 100
    down = exact.numerator // exact.denominator
    up = -(-exact.numerator // exact.denominator)
    amount = down if buffer.get("round", "up") == "down" else up
    if buffer.get("max") is not None:
        amount = min(amount, buffer["max"])
    if buffer.get("min") is not None:
        amount = max(amount, buffer["min"])
    return amount


def shared(share: Any, pool: int) -> int:
    """floor(pool * share / 100), exactly."""
    return pool if share is None else int(pool * Fraction(str(share)) // 100)


def read_folder(folder: Path) -> dict[str, Any]:
    """A rules folder as one plain dict, without any check."""

    def read_yaml(path: Path) -> Any:
        return yaml.safe_load(path.read_text("utf-8")) if path.exists() else None

    def read_csv(path: Path) -> list[dict[str, str]]:
        if not path.exists():
            return []
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    rules: list[Any] = []
    for path in sorted(folder.glob("*.rules.yaml")):
        rules += (read_yaml(path) or {}).get("rules") or []
    return {
        "settings": read_yaml(folder / "engine.yaml") or {},
        "channels": (read_yaml(folder / "channels.yaml") or {}).get("channels") or {},
        "rules": rules,
        "locations": read_csv(folder / "locations.csv"),
        "items": read_csv(folder / "items.csv"),
    }


def _policy(given: Mapping[str, Any]) -> Policy:
    told = given.get("reconciliation", {})
    adjust = told.get("adjust", "none")
    return Policy(
        in_flight=duration(told.get("in_flight", "15m")),
        tolerance=told.get("tolerance", 0),
        tolerance_percent=Fraction(str(told.get("tolerance_percent", 0))),
        adjust=frozenset() if adjust == "none" else frozenset(adjust),
        adjust_up_to=told.get("adjust_up_to", 10),
    )


def _settings(given: Mapping[str, Any]) -> dict[str, int | None]:
    flat = dict(given)
    snapshot = flat.pop("snapshot", None)
    if snapshot is not None:
        flat["snapshot_every"] = snapshot["every"] if isinstance(snapshot, Mapping) else "off"
    if "erp" in flat:
        flat["erp_window"] = flat.pop("erp")["window"]
    flat.pop("reconciliation", None)
    settings: dict[str, int | None] = dict(DEFAULT_SETTINGS)
    for name, value in flat.items():
        off = value is None or value is False or value == "off"
        settings[name] = None if off else duration(value)
    return settings


def _channel(name: str, given: Mapping[str, Any]) -> Channel:
    publish = given.get("publish") or {}
    return Channel(
        name=name,
        by_location=given.get("granularity", "sku") == "location",
        selector={
            kind: list(some) for kind, some in (given.get("locations") or {}).items() if some
        },
        retired=bool(given.get("retired", False)),
        publish=Publish(
            min_interval=duration(publish.get("min_interval", 0)),
            max_rate=rate(publish["max_rate"]) if publish.get("max_rate") else None,
            max_per_key=rate(publish["max_per_key"]) if publish.get("max_per_key") else None,
            min_change=publish.get("min_change", 1),
            low_stock=publish.get("low_stock", 0),
            max_staleness=duration(publish.get("max_staleness", "15m")),
        ),
    )


def _rule(given: Mapping[str, Any]) -> Rule:
    effects: dict[str, Any] = {
        kind: given[kind] for kind in ("cap", "floor", "share", "exclude") if kind in given
    }
    if "buffer" in given:
        effects[f"{given.get('scope', 'location')} buffer"] = given["buffer"]
    if "min_interval" in given:
        effects["min_interval"] = duration(given["min_interval"])
    return Rule(
        name=given["name"],
        conditions=_named(given.get("when")),
        effects=effects,
        begins=_moment(given.get("from")),
        ends=_moment(given.get("until")),
        priority=given.get("priority", 0),
    )


def _named(given: Mapping[str, list[str]] | None) -> dict[str, list[str]]:
    """The kinds that name something; an empty list is no condition."""
    return {kind: list(some) for kind, some in (given or {}).items() if some}


def _moment(value: Any) -> int | None:
    if value is None or isinstance(value, int):
        return value
    return instant_of(value) if isinstance(value, datetime) else parse_instant(str(value))


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    tags = row.get("tags") or []
    split = tags.split(";") if isinstance(tags, str) else tags
    return {**row, "tags": [tag.strip() for tag in split if tag.strip()]}


def _present(value: Any) -> list[str]:
    return [value] if value else []
