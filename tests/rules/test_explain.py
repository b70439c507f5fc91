"""The signed way from stock to number, and why each rule won or lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.contracts.errors import UsageError
from engine.contracts.instants import parse_instant
from engine.rules import EVERYWHERE, RuleSet, load_rules, quantities
from engine.rules.explain import NEAR_MISSES_SHOWN, Explanation, StockLine, explain_channel
from engine.rules.offers import Offers
from tests.rules.support import CHANNELS, WORKING_FOLDER, channel_of, load

NOW = parse_instant("2026-11-21T00:00:00Z")

RULES = """\
rules:
- {name: shelf, buffer: {percent: 10, min: 1}, when: {location_types: [warehouse]}}
- {name: east, buffer: {units: 2}, when: {location_types: [warehouse], regions: [east]}}
- {name: milk, buffer: {units: 3}, when: {skus: [MILK]}, until: 2026-11-20T00:00:00Z}
- {name: milk soon, buffer: {units: 4}, when: {skus: [MILK]}, from: 2026-12-01T00:00:00Z}
- {name: held, buffer: {percent: 2.5, max: 9}, scope: channel, note: fines}
- {name: half, share: 50}
- {name: small, cap: 9}
- {name: smaller, cap: 8, priority: -1}
- {name: zmall, cap: 7}
- {name: few, floor: 2, when: {channels: [market]}}
- {name: closed, exclude: true, when: {locations: [W2]}}
- {name: west only, cap: 1, when: {regions: [west]}}
"""


def _explain(
    rules: RuleSet,
    channel: str,
    stock: dict[str, tuple[int, int]],
    location: str | None = None,
    claims: dict[int, int] | None = None,
    sku: str = "MILK",
) -> Explanation:
    lines = {place: StockLine(*line) for place, line in stock.items()}
    found = channel_of(rules, channel)
    return explain_channel(rules, NOW, found, sku, location, lines, claims or {})


def test_every_term_is_told_with_its_sign_and_its_rule(tmp_path: Path) -> None:
    """From what lies on the shelf to what is published, step by step."""
    rules = load(tmp_path, RULES)
    stock = {"W1": (60, 5), "W2": (30, 0), "S1": (3, 8), "S2": (-2, 1), "Y": (4, 0)}
    found = _explain(rules, "web", stock, claims={0: 3, EVERYWHERE: 2, 1: 0})
    assert [(s.what, s.quantity, s.location, s.rule) for s in found.steps] == [
        ("sellable", 3, "S1", None),
        ("reserved", -8, "S1", None),
        ("not below 0", 5, "S1", None),
        ("sellable", -2, "S2", None),
        ("reserved", -1, "S2", None),
        ("not below 0", 3, "S2", None),
        ("sellable", 60, "W1", None),
        ("reserved", -5, "W1", None),
        ("location buffer", -2, "W1", "east"),
        ("sellable", 4, "Y", None),
        ("promised and not there", -5, "S1", None),
        ("promised and not there", -1, "S2", None),
        ("unallocated reservations", -5, None, None),
        ("channel buffer", -2, None, "held"),
        ("share", -22, None, "half"),
        ("cap", -13, None, "small"),
    ]
    assert (found.pool, found.after_buffer, found.available) == (46, 44, 9)
    assert sum(step.quantity for step in found.steps) == found.available
    assert [(c.channel, c.quantity) for c in found.claims] == [(None, 2), ("web", 3)]
    (excluded,) = found.excluded
    assert (excluded.location, excluded.base, excluded.rule) == ("W2", 30, "closed")
    assert found.next_edge == parse_instant("2026-12-01T00:00:00Z")


def test_each_loser_is_told_with_the_reason(tmp_path: Path) -> None:
    """Time, priority, closeness and name, in the order in which they decide."""
    found = _explain(load(tmp_path, RULES), "market", {"W1": (60, 5)})
    decisions = {(d.kind, d.location): d for d in found.decisions}
    buffer = decisions["location_buffer", "W1"]
    assert buffer.winner is not None
    assert (buffer.winner.name, buffer.winner.file, buffer.winner.line) == (
        "east",
        "a.rules.yaml",
        3,
    )
    assert buffer.winner.effect == "2 units"
    assert {loser.rule.name: loser.reason for loser in buffer.losers} == {
        "milk": "not in force since 2026-11-20T00:00:00Z",
        "milk soon": "not in force before 2026-12-01T00:00:00Z",
        "shelf": "less specific: 1 kinds of condition, the winner has 2",
    }
    cap = decisions["cap", None]
    assert {loser.rule.name: loser.reason for loser in cap.losers} == {
        "zmall": "as specific as the winner, whose name sorts first",
        "smaller": "lower priority: -1, the winner has 0",
    }
    held = decisions["channel_buffer", None].winner
    assert held is not None
    assert (held.effect, held.note) == ("2.5% rounded up, at most 9", "fines")


CLOSENESS = [
    ("skus: [MILK]", "locations: [S1], brands: [Barn]", "the winner names SKUs"),
    ("locations: [S1]", "brands: [Barn], regions: [east]", "the winner names locations"),
    ("brands: [Barn]", "regions: [east], channels: [collect]", "names an item attribute"),
    ("regions: [east]", "channels: [collect]", "names a location attribute"),
    ("channels: [collect]", "", "the winner names channels"),
]


@pytest.mark.parametrize(("winner", "loser", "reason"), CLOSENESS)
def test_the_first_difference_in_closeness_is_the_reason(
    tmp_path: Path, winner: str, loser: str, reason: str
) -> None:
    """Even against a rule with more kinds of condition and an earlier name."""
    text = f"""\
