"""The files that the engine writes, and what becomes of them when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contracts.errors import SellableError, UsageError
from engine.embedded.outputs import (
    OutputDamagedError,
    OutputFiles,
    OutputFullError,
    OutputInUseError,
)

DECISIONS = "reservations.decisions"
AMAZON = "availability.amazon-us"


def test_what_is_written_is_in_the_topics_file_after_the_flush(tmp_path: Path) -> None:
    """One file per topic, appended to in the order of writing; nothing before the flush."""
    with OutputFiles(tmp_path / "out", None) as files:
        files.write(DECISIONS, b"{1}\n")
        files.write(AMAZON, b"{2}\n")
        files.write(DECISIONS, b"{3}\n")
        unwritten = [files.unwritten]
        assert list((tmp_path / "out").iterdir()) == []
        assert files.lengths() == {}
        files.flush()
        unwritten.append(files.unwritten)
        assert unwritten == [True, False]
        assert files.lengths() == {DECISIONS: 8, AMAZON: 4}
        files.write(DECISIONS, b"{4}\n")
        files.flush(sync=True)
    assert (tmp_path / "out" / "reservations.decisions.ndjson").read_bytes() == b"{1}\n{3}\n{4}\n"
    assert (tmp_path / "out" / "availability.amazon-us.ndjson").read_bytes() == b"{2}\n"


def test_a_topic_to_which_nothing_is_written_has_no_file(tmp_path: Path) -> None:
    """Not even when nothing is written with some ceremony."""
    with OutputFiles(tmp_path, {}) as files:
        files.write(DECISIONS, b"")
        files.flush(sync=True)
        assert files.lengths() == {}
        assert files.path(DECISIONS) == tmp_path / "reservations.decisions.ndjson"
    assert list(tmp_path.iterdir()) == []


def test_what_lies_beyond_the_committed_lengths_is_cut_off(tmp_path: Path) -> None:
    """A killed run left more than it committed: in one file, and one it had just begun."""
    (tmp_path / "reservations.decisions.ndjson").write_bytes(b"{1}\n{2}\n{3")
    (tmp_path / "availability.amazon-us.ndjson").write_bytes(b"{9}\n")
    (tmp_path / "erp.postings.ndjson").write_bytes(b"{5}\n")
    with OutputFiles(tmp_path, {DECISIONS: 4, "erp.postings": 4}) as files:
        assert files.set_aside == []
        assert files.lengths() == {DECISIONS: 4, "erp.postings": 4}
        files.write(DECISIONS, b"{2b}\n")
        files.write(AMAZON, b"{9b}\n")
        files.flush()
    assert (tmp_path / "reservations.decisions.ndjson").read_bytes() == b"{1}\n{2b}\n"
    assert (tmp_path / "availability.amazon-us.ndjson").read_bytes() == b"{9b}\n"
    assert (tmp_path / "erp.postings.ndjson").read_bytes() == b"{5}\n"


@pytest.mark.parametrize("found", [None, b"", b"{1}"])
def test_a_file_shorter_than_its_committed_length_is_told(
    tmp_path: Path, found: bytes | None
) -> None:
    """Somebody has cut or removed it: the engine does not write on as if nothing were missing."""
    path = tmp_path / "reservations.decisions.ndjson"
    if found is not None:
        path.write_bytes(found)
    with pytest.raises(OutputDamagedError, match="8 bytes of it were committed") as caught:
        OutputFiles(tmp_path, {DECISIONS: 8})
    assert "--out" in caught.value.advice


def test_files_of_somebody_else_are_set_aside(tmp_path: Path) -> None:
    """In a folder never written to before, files with our names are kept under other names."""
    (tmp_path / "exceptions.ndjson").write_bytes(b"theirs\n")
    (tmp_path / "exceptions.ndjson.1").write_bytes(b"older\n")
    (tmp_path / "availability.web.ndjson").write_bytes(b"")
    with OutputFiles(tmp_path, None) as files:
        files.write("exceptions", b"{1}\n")
        files.flush()
        assert [(old.name, new.name) for old, new in files.set_aside] == [
            ("availability.web.ndjson", "availability.web.ndjson.1"),
            ("exceptions.ndjson", "exceptions.ndjson.2"),
        ]
    assert (tmp_path / "exceptions.ndjson").read_bytes() == b"{1}\n"
    assert (tmp_path / "exceptions.ndjson.1").read_bytes() == b"older\n"
    assert (tmp_path / "exceptions.ndjson.2").read_bytes() == b"theirs\n"


@pytest.mark.parametrize("committed", [None, {}])
def test_no_other_file_is_touched(tmp_path: Path, committed: dict[str, int] | None) -> None:
    """Movements, notes, folders and files that only look alike stay as they are."""
    names = [
        "movements.ndjson",
        "availability.ndjson",
        "notes.txt",
        "exceptions.json",
        "exceptions.ndjson.1",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"theirs\n")
    (tmp_path / "erp.postings.ndjson").mkdir()
    with OutputFiles(tmp_path, committed) as files:
        assert files.set_aside == []
    for name in names:
        assert (tmp_path / name).read_bytes() == b"theirs\n"
    assert (tmp_path / "erp.postings.ndjson").is_dir()


def test_two_engines_do_not_write_to_one_folder(tmp_path: Path) -> None:
    """The second is told before it touches a file, and may write when the first has ended."""
    first = OutputFiles(tmp_path, None)
    first.write("exceptions", b"{1}\n")
    first.flush()
    with pytest.raises(OutputInUseError, match="another engine writes"):
        OutputFiles(tmp_path, None)
    assert (tmp_path / "exceptions.ndjson").read_bytes() == b"{1}\n"
    first.close()
    first.close()
    OutputFiles(tmp_path, {"exceptions": 4}).close()


def test_a_file_that_somebody_else_has_changed_is_told(tmp_path: Path) -> None:
    """Between the start and the first write to it."""
    (tmp_path / "exceptions.ndjson").write_bytes(b"{1}\n")
    with OutputFiles(tmp_path, {"exceptions": 4}) as files:
        with (tmp_path / "exceptions.ndjson").open("ab") as theirs:
            theirs.write(b"theirs\n")
        files.write("exceptions", b"{2}\n")
        with pytest.raises(OutputDamagedError, match="holds 11 bytes"):
            files.flush()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in its place, say."""
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UsageError, match="output folder") as caught:
        OutputFiles(tmp_path / "out", None)
    assert "--out" in caught.value.advice


