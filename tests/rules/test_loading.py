"""What the texts in the files come to."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from engine.rules import Buffer, Item, Location, Publish, Rate, Rule, load_rules
from engine.rules.fields import read_percent
from tests.rules.support import CHANNELS, channel_of, load, mistakes_of, rules_folder


def _only_rule(folder: Path, text: str) -> Rule:
    (rule,) = load(folder, f"rules:\n- name: x\n  {text}\n").rules
    return rule


def test_the_example_of_the_manual_is_read_in_full(tmp_path: Path) -> None:
    """Every key of a rule and of a channel arrives as what it says."""
    channels = """\
channels:
  amazon-us:
    granularity: sku
    locations: {types: [warehouse], tags: [ships-online]}
    publish: {min_interval: 30s, max_rate: 100/s, min_change: 1, low_stock: 5, max_staleness: 15m}
"""
    rules = """\
rules:
  - name: peak grocery buffer
    when: {channels: [amazon-us], categories: [GROCERY], brands: [], skus: [], item_tags: [],
           locations: [], location_types: [], regions: [], location_tags: []}
    scope: location
    buffer: {percent: 10, round: up, min: 1, max: 20}
    from: 2026-11-20T00:00:00Z
    until: 2026-12-01T00:00:00Z
    priority: 0
    note: why, and who asked
"""
    loaded = load(tmp_path, rules, channels_yaml=channels)
    (rule,) = loaded.rules
    assert (rule.name, rule.file, rule.line) == ("peak grocery buffer", "a.rules.yaml", 2)
    assert rule.location_buffer == Buffer(
        numerator=1, denominator=10, round_up=True, minimum=1, maximum=20
    )
    assert rule.channel_buffer is None
    assert rule.begins == parse_instant("2026-11-20T00:00:00Z")
    assert rule.ends == parse_instant("2026-12-01T00:00:00Z")
    assert rule.items.categories == {"GROCERY"}
    assert not rule.locations.any_given
    assert rule.specificity.condition_kinds == 2
    assert rule.note == "why, and who asked"
    (channel,) = loaded.channels
    assert not channel.by_location
    assert channel.selector is not None
    assert channel.selector.types == {"warehouse"}
    assert channel.publish == Publish(
        min_interval=30 * SECOND,
        max_rate=Rate(100, SECOND),
        max_per_key=None,
        min_change=1,
        low_stock=5,
        max_staleness=15 * MINUTE,
    )


def test_a_channel_without_settings_has_the_defaults(tmp_path: Path) -> None:
    """One number per SKU, every location, no limit on the rate."""
    loaded = load(tmp_path, channels_yaml="channels:\n  web:\n  shop: {locations: {}, publish: }\n")
    for channel in loaded.channels:
        assert not channel.by_location
        assert not channel.retired
        assert channel.selector is None
        assert channel.publish == Publish(0, None, None, 1, 0, 15 * MINUTE)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, SECOND)),
        ("250/day", Rate(250, DAY)),
        ("1/min", Rate(1, MINUTE)),
        ("60/m", Rate(60, MINUTE)),
        ("5/h", Rate(5, HOUR)),
        ("5 / hour", Rate(5, HOUR)),
    ],
)
def test_a_rate_is_a_number_per_period(tmp_path: Path, text: str, rate: Rate) -> None:
    """Short and long words for the period are the same."""
    channels = f"channels:\n  web: {{publish: {{max_per_key: {text}}}}}\n"
    (channel,) = load(tmp_path, channels_yaml=channels).channels
    assert channel.publish.max_per_key == rate


@pytest.mark.parametrize("word", ["true", "yes", "on", "True", "'true'"])
def test_every_spelling_of_yes_is_true(tmp_path: Path, word: str) -> None:
    """YAML of any version, and quotes."""
    assert _only_rule(tmp_path, f"exclude: {word}").exclude is True


@pytest.mark.parametrize("word", ["false", "no", "off", "OFF"])
def test_every_spelling_of_no_is_false(tmp_path: Path, word: str) -> None:
    """A rule may lift an exclusion."""
    assert _only_rule(tmp_path, f"exclude: {word}").exclude is False


def test_names_stay_as_they_are_written(tmp_path: Path) -> None:
    """Leading zeros, the region of Norway, dates and numbers are texts, not something else."""
    rule = _only_rule(
        tmp_path,
        "exclude: true\n  when: {skus: [007, 1_000, 1e3, 2026-11-20, 12:30], regions: [NO, on]}",
    )
    assert rule.items.skus == {"007", "1_000", "1e3", "2026-11-20", "12:30"}
    assert rule.locations.regions == {"NO", "on"}


def test_anchors_and_merged_blocks_are_written_out(tmp_path: Path) -> None:
    """What is written in the rule wins over what is merged into it, and lines stay right."""
    rules = """\