rules:
- {{name: z, cap: 1, when: {{{winner}}}}}
- {{name: a, cap: 2, when: {{{loser}}}}}
"""
    found = _explain(load(tmp_path, text), "collect", {}, location="S1")
    (decision,) = found.decisions
    assert decision.winner is not None
    assert decision.winner.name == "z"
    assert [loser.rule.name for loser in decision.losers] == ["a"]
    assert reason in decision.losers[0].reason


def test_rules_for_other_locations_are_listed_as_near_misses(tmp_path: Path) -> None:
    """With the condition that fails; the rest beyond a limit is only counted."""
    many = "".join(
        f"- {{name: x{n:02}, buffer: {{units: 1}}, when: {{locations: [L{n}]}}}}\n"
        for n in range(NEAR_MISSES_SHOWN + 5)
    )
    text = f"""\
rules:
- {{name: a, buffer: {{units: 1}}, priority: 9, when: {{regions: [north, far], skus: [MILK]}}}}
- {{name: b, cap: 1, priority: 8, when: {{regions: [east]}}}}
- {{name: c, exclude: true, priority: 7,
    when: {{location_types: [store], regions: [west]}}}}
- {{name: other sku, cap: 1, when: {{regions: [east], skus: [SOAP]}}}}
{many}"""
    found = _explain(load(tmp_path, text), "web", {"W2": (1, 0), "S1": (1, 0)})
    reasons = {loser.rule.name: loser.reason for loser in found.near_misses}
    assert reasons["a"] == "no location here meets its condition regions far, north"
    assert reasons["b"].endswith("the channel publishes one number per SKU")
    assert reasons["c"] == "no location meets all its conditions at once"
    assert "other sku" not in reasons
    assert len(found.near_misses) == NEAR_MISSES_SHOWN
    assert found.near_misses_left_out == 8


def test_a_location_channel_is_limited_by_the_claims_on_the_location(tmp_path: Path) -> None:
    """The ceiling is what the claims' locations hold together, less the claims."""
    rules = load(tmp_path, "rules:\n- {name: s, buffer: {units: 1}}\n- {name: c, cap: 7}\n")
    stock = {"S1": (10, 0), "S2": (5, 2), "W1": (4, 0)}
    free = _explain(rules, "collect", stock, location="S1")
    assert (free.locations[0].ceiling, free.pool, free.available) == (None, 9, 7)
    some = _explain(rules, "collect", stock, location="S1", claims={2: 8, 1: 3})
    assert (some.locations[0].ceiling, some.pool, some.available) == (5, 5, 5)
    assert [c.quantity for c in some.claims] == [8]
    everywhere = _explain(rules, "collect", stock, location="S1", claims={EVERYWHERE: 16})
    assert (everywhere.locations[0].ceiling, everywhere.available) == (1, 1)
    assert [(s.what, s.quantity) for s in some.steps] == [
        ("sellable", 10),
        ("location buffer", -1),
        ("unallocated reservations", -4),
    ]


