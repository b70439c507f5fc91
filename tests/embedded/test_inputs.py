"""Reading lines from files: which lines, in which batches, from where."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.errors import UsageError
from engine.embedded.inputs import Inputs
from engine.embedded.inputs_lines import KEPT_LINE_BYTES, LineCutter, Segment
from tests.embedded.input_files import all_lines, lines_of, numbered, write

PACKINGS = ["", ".gz", ".zst"]


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_lines_of_a_file_are_read_in_order(tmp_path: Path, packing: str) -> None:
    """Plain or packed, whatever the size of the batches."""
    lines = numbered(100)
    path = write(tmp_path / f"in.ndjson{packing}", b"\n".join(lines) + b"\n")
    for limit in (1, 7, 100, 1_000):
        assert lines_of([path], limit=limit) == lines


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_large_file_is_read_through_many_blocks(tmp_path: Path, packing: str) -> None:
    """Lines that lie across the blocks in which a file is read are whole."""
    lines = [
        b'{"id":"%d","reason":"%s"}' % (n, os.urandom(n % 300).hex().encode()) for n in range(9_000)
    ]
    path = write(tmp_path / f"in.ndjson{packing}", b"\n".join(lines) + b"\n")
    assert lines_of([path], limit=1_000) == lines


def test_a_last_line_without_a_line_end_counts(tmp_path: Path) -> None:
    """A file need not end with a line end."""
    path = write(tmp_path / "in.ndjson", b"{1}\n{2}")
    assert lines_of([path]) == [b"{1}", b"{2}"]


def test_blank_lines_are_left_out(tmp_path: Path) -> None:
    """Empty lines and lines of white space, at the start, in the midst and at the end."""
    path = write(tmp_path / "in.ndjson", b"\n \t\n{1}\n\n\r\n{2}\n   \n{3}\n\n  ")
    assert lines_of([path]) == [b"{1}", b"{2}", b"{3}"]


def test_a_file_of_nothing_has_no_lines(tmp_path: Path) -> None:
    """Empty, or blank lines only: the input has ended and nothing is damaged."""
    empty = write(tmp_path / "empty.ndjson", b"")
    blank = write(tmp_path / "blank.ndjson", b"\n\n \n")
    inputs = Inputs([empty, blank])
    assert all_lines(inputs) == []
    assert inputs.damages == []


def test_a_byte_order_mark_at_the_start_is_left_out(tmp_path: Path) -> None:
    """At the start only; a line of nothing else is blank."""
    mark = b"\xef\xbb\xbf"
    path = write(tmp_path / "in.ndjson", mark + b"{1}\n" + mark + b"{2}\n")
    alone = write(tmp_path / "alone.ndjson", mark + b"\n{3}\n")
    assert lines_of([path, alone]) == [b"{1}", mark + b"{2}", b"{3}"]


@pytest.mark.parametrize("last", [b"", b"{3}", b"{3}\r"])
def test_carriage_returns_before_line_ends_are_taken_off(tmp_path: Path, last: bytes) -> None:
    """A file from Windows, and one that mixes both kinds of line ends."""
    windows = write(tmp_path / "windows.ndjson", b"{1}\r\n{2}\r\n" + last)
    mixed = write(tmp_path / "mixed.ndjson", b"{1}\r\n{2}\n" + last)
    expected = [b"{1}", b"{2}", *([b"{3}"] if last else [])]
    assert lines_of([windows]) == expected
    assert lines_of([mixed]) == expected


def test_a_carriage_return_inside_a_line_stays(tmp_path: Path) -> None:
    """Only the one right before the line end belongs to the line end."""
    path = write(tmp_path / "in.ndjson", b"{1\r1}\r\n{2}\n")
    assert lines_of([path]) == [b"{1\r1}", b"{2}"]


def test_bytes_that_are_no_text_go_through(tmp_path: Path) -> None:
    """Whatever stands in a line is judged later, not here."""
    line = bytes(byte for byte in range(33, 256))
    path = write(tmp_path / "in.ndjson", line + b"\n\x00\n")
    assert lines_of([path]) == [line, b"\x00"]


def test_a_long_line_is_delivered_whole(tmp_path: Path) -> None:
    """Far longer than a movement may be, so that it can be recorded as too long."""
    line = b"x" * (3 * 1024 * 1024 + 17)
    path = write(tmp_path / "in.ndjson", b"{1}\n" + line + b"\n{2}\n")
    assert lines_of([path]) == [b"{1}", line, b"{2}"]


@pytest.mark.parametrize("packing", PACKINGS)
def test_of_an_endless_line_the_first_16_mib_are_kept(tmp_path: Path, packing: str) -> None:
    """The rest is skipped, and the places of the lines after it are right."""
    data = b"{1}\n" + b"x" * (KEPT_LINE_BYTES + 5_000_000) + b"\n{2}\n{3}\n"
    path = write(tmp_path / f"in.ndjson{packing}", data)
    with Inputs([path]) as inputs:
        batch = inputs.read(3)
        while batch is not None and b"{2}" not in batch.lines:
            batch = inputs.read(3)
        assert batch is not None
        after = batch.lines.index(b"{2}") + 1
        positions = batch.positions(after)
        assert batch.origin(after - 1) == f"{path}:3"
    assert positions[path].offset == data.index(b"{3}")
    assert lines_of([path], positions) == [b"{3}"]
    lines = lines_of([path])
    assert [len(line) for line in lines] == [3, KEPT_LINE_BYTES, 3, 3]


def test_several_inputs_are_read_one_after_the_other(tmp_path: Path) -> None:
    """In the order in which they were given; a batch may hold lines of several."""
    paths = [
        write(tmp_path / name, b"\n".join(numbered(5, name)))
        for name in ("b.ndjson", "a.ndjson.gz", "c.ndjson.zst")
    ]
    expected = [*numbered(5, "b.ndjson"), *numbered(5, "a.ndjson.gz"), *numbered(5, "c.ndjson.zst")]
    assert lines_of(paths, limit=4) == expected
    assert lines_of(paths, limit=100) == expected


def test_the_origin_of_a_line_is_its_input_and_its_physical_line(tmp_path: Path) -> None:
    """Counted from 1, blank lines counted, in the input as it was given."""
    first = write(tmp_path / "a.ndjson", b"{1}\n\n\n{2}\n")
    second = write(tmp_path / "b.ndjson", b"{3}\n{4}\n")
    with Inputs([first, second]) as inputs:
        batch = inputs.read(10)
        assert batch is not None
        origins = [batch.origin(index) for index in range(len(batch.lines))]
        with pytest.raises(IndexError):
            batch.origin(4)
    assert origins == [f"{first}:1", f"{first}:4", f"{second}:1", f"{second}:2"]


def test_the_end_is_known_with_the_last_line(tmp_path: Path) -> None:
    """`ended` is set by the read that gives the last line, not by one after it."""
    path = write(tmp_path / "in.ndjson", b"{1}\n{2}\n")
    with Inputs([path]) as inputs:
        ended = []
        for _ in range(2):
            batch = inputs.read(1)
            assert batch is not None
            ended.append(inputs.ended)
        assert ended == [False, True]
        assert inputs.read(1) is None


def test_no_inputs_have_ended_at_once() -> None:
    """A run without inputs has nothing to read."""
    inputs = Inputs([])
    assert inputs.ended
    assert inputs.read(10) is None


@pytest.mark.parametrize("packing", PACKINGS)
def test_progress_counts_bytes_as_stored(tmp_path: Path, packing: str) -> None:
    """From nothing to the size of the files on the disk, packed ones included."""
    paths = [
        write(tmp_path / f"{name}.ndjson{packing}", b"\n".join(numbered(1_000))) for name in "ab"
    ]
    size = sum(Path(path).stat().st_size for path in paths)
    with Inputs(paths) as inputs:
        assert inputs.progress() == (0, size)
        inputs.read(1_500)
        assert 0 < inputs.progress()[0] <= size
        inputs.read(1_500)
        assert inputs.ended
        assert inputs.progress() == (size, size)


# --- wrong calls -------------------------------------------------------------------------------


def test_a_missing_file_is_told_before_anything_starts(tmp_path: Path) -> None:
    """The name is told, and what to do."""
    there = write(tmp_path / "in.ndjson", b"{1}\n")
    with pytest.raises(UsageError, match=r"no input file .*missing\.ndjson") as caught:
        Inputs([there, str(tmp_path / "missing.ndjson")])
    assert caught.value.advice


def test_a_folder_is_no_input(tmp_path: Path) -> None:
    """A folder is refused with advice to name its files."""
    with pytest.raises(UsageError, match="is a folder") as caught:
        Inputs([str(tmp_path)])
    assert "one by one" in caught.value.advice


def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to read it the call is wrong."""
    path = write(tmp_path / "in.ndjson", b"{1}\n")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="may not be read"):
        Inputs([path])


