"""Seeded rule sets that use every effect, granularity and promise, and their files."""

import csv
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .generate import DEFAULT_LOCATIONS, DEFAULT_SKUS, START
from .instants import HOUR, SECOND, format_instant

TYPES = ("store", "warehouse")
REGIONS = ("east", "west")
LOCATION_TAGS = ("ships-online", "outlet")
CATEGORIES = ("GROCERY", "TOYS")
BRANDS = ("acme", "globex")
ITEM_TAGS = ("fragile", "promo")
CHANNEL_NAMES = ("amazon-us", "web", "ebay", "click-and-collect")

FILES = ("channels.yaml", "engine.yaml", "generated.rules.yaml", "locations.csv", "items.csv")

_QUOTED_TIME = re.compile(r"^(\s*(?:- )?(?:from|until): )'(.*)'$", re.MULTILINE)


def random_rules(
    seed: int,
    skus: Sequence[str] = DEFAULT_SKUS,
    locations: Sequence[str] = DEFAULT_LOCATIONS,
    span: int = 2 * HOUR,
) -> dict[str, Any]:
    """Settings, channels, rules and catalogue as they stand in the files; always valid."""
    chance = random.Random(seed)
    channels = {
        name: _channel(chance, locations)
        for name in CHANNEL_NAMES[: chance.randint(1, len(CHANNEL_NAMES))]
    }
    rules = [
        rule
        for number in range(chance.randint(0, 10))
        if (rule := _rule(chance, number, channels, skus, locations, span)) is not None
    ]
    return {
        "settings": _settings(chance),
        "channels": channels,
        "rules": rules,
        "locations": [_location(chance, place) for place in locations if chance.random() < 0.85],
        "items": [_item(chance, sku) for sku in skus if chance.random() < 0.85],
    }


