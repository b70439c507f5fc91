"""Files of rules that change under a running engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from engine.embedded.rules_watch import LOOK_EVERY_SECONDS, RulesWatch, stamp_of
from engine.rules.loader import load_rules

CHANNELS = "channels:\n  web: {}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rules folder with one channel."""
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    return tmp_path


def watch_of(
    folder: Path, monotonic: Callable[[], float] | None = None, **overrides: str
) -> RulesWatch:
    """A watch over the rules as they are now; each look is long after the last."""
    seconds = count(0.0, 2 * LOOK_EVERY_SECONDS)
    rules = load_rules(folder, overrides)
    return RulesWatch(folder, rules, overrides, monotonic or (lambda: next(seconds)))


def channels_of(watch: RulesWatch) -> list[str] | None:
    """The channels of the new rules, None when there are none."""
    rules = watch.changed()
    return None if rules is None else [channel.name for channel in rules.channels]


def test_a_changed_file_is_another_rule_set_once(folder: Path) -> None:
    """Also a file that is new, and one that goes away."""
    watch = watch_of(folder)
    assert channels_of(watch) is None
    (folder / "channels.yaml").write_text(CHANNELS + "  shop: {}\n")
    assert channels_of(watch) == ["web", "shop"]
    assert channels_of(watch) is None
    (folder / "a.rules.yaml").write_text("rules:\n- {name: x, cap: 5}\n")
    assert channels_of(watch) == ["web", "shop"]
    (folder / "a.rules.yaml").unlink()
    assert channels_of(watch) == ["web", "shop"]
    assert channels_of(watch) is None


def test_the_folder_is_looked_at_once_a_second(folder: Path) -> None:
    """Not with every batch."""
    seconds = iter([0.0, 0.5, 0.99, 1.0])
    watch = watch_of(folder, lambda: next(seconds))
    (folder / "channels.yaml").write_text(CHANNELS + "  shop: {}\n")
    assert [channels_of(watch) for _ in range(3)] == [None, None, ["web", "shop"]]


def test_a_file_that_says_the_same_in_other_words_changes_nothing(folder: Path) -> None:
    """Notes and order are for people."""
    watch = watch_of(folder)
    (folder / "channels.yaml").write_text("# The shop on the web.\n" + CHANNELS)
    (folder / "README.md").write_text("Not a rule.")
    assert channels_of(watch) is None


def test_broken_rules_are_left_aside_until_they_are_mended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is told with file and line, once."""
    watch = watch_of(folder)
    (folder / "channels.yaml").write_text("channels:\n  web: {publish: {min_interval: soon}}\n")
    assert [channels_of(watch), channels_of(watch)] == [None, None]
    told = capsys.readouterr()
    assert (told.out + told.err).count("channels.yaml:2") == 1
    (folder / "channels.yaml").write_text(CHANNELS)
    assert channels_of(watch) is None
    (folder / "channels.yaml").write_text(CHANNELS + "  shop: {}\n")
    assert channels_of(watch) == ["web", "shop"]


def test_a_folder_that_goes_away_for_a_moment_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """As when somebody puts another in its place."""
    watch = watch_of(folder)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    shutil.move(folder, elsewhere)
    assert channels_of(watch) is None
    shutil.move(elsewhere, folder)
    assert channels_of(watch) is None
    (folder / "channels.yaml").write_text(CHANNELS + "  shop: {}\n")
    assert channels_of(watch) == ["web", "shop"]


def test_a_file_that_goes_away_while_it_is_looked_at_is_not_there(folder: Path) -> None:
    """A link that leads nowhere looks like one."""
    (folder / "gone.yaml").symlink_to(folder / "nowhere.yaml")
    watch = watch_of(folder)
    assert channels_of(watch) is None


def test_a_change_while_the_engine_starts_is_not_missed(folder: Path) -> None:
    """Between the reading of the rules and the first look a large store may be opened."""
    seen = stamp_of(folder)
    rules = load_rules(folder)
    (folder / "channels.yaml").write_text(CHANNELS + "  shop: {}\n")
    seconds = count(0.0, 2 * LOOK_EVERY_SECONDS)
    watch = RulesWatch(folder, rules, {}, lambda: next(seconds), seen)
    assert channels_of(watch) == ["web", "shop"]


def test_settings_given_from_outside_stay_in_force(folder: Path) -> None:
    """A change of the files does not take an option back."""
    watch = watch_of(folder, publish_tick="5s")
    (folder / "engine.yaml").write_text("publish_tick: 2s\ndrain: 1h\n")
    rules = watch.changed()
    assert rules is not None
    assert (rules.settings.publish_tick, rules.settings.drain) == (5_000_000, 3_600_000_000)