def test_an_input_given_twice_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is written in two ways."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "in.ndjson", b"{1}\n")
    for again in (path, "in.ndjson", "./in.ndjson", f"../{tmp_path.name}/in.ndjson"):
        with pytest.raises(UsageError, match="given twice"):
            Inputs([path, again])
    with pytest.raises(UsageError, match="- was given twice"):
        Inputs(["-", "-"])


@pytest.mark.parametrize("name", ["in.ndjson.bz2", "in.csv.xz", "movements.zip"])
def test_another_packing_is_told(tmp_path: Path, name: str) -> None:
    """Rather than refusing every line of it as malformed."""
    with pytest.raises(UsageError, match="not read") as caught:
        Inputs([write(tmp_path / name, b"")])
    assert "gzip" in caught.value.advice


def test_a_file_that_vanishes_before_its_turn_is_noted(tmp_path: Path) -> None:
    """The inputs after it are read all the same."""
    first = write(tmp_path / "a.ndjson", b"{1}\n")
    second = write(tmp_path / "b.ndjson", b"{2}\n")
    inputs = Inputs([first, second])
    Path(first).unlink()
    assert all_lines(inputs) == [b"{2}"]
    assert [(damage.path, damage.offset) for damage in inputs.damages] == [(first, 0)]
    assert "No such file" in inputs.damages[0].message


