"""The compiled matcher against one that walks over all rules, as the manual words it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.instants import DAY, format_instant
from engine.rules import Kind, RuleSet, load_rules
from tests.rules.support import write_folder

CHANNELS: dict[str, dict[str, Any]] = {
    "web": {},
    "market": {"locations": {"types": ["warehouse"], "tags": ["ships", "far"]}},
    "collect": {"granularity": "location", "locations": {"types": ["store"]}},
    "named": {"granularity": "location", "locations": {"ids": ["W1", "X9"]}},
}
LOCATIONS = {
    "W1": ("warehouse", "east", {"ships", "big"}),
    "W2": ("warehouse", "west", {"far"}),
    "S1": ("store", "east", {"big"}),
    "S2": ("store", "west", set()),
}
ITEMS = {
    "A": ("FOOD", "Barn", {"chilled", "heavy"}),
    "B": ("FOOD", "Mill", set()),
    "C": ("TOYS", "Mill", {"heavy"}),
}
UNLISTED: tuple[str, str, set[str]] = ("", "", set())
SKUS = [*ITEMS, "Z"]
PLACES = [*LOCATIONS, "X9", "Y"]
INSTANTS = [0, DAY, 2 * DAY, 3 * DAY]

Written = dict[str, Any]


def _some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), max_size=2)


WHEN = st.fixed_dictionaries(
    {},
    optional={
        "channels": _some(list(CHANNELS)),
        "skus": _some(SKUS),
        "categories": _some(["FOOD", "TOYS"]),
        "brands": _some(["Barn", "Mill"]),
        "item_tags": _some(["chilled", "heavy"]),
        "locations": _some(PLACES),
        "location_types": _some(["warehouse", "store"]),
        "regions": _some(["east", "west"]),
        "location_tags": _some(["ships", "big", "far"]),
    },
)
RULE = st.fixed_dictionaries(
    {"when": WHEN, "exclude": st.booleans(), "buffer": st.just({"units": 0})},
    optional={
        "scope": st.sampled_from(["location", "channel"]),
        "cap": st.just(0),
        "floor": st.just(0),
        "share": st.just(0),
        "min_interval": st.just("1s"),
        "from": st.sampled_from(INSTANTS),
        "until": st.sampled_from(INSTANTS),
        "priority": st.integers(0, 2),
    },
)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Written]:
    """Rules that a folder may hold, in any order, with names that tell them apart."""
    rules: list[Written] = draw(st.lists(RULE, max_size=12))
    kept = []
    for number, rule in enumerate(rules):
        named = rule["when"].get("channels") or list(CHANNELS)
        by_location_only = all(CHANNELS[name].get("granularity") for name in named)
        if rule.get("scope") == "channel" and by_location_only:
            del rule["scope"]
        if "from" in rule and "until" in rule and rule["from"] >= rule["until"]:
            del rule["until"]
        rule["name"] = f"rule {number}"
        for effect in ("cap", "buffer", "floor"):  # effects that tell which rule won
            if effect in rule:
                rule[effect] = {"units": number} if effect == "buffer" else number
        kept.append(rule)
    return kept


def naive_winner(
    rules: list[Written], kind: Kind, channel: str, sku: str, place: str | None, instant: int
) -> str | None:
    """The name of the winner, by comparing every rule with every other."""
    by_location = "granularity" in CHANNELS[channel]
    if not by_location and kind not in (Kind.EXCLUDE, Kind.LOCATION_BUFFER):
        place = None
    fitting = [rule for rule in rules if _fits(rule, kind, channel, sku, place, instant)]
    return min(fitting, key=_order)["name"] if fitting else None


def _fits(
    rule: Written, kind: Kind, channel: str, sku: str, place: str | None, instant: int
) -> bool:
    scope = rule.get("scope", "location")
    effect = "buffer" if kind in (Kind.LOCATION_BUFFER, Kind.CHANNEL_BUFFER) else kind.value
    if effect not in rule:
        return False
    if effect == "buffer" and kind.value != f"{scope}_buffer":
        return False
    if not rule.get("from", instant) <= instant < rule.get("until", instant + 1):
        return False
    category, brand, item_tags = ITEMS.get(sku, UNLISTED)
    actual: dict[str, set[str]] = {
        "channels": {channel},
        "skus": {sku},
        "categories": {category},
        "brands": {brand},
        "item_tags": item_tags,
        "locations": set(),
        "location_types": set(),
        "regions": set(),
        "location_tags": set(),
    }
    if place is not None:
        type_, region, tags = LOCATIONS.get(place, UNLISTED)
        actual |= {
            "locations": {place},
            "location_types": {type_},
            "regions": {region},
            "location_tags": tags,
        }
    return all(not wanted or actual[key] & set(wanted) for key, wanted in rule["when"].items())


def _order(rule: Written) -> tuple[Any, ...]:
    when: Mapping[str, list[str]] = {key: names for key, names in rule["when"].items() if names}
    return (
        -rule.get("priority", 0),
        "skus" not in when,
        "locations" not in when,
        not when.keys() & {"categories", "brands", "item_tags"},
        not when.keys() & {"location_types", "regions", "location_tags"},
        "channels" not in when,
        -len(when),
        rule["name"],
    )


def naive_selling(channel: str, place: str) -> bool:
    """Whether the selector of a channel includes a place."""
    selector = CHANNELS[channel].get("locations", {})
    type_, region, tags = LOCATIONS.get(place, UNLISTED)
    actual = {"ids": {place}, "types": {type_}, "regions": {region}, "tags": tags}
    return all(actual[key] & set(wanted) for key, wanted in selector.items())


def _load(rules: list[Written]) -> RuleSet:
    written = []
    for rule in rules:
        times = {key: format_instant(rule[key]) for key in ("from", "until") if key in rule}
        written.append(rule | times)
    locations = [f"{k},{t},{r},{';'.join(sorted(g))}" for k, (t, r, g) in LOCATIONS.items()]
    items = [f"{k},{c},{b},{';'.join(sorted(g))}" for k, (c, b, g) in ITEMS.items()]
    files = {
        "channels.yaml": json.dumps({"channels": CHANNELS}),
        "a.rules.yaml": json.dumps({"rules": written}),
        "locations.csv": "\n".join(["location,type,region,tags", *locations]),
        "items.csv": "\n".join(["sku,category,brand,tags", *items]),
    }
    with tempfile.TemporaryDirectory() as folder:
        return load_rules(write_folder(Path(folder), files))


@settings(max_examples=80)
@given(rule_sets(), st.sampled_from([0, DAY - 1, DAY, 2 * DAY, 4 * DAY]))
def test_the_winner_of_every_kind_is_the_one_found_by_comparing_all_rules(
    written: list[Written], instant: int
) -> None:
    """Whatever the rules, index and plan name the same winner as a walk over all of them."""
    rules = _load(written)
    plan = rules.at(instant)
    for sku in SKUS:
        item = plan.item_class(sku)
        for channel in rules.channels:
            for place in [*PLACES, None]:
                for kind in Kind:
                    found = item.winner(kind, channel.index, place)
                    expected = naive_winner(written, kind, channel.name, sku, place, instant)
                    assert (found.name if found else None) == expected


@settings(max_examples=40)
@given(rule_sets(), st.sampled_from([0, DAY, 3 * DAY]))
def test_contributions_are_the_channels_that_include_the_location_and_no_exclusion_bars(
    written: list[Written], instant: int
) -> None:
    """Contributions list ascending channels with the winning buffer of the location."""
    rules = _load(written)
    effects = {rule["name"]: rule for rule in written}
    for sku in SKUS:
        for place in PLACES:
            expected = []
            for channel in rules.channels:
                barring = naive_winner(written, Kind.EXCLUDE, channel.name, sku, place, instant)
                excluded = barring is not None and effects[barring]["exclude"]
                if not excluded and naive_selling(channel.name, place):
                    buffering = naive_winner(
                        written, Kind.LOCATION_BUFFER, channel.name, sku, place, instant
                    )
                    units = effects[buffering]["buffer"]["units"] if buffering else None
                    expected.append((channel.index, units))
            found = rules.at(instant).item_class(sku).contributions(place)
            assert [(i, buffer and buffer.units) for i, buffer in found] == expected


@settings(max_examples=30)
@given(rule_sets(), st.randoms())
def test_the_order_of_rules_in_the_files_changes_nothing(
    written: list[Written], random: Any
) -> None:
    """Shuffled rules give the same fingerprint and the same winners."""
    shuffled = list(written)
    random.shuffle(shuffled)
    first, second = _load(written), _load(shuffled)
    assert first.fingerprint == second.fingerprint
    assert [rule.name for rule in first.rules] == [rule.name for rule in second.rules]


@pytest.mark.parametrize("place", ["S1", None])
def test_terms_of_a_location_channel_look_at_its_location_and_of_others_do_not(
    place: str | None,
) -> None:
    """A cap with a condition on the region holds at the location channel there, nowhere else."""
    rules = _load([{"name": "c", "when": {"regions": ["east"]}, "cap": 4}])
    item = rules.at(0).item_class("A")
    assert item.terms(2, place).cap == (4 if place else None)
    assert item.terms(0, place).cap is None
    assert item.terms(0, place).plain