rules:
- &base
  name: base
  cap: 5
  when: &dairy {categories: [DAIRY]}
- <<: *base
  name: more
  floor: 2
- name: third
  cap: 1
  when: *dairy
- <<: [*base]
  name: fourth
  cap: 9
"""
    found = {rule.name: rule for rule in load(tmp_path, rules).rules}
    assert found["more"].cap == 5
    assert found["more"].floor == 2
    assert found["more"].line == 7
    assert found["third"].items.categories == {"DAIRY"}
    assert found["fourth"].cap == 9


@given(st.integers(0, 100 * 10**12))
def test_a_decimal_percentage_is_exact(scaled: int) -> None:
    """Twelve digits behind the point, and no binary fraction in between."""
    text = f"{scaled // 10**12}.{scaled % 10**12:012}"
    assert read_percent(text) == Fraction(scaled, 100 * 10**12)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2.5", Fraction(1, 40)),
        ("0.1", Fraction(1, 1000)),
        ("'10'", Fraction(1, 10)),
        (".5", Fraction(1, 200)),
        ("1.0e-05", Fraction(1, 10**7)),
        ("100", Fraction(1)),
        ("0", Fraction(0)),
    ],
)
def test_percentages_are_read_from_their_digits(
    tmp_path: Path, text: str, fraction: Fraction
) -> None:
    """The share of a rule is a fraction of 1."""
    share = _only_rule(tmp_path, f"share: {text}").share
    assert share == (fraction.numerator, fraction.denominator)


def test_the_catalogue_is_read_with_tags_and_timezones(tmp_path: Path) -> None:
    """Cells are trimmed, tags split at semicolons; equal SKUs share one object."""
    locations = "\ufefflocation, type ,tags,region,timezone\r\nW1, store ,a; b;,east,\r\n"
    items = 'tags,brand,category,sku\nx;y,"B, Co",FOOD,1\nx;y,"B, Co",FOOD,2\n\n,,,3\n'
    catalogue = load(tmp_path, locations_csv=locations, items_csv=items).catalogue
    assert catalogue.location("W1") == Location("store", "east", frozenset("ab"), "UTC")
    assert catalogue.item("1") == Item("FOOD", "B, Co", frozenset("xy"))
    assert catalogue.items["1"] is catalogue.items["2"]
    assert catalogue.item("3") == catalogue.item("never seen") == Item("", "", frozenset())
    assert catalogue.location("elsewhere").timezone == "UTC"


def test_catalogue_and_settings_may_be_left_out(tmp_path: Path) -> None:
    """`channels.yaml` alone is a rules folder."""
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    rules = load_rules(tmp_path)
    assert rules.rules == ()
    assert rules.catalogue.locations == {}
    assert rules.settings.publish_tick == SECOND


def test_a_rule_whose_conditions_are_empty_lists_holds_for_every_channel(tmp_path: Path) -> None:
    """An empty list is no condition, in a rule as in a selector."""
    rule = _only_rule(tmp_path, "cap: 1\n  when: {channels: [], skus: []}")
    assert all(rule.for_channel(index) for index in range(3))
    assert rule.specificity.condition_kinds == 0


def test_a_rule_with_conditions_on_locations_is_no_mistake_where_something_can_match(
    tmp_path: Path,
) -> None:
    """An exclusion, a buffer of locations, or a channel of granularity location make it useful."""
    rules = """\
rules:
- {name: a, exclude: true, when: {channels: [web], regions: [east]}}
- {name: b, buffer: {units: 1}, when: {channels: [web], regions: [east]}}
- {name: c, cap: 1, when: {channels: [web, collect], regions: [east]}}
- {name: d, cap: 1, when: {regions: [east]}}
- {name: e, cap: 1, exclude: false, when: {channels: [web], regions: [east]}}
- {name: f, buffer: {units: 1}, scope: channel, when: {channels: [web, collect]}}
- {name: g, buffer: {units: 1}, scope: channel}
- {name: h, cap: 1, when: {locations: [nowhere], skus: [nothing], categories: [none]}}
"""
    assert mistakes_of(rules_folder(tmp_path, rules)) == []


def test_hidden_files_and_backups_are_not_read(tmp_path: Path) -> None:
    """Editors leave such files behind."""
    rules_folder(tmp_path, "")
    (tmp_path / ".#a.rules.yaml").write_text("rules: [")
    (tmp_path / "a.rules.yaml~").write_text("rules: [")
    assert mistakes_of(tmp_path) == []
    assert channel_of(load_rules(tmp_path), "collect").by_location