# --- cutting -----------------------------------------------------------------------------------

PIECES = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b" ", b"\t\n", b"{a}", b"{bb}\n", b"\xef\xbb\xbf", b"\xc3", b"!"]
    ),
    max_size=30,
)


def reference_lines(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return (line, physical number, offset after it) as one would by hand."""
    found = []
    offset = 0
    for number, raw in enumerate(data.split(b"\n"), 1):
        end = min(len(data), offset + len(raw) + 1)
        line = raw.removeprefix(b"\xef\xbb\xbf") if offset == 0 else raw
        if line.strip():
            found.append((line.removesuffix(b"\r"), number, end))
        offset = end
    return found


@settings(max_examples=400)
@given(pieces=PIECES, cuts=st.lists(st.integers(0, 80), max_size=6))
def test_lines_and_their_places_do_not_depend_on_how_the_bytes_come(
    pieces: list[bytes], cuts: list[int]
) -> None:
    """Cut anywhere into reads, the same lines come with the same numbers and places."""
    data = b"".join(pieces)
    cutter = LineCutter()
    segments: list[Segment | None] = []
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        if start < end:
            segments.append(cutter.feed(data[start:end]))
    segments.append(cutter.finish())
    found = []
    for segment in segments:
        if segment is None:
            continue
        offsets = segment.offsets()
        for index, line in enumerate(segment.lines):
            found.append((line, segment.line_number(index), offsets[index]))
            if index + 1 < len(segment.lines):
                assert segment.place(index + 1)[0] == offsets[index]
        assert segment.place(0) == (segment.offset, segment.line)
        assert segment.place(len(segment.lines)) == segment.end
    assert found == reference_lines(data)
    assert cutter.place[0] == len(data)
    assert cutter.unfinished_bytes == 0
