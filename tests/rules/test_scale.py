"""What a look-up examines does not grow with the number of rules, locations and SKUs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from engine.rules import RuleSet, load_rules
from tests.rules.support import write_folder

RULES = 10_000
LOCATIONS = 500
CATEGORIES = 400


def _many_rules() -> str:
    """Rules that name SKUs, categories, locations, or categories and locations."""
    lines = ["rules:"]
    for number in range(RULES):
        category, location = number % CATEGORIES, number % LOCATIONS
        when = (
            f"skus: [SKU{number}]",
            f"categories: [C{category}]",
            f"locations: [L{location}]",
            f"categories: [C{category}], locations: [L{location}]",
        )[number // CATEGORIES % 4]
        lines.append(f"- {{name: r{number}, when: {{{when}}}, buffer: {{units: {number % 9}}}}}")
    return "\n".join(lines)


def _load(folder: Path) -> RuleSet:
    locations = [f"L{number},store,R{number % 10}," for number in range(LOCATIONS)]
    items = [f"SKU{number},C{number % CATEGORIES},B,t" for number in range(2 * RULES)]
    return load_rules(
        write_folder(
            folder,
            {
                "channels.yaml": "channels: {web: {}, collect: {granularity: location}}",
                "a.rules.yaml": _many_rules(),
                "locations.csv": "\n".join(["location,type,region,tags", *locations]),
                "items.csv": "\n".join(["sku,category,brand,tags", *items]),
            },
        )
    )


def test_only_a_handful_of_ten_thousand_rules_is_examined_for_a_key(tmp_path: Path) -> None:
    """Rules are found by what they name: some dozens are candidates, of 10,000."""
    rules = _load(tmp_path)
    index = rules.index
    assert len(rules.rules) == RULES
    examined = [
        len(index.general)
        + len(index.item_group(f"SKU{number}").everywhere)
        + len(index.location_group(f"L{number % LOCATIONS}").any_item)
        + len(index.item_group(f"SKU{number}").here_and_there)
        + len(index.location_group(f"L{number % LOCATIONS}").some_items)
        for number in range(0, RULES, 97)
    ]
    assert max(examined) <= 60
    # SKUs share what they have in common: one class per category, and one per SKU that is named
    plan = rules.at(0)
    classes = {plan.item_class(f"SKU{number}") for number in range(2 * RULES)}
    named = sum(1 for rule in rules.rules if rule.items.skus)
    assert len(classes) <= CATEGORIES + named


def test_an_uncatalogued_sku_or_location_leaves_nothing_behind(tmp_path: Path) -> None:
    """A million SKUs that nothing names share one class, as strange locations share one group."""
    rules = _load(tmp_path)
    plan = rules.at(0)
    strangers = {plan.item_class(f"unknown {number}") for number in range(1000)}
    places = {rules.index.location_group(f"nowhere {number}") for number in range(1000)}
    assert len(strangers) == 1
    assert len(places) == 1
    tracemalloc.start()
    for number in range(50_000):
        plan.item_class(f"strange {number}").contributions(f"anywhere {number}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10_000  # bytes: none of the names is remembered