@pytest.mark.parametrize(
    "topic", ["availability.../../x", "availability.a/b", "availability.a\0b", ".hidden", "a\nb"]
)
def test_a_name_that_would_leave_the_folder_is_never_used(tmp_path: Path, topic: str) -> None:
    """Channel names are checked with the rules; here it is an assertion."""
    with OutputFiles(tmp_path, {}) as files:
        files.write(topic, b"{1}\n")
        with pytest.raises(AssertionError):
            files.flush()


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it was given."""
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:3]))
    with OutputFiles(tmp_path, {}) as files:
        files.write("exceptions", b"{12345678}\n")
        files.flush()
        assert files.lengths() == {"exceptions": 11}
    assert (tmp_path / "exceptions.ndjson").read_bytes() == b"{12345678}\n"


def test_a_full_disk_is_told_and_the_next_start_mends_what_was_half_written(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk."""
    code = """
import resource, sys
from pathlib import Path
from engine.embedded.outputs import OutputFiles, OutputFullError
files = OutputFiles(Path(sys.argv[1]), None)
files.write("exceptions", b"{1}\\n")
files.flush()
print(files.lengths())
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
files.write("exceptions", b"x" * 5000)
try:
    files.flush()
except OutputFullError as error:
    print(error.advice, files.lengths())
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.count("{'exceptions': 4}") == 2
    assert "goes on at the last commit" in told.stdout
    assert (tmp_path / "exceptions.ndjson").stat().st_size == 1000
    OutputFiles(tmp_path, {"exceptions": 4}).close()
    assert (tmp_path / "exceptions.ndjson").read_bytes() == b"{1}\n"


@pytest.mark.parametrize("code", [28, 122])
def test_no_space_and_no_quota_are_the_same_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """ENOSPC and EDQUOT: the file is named."""

    def refuse(file: int, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    with OutputFiles(tmp_path, {}) as files:
        files.write("exceptions", b"{1}\n")
        monkeypatch.setattr(os, "write", refuse)
        with pytest.raises(OutputFullError, match=r"exceptions\.ndjson"):
            files.flush()


def test_what_cannot_be_cut_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has gone bad, say: the file is named, and what to do."""
    (tmp_path / "exceptions.ndjson").write_bytes(b"{1}\n{2")

    def refuse(path: Path, length: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "truncate", refuse)
    with pytest.raises(SellableError, match=r"exceptions\.ndjson.*Input/output") as caught:
        OutputFiles(tmp_path, {"exceptions": 4})
    assert "start again" in caught.value.advice
