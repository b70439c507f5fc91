"""Time boxes, coverage, overlapping claims and the fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.instants import parse_instant
from engine.rules import EVERYWHERE, Kind
from engine.rules.ruleset import PLANS_KEPT
from tests.rules.support import CHANNELS, LOCATIONS, load

BOXES = """\
rules:
- {name: always, cap: 100}
- {name: november, cap: 10, from: 2026-11-01T00:00:00Z, until: 2026-12-01T00:00:00Z, priority: 1}
- {name: friday, cap: 5, from: 2026-11-27T00:00:00-05:00, until: 2026-11-28T00:00:00-05:00,
   priority: 2}
- {name: before, floor: 3, until: 2026-11-01T00:00:00Z}
- {name: since, share: 50, from: 2026-12-01T00:00:00Z}
"""


def test_edges_are_the_distinct_instants_at_which_a_rule_begins_or_ends(tmp_path: Path) -> None:
    """Sorted, each once, whatever the offset they are written with."""
    expected = [
        "2026-11-01T00:00:00Z",
        "2026-11-27T05:00:00Z",
        "2026-11-28T05:00:00Z",
        "2026-12-01T00:00:00Z",
    ]
    assert load(tmp_path, BOXES).edges == tuple(map(parse_instant, expected))
    assert load(tmp_path, "").edges == ()


@pytest.mark.parametrize(
    ("instant", "cap", "floor", "share"),
    [
        ("1969-01-01T00:00:00Z", "always", "before", None),
        ("2026-10-31T23:59:59.999999Z", "always", "before", None),
        ("2026-11-01T00:00:00Z", "november", None, None),
        ("2026-11-27T04:59:59.999999Z", "november", None, None),
        ("2026-11-27T05:00:00Z", "friday", None, None),
        ("2026-11-28T04:59:59.999999Z", "friday", None, None),
        ("2026-11-28T05:00:00Z", "november", None, None),
        ("2026-12-01T00:00:00Z", "always", None, "since"),
    ],
)
def test_a_time_box_holds_from_its_begin_until_before_its_end(
    tmp_path: Path, instant: str, cap: str, floor: str | None, share: str | None
) -> None:
    """To the microsecond."""
    item = load(tmp_path, BOXES).at(parse_instant(instant)).item_class("MILK")
    found = [item.winner(kind, 0, None) for kind in (Kind.CAP, Kind.FLOOR, Kind.SHARE)]
    assert [rule.name if rule else None for rule in found] == [cap, floor, share]


def test_a_plan_is_the_same_object_between_two_edges(tmp_path: Path) -> None:
    """And another one on the other side of an edge."""
    rules = load(tmp_path, BOXES)
    edge = rules.edges[1]
    assert rules.at(edge) is rules.at(edge + 1) is rules.at(rules.edges[2] - 1)
    assert rules.at(edge) is not rules.at(edge - 1)
    assert rules.at(edge).item_class("A") is rules.at(edge).item_class("B")


def test_only_the_plans_used_last_are_kept(tmp_path: Path) -> None:
    """A replay through many edges does not pile up plans, and an old one can be made again."""
    written = "\n".join(
        f"- {{name: r{day}, cap: {day}, from: 2026-03-{day:02}T00:00:00Z}}" for day in range(1, 30)
    )
    rules = load(tmp_path, f"rules:\n{written}\n")
    first = rules.at(rules.edges[0])
    for edge in rules.edges[1 : PLANS_KEPT + 1]:
        rules.at(edge)
    again = rules.at(rules.edges[0])
    assert again is not first
    assert again.item_class("A").terms(0, None) == first.item_class("A").terms(0, None)


def test_coverage_follows_the_selectors_alone(tmp_path: Path) -> None:
    """Exclusions do not enter; a channel without selector covers every location there is."""
    rules = load(tmp_path, "rules:\n- {name: x, exclude: true}\n")
    assert rules.coverage("W1") == 0b011
    assert rules.coverage("S1") == 0b101
    assert rules.coverage("never seen") == 0b001
    assert rules.at(0).item_class("MILK").contributions("W1") == ()


def test_every_kind_of_a_selector_must_fit_and_one_entry_of_a_kind_is_enough(
    tmp_path: Path,
) -> None:
    """Ids, types, regions and tags."""
    channels = """\
channels:
  a: {locations: {types: [warehouse, depot], tags: [ships, slow]}}
  b: {locations: {types: [warehouse], tags: [big]}}
  c: {locations: {ids: [W1, X1], regions: [east]}}
  d: {locations: {ids: [W2, X1]}}
