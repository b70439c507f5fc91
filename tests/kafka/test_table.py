"""The local copy of a table: what waits in memory is read as what is on disk, and lost together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.kafka.table import RECORDS_WAITING, LocalTable


def killed(table: LocalTable, folder: Path) -> LocalTable:
    """The table as the next process finds it when this one is killed: nothing more is written."""
    copy = folder.parent / f"{folder.name}-after"
    shutil.copytree(folder, copy)
    return LocalTable(copy)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a table is."""
    return tmp_path / "table"


def test_what_waits_is_read_as_what_was_written(folder: Path) -> None:
    """Also where a record on disk was dropped or written over since."""
    table = LocalTable(folder)
    table.apply({b"Ka": b"1", b"Kb": b"1", b"S": b"1"}, 3, 1, "life")
    table.flush()
    table.apply({b"Ka": None, b"Kb": b"2", b"Kc": b"3"}, 6, 2, "life")
    assert [table.get(key) for key in (b"Ka", b"Kb", b"Kc", b"S")] == [None, b"2", b"3", b"1"]
    assert list(table.scan(b"S")) == [(b"S", b"1")]
    assert list(table.scan(b"K")) == [(b"Kb", b"2"), (b"Kc", b"3")]
    table.close()


def test_a_kill_loses_what_waits_together_with_how_far_it_went(folder: Path) -> None:
    """So that what the disk has is the changelog up to where it says, and the rest is read anew."""
    table = LocalTable(folder)
    table.apply({b"Ka": b"1"}, 5, 10, "life")
    table.flush()
    table.apply({b"Ka": b"2", b"Kb": b"2"}, 9, 20, "life")
    after = killed(table, folder)
    assert (after.position.next_offset, after.position.at) == (5, 10)
    assert list(after.scan(b"K")) == [(b"Ka", b"1")]
    table.close()


def test_so_many_records_are_written_without_being_asked(folder: Path) -> None:
    """What a kill takes away stays small."""
    table = LocalTable(folder)
    for number in range(RECORDS_WAITING):
        table.apply({b"K%08d" % number: b"1"}, number + 1, number, "life")
    assert killed(table, folder).position.next_offset == RECORDS_WAITING
    table.close()


def test_a_table_that_was_closed_has_everything(folder: Path) -> None:
    """A stop in good order leaves nothing to read again."""
    table = LocalTable(folder)
    table.apply({b"Ka": b"1"}, 5, 10, "life")
    table.close()
    table.close()
    again = LocalTable(folder)
    assert (again.position.next_offset, again.position.life) == (5, "life")
    assert again.get(b"Ka") == b"1"
    again.close()


def test_a_wiped_table_is_empty_and_follows_the_changelog_from_its_start(folder: Path) -> None:
    """What waits is gone as well."""
    table = LocalTable(folder)
    table.apply({b"Ka": b"1"}, 5, 10, "life")
    table.flush()
    table.apply({b"Kb": b"1"}, 6, 10, "life")
    table.wipe()
    assert list(table.scan(b"")) == []
    assert table.position.next_offset == 0
    table.close()
