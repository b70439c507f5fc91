"""A digest over everything in a rules folder that can change a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from engine.rules.model import Buffer, Catalogue, Channel, ItemMatch, LocationMatch, Rule, Settings


def fingerprint(
    settings: Settings,
    channels: Sequence[Channel],
    catalogue: Catalogue,
    rules: Sequence[Rule],
) -> str:
    """Hex SHA-256. Notes, comments, file names, lines and the order of things do not enter."""
    names = [channel.name for channel in channels]
    digest = hashlib.sha256()
    for part in _parts(settings, channels, catalogue, rules, names):
        digest.update(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _parts(
    settings: Settings,
    channels: Sequence[Channel],
    catalogue: Catalogue,
    rules: Sequence[Rule],
    names: Sequence[str],
) -> Iterator[object]:
    yield asdict(settings)
    for channel in sorted(channels, key=lambda channel: channel.name):
        yield _channel(channel)
    for rule in sorted(rules, key=lambda rule: rule.name):
        yield _rule(rule, names)
    for location, where in sorted(catalogue.locations.items()):
        yield "location", location, where.type, where.region, sorted(where.tags), where.timezone
    for sku, item in sorted(catalogue.items.items()):
        yield "item", sku, item.category, item.brand, sorted(item.tags)


def _channel(channel: Channel) -> object:
    selector = None if channel.selector is None else _locations(channel.selector)
    publish = asdict(channel.publish)
    return channel.name, channel.by_location, selector, channel.retired, publish


def _rule(rule: Rule, names: Sequence[str]) -> object:
    return {
        "name": rule.name,
        "priority": rule.priority,
        "specificity": rule.specificity,
        "channels": sorted(name for i, name in enumerate(names) if rule.for_channel(i)),
        "items": _items(rule.items),
        "locations": _locations(rule.locations),
        "time": (rule.begins, rule.ends),
        "buffers": [_buffer(rule.location_buffer), _buffer(rule.channel_buffer)],
        "offer": (rule.share, rule.floor, rule.cap),
        "exclude": rule.exclude,
        "min_interval": rule.min_interval,
    }


def _buffer(buffer: Buffer | None) -> object:
    if buffer is None:
        return None
    exact = buffer.units, buffer.numerator, buffer.denominator
    return *exact, buffer.round_up, buffer.minimum, buffer.maximum


def _items(match: ItemMatch) -> object:
    return [sorted(names) for names in (match.skus, match.categories, match.brands, match.tags)]


def _locations(match: LocationMatch) -> object:
    return [sorted(names) for names in (match.ids, match.types, match.regions, match.tags)]
