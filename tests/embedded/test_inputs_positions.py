"""Going on where reading was left: after a kill, and after the end."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.embedded.inputs import Inputs, Position
from tests.embedded.input_files import (
    all_lines,
    lines_of,
    numbered,
    packed,
    read_some,
    read_whole,
    write,
)

PACKINGS = ["", ".gz", ".zst"]


@pytest.mark.parametrize("packing", PACKINGS)
@settings(max_examples=25)
@given(
    pieces=st.lists(
        st.sampled_from([b"\n", b"\r\n", b" \n", b"{a}\n", b"{bb}\r\n", b"{ccc}"]), max_size=12
    ),
    limit=st.integers(1, 5),
)
def test_reading_goes_on_exactly_after_every_line(
    packing: str, pieces: list[bytes], limit: int
) -> None:
    """For every number of lines taken before, the rest is what was not taken, in two files."""
    with tempfile.TemporaryDirectory() as folder:
        data = b"".join(pieces)
        paths = [
            write(Path(folder) / f"a.ndjson{packing}", data),
            write(Path(folder) / f"b.ndjson{packing}", data[::-1]),
        ]
        lines = lines_of(paths)
        for count in range(len(lines) + 1):
            saved = read_some(paths, count, limit)
            assert lines_of(paths, saved) == lines[count:]


@pytest.mark.parametrize("packing", PACKINGS)
def test_going_on_far_into_a_large_file(tmp_path: Path, packing: str) -> None:
    """Beyond the bytes by which a file is known again, and with the right line numbers."""
    lines = numbered(20_000)
    path = write(tmp_path / f"in.ndjson{packing}", b"\n".join(lines))
    for count in (100, 4_000, 19_999):
        saved = read_some([path], count, limit=1_500)
        with Inputs([path], saved=saved) as inputs:
            batch = inputs.read(1)
            assert batch is not None
            assert batch.lines == [lines[count]]
            assert batch.origin(0) == f"{path}:{count + 1}"


def test_a_position_can_be_kept_as_bytes(tmp_path: Path) -> None:
    """Positions are written with the state, and read again by the next run."""
    path = write(tmp_path / "in.ndjson", b"{1}\n{2}\n")
    saved = read_some([path], 1)
    kept = msgspec.msgpack.encode(saved)
    assert lines_of([path], msgspec.msgpack.decode(kept, type=dict[str, Position])) == [b"{2}"]


def test_a_position_belongs_to_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run from another folder knows the file again."""
    path = write(tmp_path / "in.ndjson", b"{1}\n{2}\n")
    monkeypatch.chdir(tmp_path)
    saved = read_some(["in.ndjson"], 1)
    assert list(saved) == [path]
    monkeypatch.chdir(tmp_path.parent)
    assert lines_of([path], saved) == [b"{2}"]


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_is_appended_after_the_end_is_read_by_the_next_run(
    tmp_path: Path, packing: str
) -> None:
    """A file that was read to its end and has grown gives what is new."""
    path = tmp_path / f"in.ndjson{packing}"
    write(path, b"{1}\n{2}\n")
    saved = read_whole([str(path)])
    assert saved[str(path)].completed
    assert lines_of([str(path)], saved) == []
    with path.open("ab") as file:
        file.write(packed(path, b"{3}\n"))
    assert lines_of([str(path)], saved) == [b"{3}"]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_read_to_its_end_stays_complete(tmp_path: Path, packing: str) -> None:
    """Runs that find nothing new keep the position, also where the end was found by the last."""
    path = write(tmp_path / f"in.ndjson{packing}", b"{1}\n{2}\n\n")
    saved = read_whole([path])
    inputs = Inputs([path], saved=saved)
    assert all_lines(inputs) == []
    assert inputs.positions() == saved
    assert saved[path].completed
    assert saved[path].line == 3


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_another_file_under_the_same_name_is_read_from_its_start(
    tmp_path: Path, packing: str, taken: int
) -> None:
    """Its first bytes are not those that were read: it is a new file."""
    path = write(tmp_path / f"in.ndjson{packing}", b"{1}\n{2}\n{3}\n")
    saved = read_some([path], taken)
    write(Path(path), b"{8}\n{9}\n{3}\n{4}\n")
    assert lines_of([path], saved) == [b"{8}", b"{9}", b"{3}", b"{4}"]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("left", [0, 5, 9_000])
def test_a_file_that_is_shorter_now_is_read_from_its_start(
    tmp_path: Path, packing: str, left: int
) -> None:
    """Less is there than was read: somebody has written it anew."""
    lines = numbered(10_000)
    path = write(tmp_path / f"in.ndjson{packing}", b"\n".join(lines) + b"\n")
    saved = read_some([path], 9_500, limit=1_000)
    write(Path(path), b"\n".join(lines[:left]) + b"\n")
    assert lines_of([path], saved, limit=1_000) == lines[:left]


def test_positions_tell_only_the_inputs_that_moved(tmp_path: Path) -> None:
    """A batch tells its own inputs, and those that ended before it."""
    paths = [
        write(tmp_path / name, data)
        for name, data in [("a", b"{1}\n"), ("b", b"\n"), ("c", b"{2}\n{3}\n"), ("d", b"{4}\n")]
    ]
    with Inputs(paths) as inputs:
        first = inputs.read(1)
        assert first is not None
        assert list(first.positions(0)) == []
        assert list(first.positions(1)) == [paths[0]]
        assert first.positions(1)[paths[0]].completed
        second = inputs.read(1)
        assert second is not None
        assert sorted(second.positions(1)) == [paths[0], paths[2]]
        assert not second.positions(1)[paths[2]].completed
        everything = inputs.positions()
        assert [everything[path].line for path in paths] == [1, 1, 1, 0]
        assert [everything[path].completed for path in paths] == [True, True, False, False]
        third = inputs.read(1)
        assert third is not None
        assert sorted(third.positions(1)) == paths[1:3]


def test_a_position_in_the_midst_of_a_batch_is_that_of_the_line(tmp_path: Path) -> None:
    """A batch may be committed in parts."""
    path = write(tmp_path / "in.ndjson", b"{1}\n\n{22}\n{333}\n")
    with Inputs([path]) as inputs:
        batch = inputs.read(10)
        assert batch is not None
        places = [batch.positions(count).get(path) for count in range(4)]
    assert places[0] is None
    assert [(place.offset, place.line) for place in places if place is not None] == [
        (4, 1),
        (10, 3),
        (16, 4),
    ]
    assert [place.completed for place in places if place is not None] == [False, False, True]
