"""What is no mistake and yet hardly meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rules.checking import check_folder
from tests.rules.support import CHANNELS, rules_folder, write_folder


def _warnings(folder: Path, rules: str = "", **files: str) -> list[str]:
    checked = check_folder(rules_folder(folder, rules, **files))
    return [f"{warning.file}: {warning.message}" for warning in checked.warnings]


@pytest.mark.parametrize(
    ("when", "name", "key"),
    [
        ("skus: [MILC]", "MILC", "skus"),
        ("categories: [DAIRIES, DAIRY]", "DAIRIES", "categories"),
        ("brands: [Born]", "Born", "brands"),
        ("item_tags: [chill]", "chill", "item_tags"),
        ("locations: [W3]", "W3", "locations"),
        ("location_types: [shop]", "shop", "location_types"),
        ("regions: [eats]", "eats", "regions"),
        ("location_tags: [ship]", "ship", "location_tags"),
    ],
)
def test_a_name_that_the_catalogue_does_not_have_is_a_warning(
    tmp_path: Path, when: str, name: str, key: str
) -> None:
    """It is allowed, since not everything is listed, and it is the commonest slip."""
    rules = f"rules:\n- {{name: r, exclude: true, when: {{{when}}}}}\n"
    assert _warnings(tmp_path, rules) == [
        f"a.rules.yaml: the rule 'r' names {name!r} in {key}; the catalogue does not"
    ]


def test_without_a_catalogue_no_name_is_doubtful(tmp_path: Path) -> None:
    """Nothing is listed, so nothing can be missing."""
    rules = "rules:\n- {name: r, exclude: true, when: {skus: [A], regions: [east]}}\n"
    empty = {
        "locations_csv": "location,type,region,tags\n",
        "items_csv": "sku,category,brand,tags\n",
    }
    assert _warnings(tmp_path, rules, channels_yaml="channels: {web: {}}", **empty) == []


def test_an_effect_that_no_channel_can_feel_is_a_warning(tmp_path: Path) -> None:
    """Where the rule has another effect, or names no channel, it is no mistake."""
    rules = """\
rules:
- {name: a, cap: 1, exclude: false, when: {channels: [web], regions: [east]}}
- {name: b, buffer: {units: 1}, scope: channel, cap: 3, when: {regions: [east]}}
- {name: c, buffer: {units: 1}, scope: channel}
- {name: d, cap: 1, when: {regions: [east]}}
"""
    assert _warnings(tmp_path, rules) == [
        "a.rules.yaml: the cap of the rule 'a' does nothing",
        "a.rules.yaml: the channel buffer of the rule 'b' does nothing",
    ]


def test_a_selector_that_finds_nothing_is_a_warning(tmp_path: Path) -> None:
    """A channel that can never sell is most likely a misspelt type or tag."""
    channels = CHANNELS + "  far: {locations: {types: [wharehouse]}}\n"
    assert _warnings(tmp_path, channels_yaml=channels) == [
        "channels.yaml: the channel 'far' has no location at all",
        "channels.yaml: the channel 'far' names 'wharehouse' in types; the catalogue does not",
    ]


def test_files_that_are_not_read_are_a_warning(tmp_path: Path) -> None:
    """A rules file without its suffix, an unknown table, a rules file one floor down."""
    folder = rules_folder(tmp_path, "")
    write_folder(
        folder,
        {
            "peak.yaml": "rules: []",
            "rules.yaml": "rules: []",
            "prices.csv": "",
            "old/x.rules.yaml": "rules: []",
            "tests/y.rules.yaml": "cases: []",
            ".kept/z.rules.yaml": "rules: []",
            "README.md": "",
            ".hidden.yaml": "",
        },
    )
    warnings = check_folder(folder).warnings
    assert [warning.file for warning in warnings] == [
        "old/x.rules.yaml",
        "peak.yaml",
        "prices.csv",
        "rules.yaml",
    ]
    assert "rename it to peak.rules.yaml" in warnings[1].remedy