def test_a_location_that_the_channel_does_not_sell_from_has_nothing_to_sell(
    tmp_path: Path,
) -> None:
    """By the selector, or by a rule."""
    rules = load(tmp_path, "rules:\n- {name: x, exclude: true, when: {locations: [S2]}}\n")
    for location, rule in (("W1", None), ("S2", "x")):
        found = _explain(rules, "collect", {location: (9, 0)}, location=location)
        assert (found.available, found.status, found.steps) == (0, "out_of_stock", ())
        assert [line.rule for line in found.excluded] == [rule]


def test_a_retired_channel_publishes_nothing_and_says_so(tmp_path: Path) -> None:
    """The last step takes all of it."""
    rules = load(tmp_path, channels_yaml="channels: {old: {retired: true}}")
    found = _explain(rules, "old", {"W1": (9, 0)})
    assert found.retired
    assert found.available == 0
    assert (found.steps[-1].what, found.steps[-1].quantity) == ("the channel is retired", -9)


def test_a_location_is_asked_for_where_and_only_where_the_channel_has_one(
    tmp_path: Path,
) -> None:
    """The message says which of the two it is."""
    rules = load(tmp_path)
    with pytest.raises(UsageError, match="a number for each location"):
        _explain(rules, "collect", {})
    with pytest.raises(UsageError, match="one number per SKU"):
        _explain(rules, "web", {}, location="W1")


@pytest.mark.parametrize("seed", range(30))
def test_the_steps_add_up_to_the_number_and_the_plan_gives_the_same(seed: int) -> None:
    """For random stock and claims under the working rules of this project."""
    rng = random.Random(seed)
    rules = load_rules(WORKING_FOLDER)
    places = [*rules.catalogue.locations, "unlisted"]
    for sku in [*rules.catalogue.items, "unlisted"]:
        stock = {
            place: StockLine(rng.randrange(-20, 90), rng.randrange(0, 30))
            for place in rng.sample(places, 6)
        }
        claims = {index: rng.randrange(0, 9) for index in range(-1, len(rules.channels))}
        instant = rng.choice([NOW, parse_instant("2026-11-27T12:00:00Z")])
        item = rules.at(instant).item_class(sku)
        for channel in rules.channels:
            place = rng.choice(places) if channel.by_location else None
            found = explain_channel(rules, instant, channel, sku, place, stock, claims)
            assert sum(step.quantity for step in found.steps) == found.available
            offers = Offers(rules, instant, sku, stock, claims)
            assert offers.available(channel, place) == found.available
            assert offers.min_interval(channel, place) == found.min_interval
            if channel.by_location:
                continue
            pool = 0
            for location, line in stock.items():
                for index, buffer in item.contributions(location):
                    if index == channel.index:
                        pool += quantities.after(quantities.base(*line), buffer)
                        pool -= quantities.short(*line)
            pool -= sum(q for c, q in claims.items() if rules.claims_overlap(c, channel.index))
            terms = item.terms(channel.index, None)
            assert found.pool == max(0, pool)
            assert found.available == terms.offered(terms.after_buffer(max(0, pool)))
            assert found.min_interval == terms.min_interval


def test_a_number_alone_is_that_of_the_explanation(tmp_path: Path) -> None:
    """Of retired channels too, and where a channel does not sell from a location."""
    text = CHANNELS + "  gone: {retired: true}\n"
    rules = load(tmp_path, RULES, channels_yaml=text)
    stock = {"W1": StockLine(60, 5), "W2": StockLine(30, 0), "S1": StockLine(9, 1)}
    offers = Offers(rules, NOW, "MILK", stock, {EVERYWHERE: 2, 2: 3, 0: 0})
    gone, collect = channel_of(rules, "gone"), channel_of(rules, "collect")
    assert offers.available(gone, None) == 0
    for place in ("W1", "S1", "S2"):
        found = explain_channel(rules, NOW, collect, "MILK", place, stock, {EVERYWHERE: 2, 2: 3})
        assert offers.available(collect, place) == found.available
        assert offers.sells_from(collect, place) == (place == "S1")


def test_a_channel_of_granularity_location_has_no_channel_buffer(tmp_path: Path) -> None:
    """A rule for all channels with such a buffer is felt by the others only."""
    text = "rules:\n- {name: b, buffer: {units: 2}, scope: channel}\n"
    rules = load(tmp_path, text, channels_yaml=CHANNELS)
    found = _explain(rules, "collect", {"S1": (9, 0)}, location="S1")
    assert (found.available, found.decisions) == (9, ())
    assert _explain(rules, "web", {"S1": (9, 0)}).available == 7