"""
    rules = load(tmp_path, channels_yaml=channels)
    assert rules.coverage("W1") == 0b0111
    assert rules.coverage("W2") == 0b1001
    assert rules.coverage("X1") == 0b1000


def test_claims_overlap_where_two_channels_have_a_location_in_common(tmp_path: Path) -> None:
    """Over what the catalogue and the selectors name; a claim without channel is on all of it."""
    channels = (
        CHANNELS + "  nowhere: {locations: {types: [moon]}}\n  id: {locations: {ids: [X9]}}\n"
    )
    rules = load(tmp_path, channels_yaml=channels)
    web, market, collect, nowhere, named = range(5)
    assert rules.claims_overlap(web, market)
    assert rules.claims_overlap(market, market)
    assert not rules.claims_overlap(market, collect)
    assert rules.claims_overlap(EVERYWHERE, collect)
    assert rules.claims_overlap(EVERYWHERE, EVERYWHERE)
    assert rules.claims_overlap(named, web)
    assert not rules.claims_overlap(named, market)
    assert not any(rules.claims_overlap(nowhere, other) for other in (web, nowhere, EVERYWHERE))


def test_channels_without_selectors_overlap_without_any_catalogue(tmp_path: Path) -> None:
    """They have all locations, even where none is named anywhere."""
    bare = "channels: {a: {}, b: {}}"
    rules = load(tmp_path, channels_yaml=bare, locations_csv="location,type,region,tags\n")
    assert rules.claims_overlap(0, 1)
    assert rules.claims_overlap(EVERYWHERE, 0)


ONE = "rules:\n- name: a\n  cap: 5\n  note: first\n- {name: b, share: 2.5, when: {skus: [A, B]}}\n"
SAME = """\
# a comment
rules:
- {name: b, note: because, when: {skus: [B, A, A], brands: []}, share: 2.50, priority: 0}

- name: a
  cap: +5
"""


def test_the_fingerprint_leaves_notes_comments_order_and_spelling_out(tmp_path: Path) -> None:
    """Rules that say the same have one fingerprint."""
    turned = "\n".join([LOCATIONS.splitlines()[0], *reversed(LOCATIONS.splitlines()[1:])])
    first = load(tmp_path / "one", ONE, engine_yaml="drain: 24h\n")
    second = load(tmp_path / "two", SAME, locations_csv=turned)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 64


@pytest.mark.parametrize(
    "files",
    [
        {"a_rules_yaml": ONE.replace("cap: 5", "cap: 6")},
        {"a_rules_yaml": ONE.replace("2.5", "2.51")},
        {"a_rules_yaml": ONE.replace("[A, B]", "[A]")},
        {"a_rules_yaml": ONE.replace("name: a", "name: c")},
        {"a_rules_yaml": ONE.replace("cap: 5", "cap: 5\n  priority: 1")},
        {"a_rules_yaml": ONE.replace("cap: 5", "cap: 5\n  until: 2030-01-01T00:00:00Z")},
        {"channels_yaml": CHANNELS.replace("30s", "31s")},
        {"channels_yaml": CHANNELS.replace("[warehouse]", "[store]")},
        {"channels_yaml": CHANNELS.replace("web: {}", "web: {retired: true}")},
        {"locations_csv": LOCATIONS.replace("S2,store,west,,", "S2,store,west,x,")},
        {"locations_csv": LOCATIONS.replace("America/New_York", "UTC")},
        {"items_csv": "sku,category,brand,tags\nMILK,DAIRY,Barn,chilled\n"},
        {"engine_yaml": "snapshot: off\n"},
    ],
)
def test_the_fingerprint_changes_with_whatever_changes_a_result(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """Rules, channels, catalogue and settings."""
    rules = files.get("a_rules_yaml", ONE)
    others = {name: text for name, text in files.items() if name != "a_rules_yaml"}
    changed = load(tmp_path / "changed", rules, **others)
    assert changed.fingerprint != load(tmp_path / "same", ONE).fingerprint


def test_a_rule_gives_its_own_interval_in_place_of_the_channels(tmp_path: Path) -> None:
    """Slow sellers may be told hourly, and 0s sets a channel's interval aside."""
    rules = load(
        tmp_path,
        "rules:\n- {name: slow, min_interval: 1h, when: {skus: [SOAP]}}\n"
        "- {name: fast, min_interval: 0s, when: {skus: [MILK]}}\n",
    )
    market = rules.at(0)
    assert market.item_class("SOAP").terms(1, None).min_interval == 3_600_000_000
    assert market.item_class("MILK").terms(1, None).min_interval == 0
    assert market.item_class("else").terms(1, None).min_interval == 30_000_000


def test_a_copy_is_the_same_rules_with_caches_of_its_own(tmp_path: Path) -> None:
    """For another thread: a rule set fills its caches while it is asked."""
    rules = load(tmp_path, BOXES)
    copy = rules.copy()
    assert (copy.fingerprint, copy.rules, copy.channels) == (
        rules.fingerprint,
        rules.rules,
        rules.channels,
    )
    assert copy.at(0) is not rules.at(0)
