"""Rules and explanations as programs are told them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.contracts.instants import parse_instant
from engine.rules.explain import StockLine, explain_channel
from engine.rules.explained import Explained, explained_fields, explanation_of
from engine.rules.shown import RulesShown, show_rules
from tests.rules.support import channel_of, load

NOW = parse_instant("2026-11-21T00:00:00Z")

CHANNELS = """\
channels:
  web: {publish: {max_rate: 100/s, max_per_key: 250/day}}
  market: {locations: {types: [warehouse], tags: [ships]}, publish: {min_interval: 30s}}
"""
RULES = """\
rules:
- {name: shelf, buffer: {percent: 10, min: 1}, when: {location_types: [warehouse]}}
- {name: soon, cap: 4, when: {skus: [MILK], channels: [web]}, from: 2026-12-01T00:00:00Z,
   until: 2027-01-01T00:00:00Z, note: for the feast}
"""


def shown(folder: Path, **files: str) -> RulesShown:
    return show_rules(load(folder, RULES, channels_yaml=CHANNELS, **files), NOW)


def test_rules_are_told_in_the_words_of_the_rules_folder(tmp_path: Path) -> None:
    """The one that would win first, with conditions, time box, and what it does."""
    soon, shelf = shown(tmp_path).rules
    assert (soon.name, soon.when) == ("soon", {"channels": ["web"], "skus": ["MILK"]})
    assert (soon.from_, soon.until) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert (soon.in_force, soon.note) == (False, "for the feast")
    assert shelf.when == {"location_types": ["warehouse"]}
    assert (shelf.from_, shelf.until, shelf.in_force) == (None, None, True)
    assert list(shelf.effects) == ["location_buffer"]


def test_channels_are_told_with_their_places_and_limits(tmp_path: Path) -> None:
    """No places stand for every location, and no rate for none."""
    web, market = shown(tmp_path).channels
    assert web.locations is None
    assert (web.publish.max_rate, web.publish.max_per_key) == ("100/s", "250/day")
    assert market.locations == {"types": ["warehouse"], "tags": ["ships"]}
    assert (market.publish.min_interval, market.publish.max_rate) == ("30s", None)


def test_settings_are_told_with_what_is_switched_off(tmp_path: Path) -> None:
    """Durations as they are written in engine.yaml."""
    assert shown(tmp_path / "a").settings["snapshot.every"] == "24h"
    switched_off = shown(tmp_path / "b", engine_yaml="snapshot: {every: off}\n")
    assert switched_off.settings["snapshot.every"] == "off"


def test_an_explanation_comes_back_as_it_was_told(tmp_path: Path) -> None:
    """Through JSON, with a time box that opens later and without one."""
    for name, rules in (("a", RULES), ("b", "rules: []\n")):
        loaded = load(tmp_path / name, rules, channels_yaml=CHANNELS)
        web = channel_of(loaded, "web")
        stock = {"W1": StockLine(60, 5)}
        explanation = explain_channel(loaded, NOW, web, "MILK", None, stock, {})
        told = msgspec.json.encode(Explained(**explained_fields(explanation)))
        assert explanation_of(msgspec.json.decode(told, type=Explained)) == explanation
