"""Rules folders for tests, written from texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.rules import Channel, Mistake, RulesError, RuleSet, load_rules

WORKING_FOLDER = Path(__file__).parents[2] / "rules"
"""The merchandisers' own folder in this repository."""

CHANNELS = """\
channels:
  web: {}
  market: {locations: {types: [warehouse]}, publish: {min_interval: 30s, low_stock: 5}}
  collect: {granularity: location, locations: {types: [store]}}
"""
LOCATIONS = """\
location,type,region,tags,timezone
W1,warehouse,east,ships;big,America/New_York
W2,warehouse,west,ships,
S1,store,east,pick-up,
S2,store,west,,
"""
ITEMS = """\
sku,category,brand,tags
MILK,DAIRY,Barn,chilled;heavy
SOAP,HOUSE,Clean,
"""


def write_folder(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files and return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def rules_folder(folder: Path, rules: str, **files: str) -> Path:
    """Write a folder with three channels, a small catalogue and these rules.

    Further files go by name with `__` for `/` and `_` for `.`.
    """
    further = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    return write_folder(
        folder,
        {
            "channels.yaml": CHANNELS,
            "locations.csv": LOCATIONS,
            "items.csv": ITEMS,
            "a.rules.yaml": rules,
            **further,
        },
    )


def load(folder: Path, rules: str = "", **files: str) -> RuleSet:
    """The rule set of such a folder."""
    return load_rules(rules_folder(folder, rules, **files))


def mistakes_of(folder: Path, overrides: Mapping[str, str] | None = None) -> list[Mistake]:
    """The mistakes of a folder; none when it loads."""
    try:
        load_rules(folder, overrides or {})
    except RulesError as error:
        return error.mistakes
    return []


def channel_of(rules: RuleSet, name: str) -> Channel:
    """The channel of that name, which must exist."""
    channel = rules.channel(name)
    assert channel is not None
    return channel