def write_rules_folder(rules: Mapping[str, Any], folder: Path) -> None:
    """Writes the files of a rules folder as an engine reads them, in place of any before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    _write_yaml(folder / "channels.yaml", {"channels": rules["channels"]})
    if rules.get("settings"):
        _write_yaml(folder / "engine.yaml", rules["settings"])
    if rules.get("rules"):
        _write_yaml(folder / "generated.rules.yaml", {"rules": rules["rules"]})
    _write_csv(
        folder / "locations.csv",
        ("location", "type", "region", "tags", "timezone"),
        rules.get("locations") or [],
    )
    _write_csv(folder / "items.csv", ("sku", "category", "brand", "tags"), rules.get("items") or [])


def _settings(chance: random.Random) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if chance.random() < 0.3:
        settings["publish_tick"] = chance.choice(("500ms", "2s", "7s"))
    if chance.random() < 0.3:
        settings["count_window"] = chance.choice(("2h", "24h"))
    if chance.random() < 0.3:
        settings["reservation_window"] = chance.choice(("10m", "2h"))
    if chance.random() < 0.3:
        settings["dedupe_window"] = chance.choice(("2h", "24h"))
    if chance.random() < 0.3:
        settings["drain"] = chance.choice(("10s", "20m"))
    if chance.random() < 0.3:
        settings["erp"] = {"window": chance.choice(("1m", "1h"))}
    if chance.random() < 0.5:
        settings["snapshot"] = {"every": chance.choice(("10m", "1h", "off"))}
    return settings


def _channel(chance: random.Random, locations: Sequence[str]) -> dict[str, Any]:
    channel: dict[str, Any] = {"granularity": chance.choice(("sku", "sku", "location"))}
    selector: dict[str, list[str]] = {}
    if chance.random() < 0.6:
        kind = chance.choice(("ids", "types", "regions", "tags"))
        values = {"ids": locations, "types": TYPES, "regions": REGIONS, "tags": LOCATION_TAGS}
        selector[kind] = _some(chance, values[kind])
    if selector:
        channel["locations"] = selector
    publish: dict[str, Any] = {}
    if chance.random() < 0.5:
        publish["min_interval"] = chance.choice(("500ms", "5s", "30s", "5m"))
    if chance.random() < 0.4:
        publish["max_rate"] = chance.choice(("1/s", "2/s", "100/s", "1000/day"))
    if chance.random() < 0.3:
        publish["max_per_key"] = chance.choice(("3/day", "10/day", "250/day"))
    if chance.random() < 0.4:
        publish["min_change"] = chance.choice((1, 2, 5))
    if chance.random() < 0.5:
        publish["low_stock"] = chance.choice((1, 3, 5))
    if chance.random() < 0.4:
        publish["max_staleness"] = chance.choice(("10s", "2m", "1h"))
    if publish:
        channel["publish"] = publish
    if chance.random() < 0.04:
        channel["retired"] = True
    return channel


def _rule(
    chance: random.Random,
    number: int,
    channels: Mapping[str, Any],
    skus: Sequence[str],
    locations: Sequence[str],
    span: int,
) -> dict[str, Any] | None:
    by_location = [
        name for name, channel in channels.items() if channel["granularity"] == "location"
    ]
    by_sku = [name for name in channels if name not in by_location]
    kind = chance.choice(
        ("location buffer", "location buffer", "channel buffer", "cap", "floor", "share",
         "exclude", "min_interval")
    )  # fmt: skip
    when: dict[str, list[str]] = {}
    if chance.random() < 0.4:
        when["channels"] = _some(chance, list(channels))
    for name, values in (
        ("skus", skus), ("categories", CATEGORIES), ("brands", BRANDS), ("item_tags", ITEM_TAGS),
    ):  # fmt: skip
        if chance.random() < 0.15:
            when[name] = _some(chance, values)
    matched = when.get("channels", list(channels))
    if kind in ("location buffer", "exclude") or set(matched) & set(by_location):
        for name, values in (
            ("locations", locations), ("location_types", TYPES), ("regions", REGIONS),
            ("location_tags", LOCATION_TAGS),
        ):  # fmt: skip
            if kind != "channel buffer" and chance.random() < 0.15:
                when[name] = _some(chance, values)
    if kind == "channel buffer" and not set(matched) & set(by_sku):
        return None
    rule: dict[str, Any] = {"name": f"rule {number:02d} {kind}"}
    if when:
        rule["when"] = when
    rule |= _effect(chance, kind)
    begin = _moment(chance, span)
    end = begin + SECOND // 4 + _moment(chance, span) - START
    if chance.random() < 0.35:
        rule["from"] = format_instant(begin)
    if chance.random() < 0.35:
        rule["until"] = format_instant(end)
    if chance.random() < 0.3:
        rule["priority"] = chance.choice((-1, 1, 5))
    return rule


def _effect(chance: random.Random, kind: str) -> dict[str, Any]:
    if kind.endswith("buffer"):
        scope = {"scope": kind.split()[0]}
        if chance.random() < 0.4:
            return {**scope, "buffer": {"units": chance.choice((0, 1, 2, 5))}}
        buffer: dict[str, Any] = {"percent": chance.choice((0, 5, 10, 12.5, 33.3, 0.1, 100))}
        if chance.random() < 0.4:
            buffer["round"] = chance.choice(("up", "down"))
        if chance.random() < 0.4:
            buffer["min"] = chance.choice((0, 1, 2))
        if chance.random() < 0.4:
            buffer["max"] = chance.choice((2, 3, 10))
        return {**scope, "buffer": buffer}
    if kind == "cap":
        return {"cap": chance.choice((0, 3, 10))}
    if kind == "floor":
        return {"floor": chance.choice((1, 3, 6))}
    if kind == "share":
        return {"share": chance.choice((0, 25, 33.3, 50, 99.9, 100))}
    if kind == "exclude":
        return {"exclude": True}
    return {"min_interval": chance.choice(("2s", "1m", "1h"))}


def _moment(chance: random.Random, span: int) -> int:
    offset = chance.randrange(span)
    unit = chance.choice((60 * SECOND, SECOND, SECOND // 4))
    return START + offset - offset % unit


def _location(chance: random.Random, place: str) -> dict[str, str]:
    return {
        "location": place,
        "type": "warehouse" if place.startswith("wh") else "store",
        "region": chance.choice(REGIONS),
        "tags": ";".join(tag for tag in LOCATION_TAGS if chance.random() < 0.5),
        "timezone": chance.choice(("", "America/New_York", "Pacific/Auckland", "Asia/Kolkata")),
    }


def _item(chance: random.Random, sku: str) -> dict[str, str]:
    return {
        "sku": sku,
        "category": chance.choice(CATEGORIES),
        "brand": chance.choice(("", *BRANDS)),
        "tags": ";".join(tag for tag in ITEM_TAGS if chance.random() < 0.5),
    }


def _some(chance: random.Random, values: Sequence[str]) -> list[str]:
    return sorted(chance.sample(list(values), chance.randint(1, max(1, len(values) - 1))))


def _write_yaml(path: Path, told: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(told), sort_keys=False, allow_unicode=True)
    path.write_text(_QUOTED_TIME.sub(r"\1\2", text), "utf-8")


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for row in rows:
            tags = row.get("tags") or ""
            writer.writerow({**row, "tags": tags if isinstance(tags, str) else ";".join(tags)})
