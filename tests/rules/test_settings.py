"""The engine's settings: defaults, the file, and what is laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, parse_duration
from engine.rules import Settings, list_settings, load_rules
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


def test_a_faulty_override_is_told_with_the_name_of_the_setting(tmp_path: Path) -> None:
    """It has no file and no line."""
    (found,) = mistakes_of(rules_folder(tmp_path, ""), {"drain": "long"})
    assert str(found).startswith("setting drain: drain: 'long' is no duration. Write")


def test_every_setting_is_declared_once_with_its_default_help_and_names() -> None:
    """So that options and environment variables can be made from the list."""
    settings = list_settings()
    assert len({setting.name for setting in settings}) == len(settings) == 9
    for setting in settings:
        assert setting.help.endswith(".")
        assert parse_duration(setting.default) >= setting.lowest
        assert setting.type == ("duration or off" if setting.may_be_off else "duration")
    snapshot = next(setting for setting in settings if setting.name == "snapshot.every")
    assert snapshot.flag == "--snapshot-every"
    assert snapshot.environment == "SELLABLE_SNAPSHOT_EVERY"
