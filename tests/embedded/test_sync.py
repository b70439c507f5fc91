"""A commit that waits for the disk, so that it outlives a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.parts import EVENT
from engine.embedded.folder import make_lasting
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from engine.stores.base import StoreUnreachableError
from engine.stores.rocks import RocksStore
from tests.oracle.scenarios import movement_line


class Disk:
    """What of the output files has reached it, and what the store asked for when."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.lengths: dict[str, int] = {}
        self.folders: set[str] = set()
        self.commits: list[bool] = []
        self.behind: list[str] = []
        commit = RocksStore.commit

        def note(file: int) -> None:
            path = str(Path(f"/proc/self/fd/{file}").readlink())
            if Path(path).is_dir():
                self.folders.add(path)
            else:
                self.lengths[path] = os.fstat(file).st_size

        def noted(
            store: RocksStore, puts: Any, deletes: Any, ranges: Any, sync: bool = False
        ) -> None:
            self.commits.append(sync)
            if sync:
                self.behind += self.not_there_yet()
            commit(store, puts, deletes, ranges, sync)

        patch.setattr(os, "fdatasync", note)
        patch.setattr(os, "fsync", note)
        patch.setattr(RocksStore, "commit", noted)
        self.out = Path()

    def not_there_yet(self) -> list[str]:
        """Output files that hold more than has reached the disk."""
        return [
            path.name
            for path in self.out.glob("*.ndjson")
            if path.stat().st_size > self.lengths.get(str(path), 0)
        ]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk under the engine."""
    return Disk(monkeypatch)


def running(folder: Path, disk: Disk, sync: bool) -> Iterator[Runtime]:
    """An engine on the folder, and then its end."""
    rules = folder / "rules"
    rules.mkdir()
    (rules / "channels.yaml").write_text("channels:\n  web: {}\n")
    (rules / "engine.yaml").write_text("snapshot: {every: 1h}\n")
    disk.out = folder / "data/out"
    runtime = Runtime(folder / "data", load_rules(rules), rules, EVENT, None, sync=sync)
    yield runtime
    runtime.close()


def take(runtime: Runtime, *story: str) -> None:
    """Take movements told in short, with the commits on the way, and commit."""
    lines = [movement_line(text, number) for number, text in enumerate(story)]
    done = 0
    while done < len(lines):
        done = runtime.engine.take(runtime.engine.prepare(lines, str), done)
        runtime.commit()


STORY = ("12:00:00 receipt A@L 5", "12:00:02 sale A@L 9", "13:00:01 sale A@L 1")


def test_outputs_reach_the_disk_before_the_state_that_says_they_are_there(
    tmp_path: Path, disk: Disk
) -> None:
    """Those of a snapshot too. Otherwise an output file could be shorter than it was committed."""
    for runtime in running(tmp_path, disk, sync=True):
        before = len(disk.commits)
        take(runtime, *STORY)
        assert all(disk.commits[before:])
        assert len(disk.commits) > before + 2
        assert disk.behind == []
        assert disk.not_there_yet() == []
        assert {Path(path).name for path in disk.lengths} >= {
            "availability.web.ndjson",
            "exceptions.ndjson",
            "reconciliation.snapshots.ndjson",
        }


def test_a_commit_with_nothing_but_the_time_in_it_does_not_wait(tmp_path: Path, disk: Disk) -> None:
    """A resting engine would wear the disk out, twenty times a second."""
    for runtime in running(tmp_path, disk, sync=True):
        take(runtime, *STORY)
        before = len(disk.commits)
        runtime.commit()
        assert disk.commits[before:] == [False]


def test_without_the_option_nothing_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    """The end of a process loses nothing all the same."""
    for runtime in running(tmp_path, disk, sync=False):
        take(runtime, *STORY)
        assert not any(disk.commits)
        assert (disk.lengths, disk.folders) == ({}, set())


def test_new_folders_reach_the_disk_with_what_they_lie_in(tmp_path: Path, disk: Disk) -> None:
    """A folder that is not there after a power cut has lost everything in it."""
    for runtime in running(tmp_path, disk, sync=True):
        data = tmp_path / "data"
        assert disk.folders >= {str(tmp_path), str(data), str(data / "out")}
        assert runtime.out == data / "out"


def test_a_folder_that_cannot_be_made_lasting_is_told(tmp_path: Path) -> None:
    """With its name, and what to do."""
    with pytest.raises(StoreUnreachableError, match="nowhere"):
        make_lasting(tmp_path / "nowhere")
