"""The engine's settings: defaults, the file, and what is laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from engine.rules import Settings, list_settings, load_rules
from engine.rules.mistakes import RulesError
from engine.rules.model import Policy
from tests.rules.support import mistakes_of, rules_folder

DEFAULTS = Settings(
    count_window=72 * HOUR,
    reservation_window=72 * HOUR,
    dedupe_window=72 * HOUR,
    max_future=5 * MINUTE,
    max_jump=31 * DAY,
    publish_tick=SECOND,
    drain=24 * HOUR,
    snapshot_every=24 * HOUR,
    erp_window=15 * MINUTE,
    reconciliation=Policy(
        in_flight=15 * MINUTE,
        tolerance=0,
        percent_numerator=0,
        percent_denominator=1,
        adjust=(),
        adjust_up_to=10,
    ),
)


def _settings(folder: Path, text: str, **overrides: str) -> Settings:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_rules(rules_folder(folder, "", engine_yaml=text), named).settings


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "drain: 24h\nsnapshot: {}\n"])
def test_what_is_left_out_has_its_default(tmp_path: Path, text: str) -> None:
    """An empty file is as good as none."""
    assert _settings(tmp_path, text) == DEFAULTS


def test_the_file_and_then_the_override_win_over_the_default(tmp_path: Path) -> None:
    """Overrides go by dotted name."""
    text = "drain: 1h\nmax_jump: 7d\nsnapshot: {every: 6h}\nerp: {window: 5m}\n"
    found = _settings(tmp_path, text, publish_tick="250ms", drain="0s", erp__window="1h")
    assert (found.max_jump, found.snapshot_every) == (7 * DAY, 6 * HOUR)
    assert (found.publish_tick, found.drain) == (250 * MILLISECOND, 0)
    assert found.erp_window == HOUR


@pytest.mark.parametrize(
    "text",
    ["snapshot: off", "snapshot: 'off'", "snapshot: {every: off}", "snapshot: false"],
)
def test_snapshots_may_be_switched_off(tmp_path: Path, text: str) -> None:
    """With or without quotes, which YAML takes for a text or for false."""
    assert _settings(tmp_path, text).snapshot_every is None


def test_an_override_may_switch_snapshots_off_and_on(tmp_path: Path) -> None:
    """In either direction."""
    assert _settings(tmp_path, "", snapshot__every="off").snapshot_every is None
    assert _settings(tmp_path, "snapshot: off", snapshot__every="1h").snapshot_every == HOUR


def test_a_faulty_override_is_told_with_its_option_and_its_variable(tmp_path: Path) -> None:
    """It has no file and no line: whoever gave it looks for it in one of these two places."""
    (found,) = mistakes_of(rules_folder(tmp_path, ""), {"drain": "long"})
    place = "--drain or SELLABLE_DRAIN: "
    assert str(found).startswith(place + "drain: 'long' is no duration. Write")


def test_faulty_overrides_alone_do_not_blame_the_rules_folder(tmp_path: Path) -> None:
    """With a mistake in a file beside them they are told among those of the folder."""
    folder = rules_folder(tmp_path, "")
    with pytest.raises(RulesError, match=r"^2 mistakes in the settings that were given:"):
        load_rules(folder, {"drain": "long", "snapshot.every": "never"})
    (folder / "engine.yaml").write_text("drain: 1\n")
    with pytest.raises(RulesError, match=r"^2 mistakes in the rules folder "):
        load_rules(folder, {"drain": "long"})


def test_every_setting_is_declared_once_with_its_default_help_and_names() -> None:
    """So that options and environment variables can be made from the list."""
    settings = list_settings()
    assert len({setting.name for setting in settings}) == len(settings) == 14
    for setting in settings:
        assert setting.help.endswith(".")
    kinds = {setting.name: (setting.type, setting.place_holder) for setting in settings}
    assert kinds["drain"] == ("duration", "TIME")
    assert kinds["snapshot.every"] == ("duration or off", "TIME|off")
    assert kinds["reconciliation.tolerance"] == ("whole number", "UNITS")
    snapshot = next(setting for setting in settings if setting.name == "snapshot.every")
    assert snapshot.flag == "--snapshot-every"
    assert snapshot.environment == "SELLABLE_SNAPSHOT_EVERY"


def test_the_policy_for_differences_is_read_from_the_file_and_from_overrides(
    tmp_path: Path,
) -> None:
    """Units, exact percentages, and classes as a list, as a text with commas, or none."""
    text = (
        "reconciliation: {in_flight: 5m, tolerance: 2, tolerance_percent: 2.5, "
        "adjust: [shrink, missed], adjust_up_to: 0}\n"
    )
    assert _settings(tmp_path, text).reconciliation == Policy(
        5 * MINUTE, 2, 1, 40, ("missed", "shrink"), 0
    )
    told = _settings(tmp_path, text, reconciliation__adjust="unknown, shrink").reconciliation
    assert told.adjust == ("shrink", "unknown")
    assert _settings(tmp_path, text, reconciliation__adjust="none").reconciliation.adjust == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tolerance: -1", "reconciliation.tolerance: a number of base units is expected, '-1'"),
        ("tolerance: 10000000000", "reconciliation.tolerance: a number of base units is expected"),
        ("tolerance: [1]", "reconciliation.tolerance: a number of base units is expected, a list"),
        ("tolerance_percent: 101", "reconciliation.tolerance_percent: 101 percent is out of range"),
        ("adjust: {shrink: yes}", "reconciliation.adjust: a list of classes is expected"),
        ("adjust: [in_flight]", "reconciliation.adjust: in_flight is never adjusted"),
        ("adjust: shrnk", "reconciliation.adjust: 'shrnk' is no class of findings"),
        ("adjust: [[shrink]]", "reconciliation.adjust: a list is no class of findings"),
        ("adjst: shrink", "the key 'reconciliation.adjst' is not known here"),
    ],
)
def test_a_policy_that_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    """Whatever is wrong with it, with a way to mend it."""
    folder = rules_folder(tmp_path, "", engine_yaml="drain: 1h\nreconciliation:\n  " + text)
    (found,) = mistakes_of(folder)
    assert str(found).startswith(f"engine.yaml:3: {message}")
