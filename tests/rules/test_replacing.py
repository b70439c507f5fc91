"""Replacing what a rules folder says, and dying meanwhile."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.rules import replacing
from engine.rules.loader import load_rules
from engine.rules.mistakes import RulesError
from engine.rules.replacing import (
    MOVED,
    assemble,
    decide,
    discard,
    files_of,
    finish,
    is_outdated,
    is_read,
    names_in,
    prepare,
    settled,
)

OLD = {
    "channels.yaml": "channels:\n  web: {}\n",
    "engine.yaml": "publish_tick: 2s\n",
    "items.csv": "sku,category,brand,tags\nA,GROCERY,,\n",
    "old.rules.yaml": "rules:\n  - {name: old, cap: 5}\n",
    "both.rules.yaml": "rules:\n  - {name: both, cap: 7}\n",
    "tests/old.yaml": "cases: []\n",
    "README.md": "Ours.\n",
}
NEW = {
    "channels.yaml": "channels:\n  web: {}\n  shop: {}\n",
    "both.rules.yaml": "rules:\n  - {name: both, cap: 8}\n",
    "new.rules.yaml": "rules:\n  - {name: new, cap: 3}\n",
    "tests/new.yaml": "cases: []\n",
}
AFTER = {**NEW, **{name: OLD[name] for name in ("engine.yaml", "items.csv", "README.md")}}


class KilledError(BaseException):
    """The process is gone; nobody catches that."""


class Death:
    """Lets a process die before one of its steps; after that nothing is done any more."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left = 10**9
        for place, name in (
            (os, "link"),
            (os, "fsync"),
            (Path, "write_bytes"),
            (Path, "mkdir"),
            (Path, "chmod"),
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (shutil, "copy2"),
            (shutil, "rmtree"),
            (tempfile, "mkdtemp"),
        ):
            patch.setattr(place, name, self._watched(getattr(place, name)))

    def _watched(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*given: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise KilledError
            return do(*given, **more)

        return watched

    def comes_after(self, steps: int) -> None:
        """Die in the next step after so many."""
        self._left = steps

    @property
    def spared(self) -> bool:
        """Whether there were not so many steps."""
        return self._left >= 0


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found_in(folder: Path) -> dict[str, str]:
    """The files of a folder that people see, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }


def encoded(files: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rules folder."""
    return write(tmp_path / "rules", OLD)


def replace(folder: Path) -> list[str]:
    """Replace what it says."""
    gone = decide(folder, prepare(folder, encoded(NEW)))
    finish(folder)
    return gone


def test_what_is_put_replaces_channels_rules_and_cases_and_leaves_all_else(folder: Path) -> None:
    """Settings and catalogue belong to others; so does what is none of the rules."""
    assert replace(folder) == ["old.rules.yaml", "tests/old.yaml"]
    assert found_in(folder) == AFTER
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_process_that_dies_in_any_step_leaves_the_old_set_or_the_new_one(
    tmp_path: Path,
) -> None:
    """Read at once as after a restart, which finishes what was decided; and never goes back."""
    old = load_rules(write(tmp_path / "old", OLD)).fingerprint
    new = load_rules(write(tmp_path / "new", AFTER)).fingerprint
    seen: list[str] = []
    for steps in itertools.count():
        folder = write(tmp_path / f"rules-{steps}", OLD)
        with pytest.MonkeyPatch.context() as patch:
            death = Death(patch)
            death.comes_after(steps)
            with suppress(KilledError):
                replace(folder)
        seen.append(load_rules(folder).fingerprint)
        finish(folder)
        assert load_rules(folder).fingerprint == seen[-1]
        assert found_in(folder) == (OLD if seen[-1] == old else AFTER)
        assert names_in(settled(folder)) == names_in(folder)
        assert not (folder / MOVED).exists()
        if death.spared:
            break
    assert len(seen) > 25
    assert seen == sorted(seen, key=[old, new].index)
    assert {old, new} == set(seen)


def test_a_process_that_dies_while_it_finishes_is_followed_by_one_that_does(
    tmp_path: Path,
) -> None:
    """However often that happens."""
    folder = write(tmp_path / "rules", OLD)
    decide(folder, prepare(folder, encoded(NEW)))
    new = load_rules(folder).fingerprint
    for steps in range(200):
        with pytest.MonkeyPatch.context() as patch:
            death = Death(patch)
            death.comes_after(steps)
            with suppress(KilledError):
                finish(folder)
        assert load_rules(folder).fingerprint == new
        if death.spared:
            break
    assert found_in(folder) == AFTER


def test_what_was_prepared_and_not_decided_is_swept_away_after_an_hour(folder: Path) -> None:
    """Not at once: somebody else may be about to decide it."""
    left = prepare(folder, encoded(NEW))
    discarded = prepare(folder, encoded(NEW))
    discard(discarded)
    assert left.folder.is_dir()
    assert not discarded.folder.exists()
    long_ago = time.time() - 2 * replacing.LEFT_BEHIND_SECONDS
    os.utime(left.folder, (long_ago, long_ago))
    replace(folder)
    assert not left.folder.exists()


@pytest.mark.parametrize("name", ["items.csv", "engine.yaml"])
def test_a_file_that_was_to_stay_and_has_changed_meanwhile_is_noticed(
    folder: Path, name: str
) -> None:
    """What was checked is not what would be there."""
    prepared = prepare(folder, encoded(NEW))
    assert not is_outdated(folder, prepared)
    (folder / name).write_text(OLD[name] + "\n")
    assert is_outdated(folder, prepared)


def test_a_file_that_was_not_there_to_stay_and_is_there_now_is_noticed(folder: Path) -> None:
    """It would be taken out, though nobody has asked for that."""
    prepared = prepare(folder, encoded(NEW))
    (folder / "locations.csv").write_text("location,type,region,tags\n")
    assert is_outdated(folder, prepared)


def test_what_stands_in_a_folder_is_what_it_says_from_the_moment_it_is_decided(
    folder: Path,
) -> None:
    """Whoever looks between the decision and the last file sees the new set, and cases aside."""
    assert [path.name for path in files_of(folder)] == [
        "both.rules.yaml",
        "channels.yaml",
        "engine.yaml",
        "items.csv",
        "old.rules.yaml",
    ]
    decide(folder, prepare(folder, encoded(NEW)))
    decided = sorted(name for name in AFTER if name.endswith((".yaml", ".csv")) and "/" not in name)
    assert [path.name for path in files_of(folder)] == decided
    finish(folder)
    assert files_of(folder) == [folder / name for name in decided]


def test_an_empty_text_takes_out_what_would_stay(folder: Path) -> None:
    """Settings, a catalogue, and all cases."""
    files = {**encoded(NEW), "engine.yaml": b"", "items.csv": b"", "tests/new.yaml": b""}
    gone = decide(folder, prepare(folder, files))
    finish(folder)
    assert gone == ["engine.yaml", "items.csv", "old.rules.yaml", "tests/old.yaml"]
    assert set(found_in(folder)) == set(NEW) - {"tests/new.yaml"} | {"README.md"}


def test_cases_stay_when_none_are_given(folder: Path) -> None:
    """So that they guard the rules."""
    prepared = prepare(folder, {"channels.yaml": NEW["channels.yaml"].encode()})
    assert tuple(prepared.kept) == ("engine.yaml", "items.csv", "tests/old.yaml")
    assert prepared.put == ("channels.yaml",)


def test_a_file_that_stopped_the_folder_from_being_read_goes(folder: Path) -> None:
    """With a wrong suffix it is no part of any rule set."""
    (folder / "lost.rules.yml").write_text("rules: []\n")
    with pytest.raises(RulesError):
        load_rules(folder)
    assert "lost.rules.yml" in replace(folder)
    load_rules(folder)


def test_a_folder_that_cannot_be_written_keeps_nothing_of_what_was_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has tried is told."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OSError, match="No space left"):
        prepare(folder, encoded(NEW))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_needs_no_cases(tmp_path: Path) -> None:
    """Neither before nor after."""
    folder = write(tmp_path / "rules", {"channels.yaml": OLD["channels.yaml"]})
    decide(folder, prepare(folder, {"channels.yaml": NEW["channels.yaml"].encode()}))
    finish(folder)
    assert found_in(folder) == {"channels.yaml": NEW["channels.yaml"]}


def test_without_hard_links_files_that_stay_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every file system has them."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    replace(folder)
    assert found_in(folder) == AFTER


def test_a_set_is_put_together_from_another_folder(folder: Path, tmp_path: Path) -> None:
    """To be tried: nothing is written into the rules folder."""
    into = tmp_path / "tried"
    into.mkdir()
    assemble(encoded(NEW), folder, into)
    assert load_rules(into).fingerprint == load_rules(write(tmp_path / "a", AFTER)).fingerprint
    assert found_in(folder) == OLD


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("channels.yaml", True),
        ("a.rules.yaml", True),
        ("März & more.rules.yaml", True),
        ("tests/a.yaml", True),
        ("items.csv", True),
        ("../channels.yaml", False),
        ("/etc/channels.yaml", False),
        ("tests/../../a.rules.yaml", False),
        ("tests/below/a.yaml", False),
        ("tests/.a.yaml", False),
        ("below/a.rules.yaml", False),
        ("..\\a.rules.yaml", False),
        (".a.rules.yaml", False),
        (".rules.yaml", False),
        ("a.rules.yml", False),
        ("a.rules.yaml\n", False),
        ("a\0.rules.yaml", False),
        ("README.md", False),
        ("", False),
        ("a" * 60 + ".rules.yaml", False),
    ],
)
def test_only_names_that_a_rules_folder_is_read_from_are_taken(name: str, read: bool) -> None:
    """None leads out of the folder."""
    assert is_read(name) is read
