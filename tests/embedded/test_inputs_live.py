"""Reading what is still being written: standard input, pipes, files that grow."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.errors import UsageError
from engine.embedded.inputs import Inputs, Position
from engine.embedded.inputs_lines import KEPT_LINE_BYTES
from tests.embedded.input_files import all_lines, numbered, write

LONG_SECONDS = 30.0  # never waited for: something comes before


class Pipe:
    """Standard input, and what writes to it."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._write_end, data) :]

    def send_all(self, data: bytes) -> None:
        self.send(data)
        self.end()

    def end(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def close(self) -> None:
        self.end()
        os.close(self.read_end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def taken(inputs: Inputs, limit: int = 100, wait_seconds: float = 0.0) -> list[bytes]:
    batch = inputs.read(limit, wait_seconds)
    return [] if batch is None else batch.lines


def test_standard_input_gives_what_is_there_without_waiting_for_more(pipe: Pipe) -> None:
    """Lines come as they were written; a full batch is not waited for."""
    inputs = Inputs(["-"], stdin=pipe.read_end)
    assert taken(inputs) == []
    pipe.send(b"{1}\n{2}\n")
    assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{1}", b"{2}"]
    assert taken(inputs) == []
    assert not inputs.ended


def test_half_a_line_waits_for_its_other_half(pipe: Pipe) -> None:
    """Until its line end has come, or the input ends."""
    inputs = Inputs(["-"], stdin=pipe.read_end)
    pipe.send(b'{"id"')
    assert taken(inputs) == []
    pipe.send(b":1}\n{2")
    assert taken(inputs) == [b'{"id":1}']
    pipe.send(b"}")
    pipe.end()
    assert taken(inputs) == [b"{2}"]
    assert inputs.ended


def test_waiting_ends_as_soon_as_a_line_comes(pipe: Pipe) -> None:
    """A reader that waits is woken by a line, not by half of one."""
    inputs = Inputs(["-"], stdin=pipe.read_end)

    def write() -> None:
        pipe.send(b"{1")
        pipe.send(b"}\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{1}"]
    writer.join()


def test_waiting_ends_when_the_input_ends(pipe: Pipe) -> None:
    """The end of the last input is nothing to wait beyond."""
    inputs = Inputs(["-"], stdin=pipe.read_end)
    ender = threading.Thread(target=pipe.end)
    ender.start()
    assert taken(inputs, wait_seconds=LONG_SECONDS) == []
    ender.join()
    assert inputs.ended
    assert inputs.positions()["-"].completed


def test_waiting_has_an_end(pipe: Pipe) -> None:
    """When nothing comes, the answer is None after the time given."""
    inputs = Inputs(["-"], stdin=pipe.read_end)
    assert inputs.read(10, 0.01) is None
    assert not inputs.ended


def test_more_than_a_pipe_holds_comes_through(pipe: Pipe) -> None:
    """A writer that is faster than the reader."""
    lines = numbered(20_000)
    writer = threading.Thread(target=pipe.send_all, args=(b"\n".join(lines),))
    writer.start()
    inputs = Inputs(["-"], stdin=pipe.read_end)
    found: list[bytes] = []
    while not inputs.ended:
        found += taken(inputs, 700, LONG_SECONDS)
    writer.join()
    assert found == lines


def test_of_an_endless_line_in_a_pipe_the_first_16_mib_are_kept(pipe: Pipe) -> None:
    """Though it comes in small pieces, and with little memory."""
    data = b"x" * (KEPT_LINE_BYTES + 1_000_000) + b"\n{2}\n"
    writer = threading.Thread(target=pipe.send_all, args=(data,))
    writer.start()
    inputs = Inputs(["-"], stdin=pipe.read_end)
    found: list[bytes] = []
    while not inputs.ended:
        found += taken(inputs, 10, LONG_SECONDS)
    writer.join()
    assert [len(line) for line in found] == [KEPT_LINE_BYTES, 3]


def test_standard_input_that_is_closed_is_told(pipe: Pipe) -> None:
    """A command without standard input cannot read it."""
    closed = os.dup(pipe.read_end)
    os.close(closed)
    with pytest.raises(UsageError, match="standard input is closed"):
        Inputs(["-"], stdin=closed)


def test_standard_input_is_left_open(pipe: Pipe) -> None:
    """It is not ours to close."""
    pipe.end()
    inputs = Inputs(["-"], stdin=pipe.read_end)
    assert all_lines(inputs) == []
    assert os.read(pipe.read_end, 1) == b""


def test_the_size_of_standard_input_is_not_known(pipe: Pipe) -> None:
    """Progress counts bytes, without a total."""
    inputs = Inputs(["-"], stdin=pipe.read_end)
    pipe.send(b"{1}\n")
    assert taken(inputs) == [b"{1}"]
    assert inputs.progress() == (4, None)


# --- going on in a pipe ------------------------------------------------------------------------


def read_from_pipe(
    data: bytes, saved: dict[str, Position] | None, count: int | None = None
) -> tuple[list[bytes], dict[str, Position], Inputs]:
    """Read `count` lines of a new pipe that brings the data, or all of it."""
    pipe = Pipe()
    pipe.send(data)
    inputs = Inputs(["-"], saved=saved, stdin=pipe.read_end)
    if count is None:
        pipe.end()
        lines: list[bytes] = []
        while not inputs.ended:
            lines += taken(inputs)
        positions = inputs.positions()
    else:
        batch = inputs.read(count)
        lines = [] if batch is None else batch.lines
        positions = {} if batch is None else batch.positions(len(lines))
    inputs.close()
    pipe.close()
    return lines, positions, inputs


@settings(max_examples=50)
@given(
    pieces=st.lists(st.sampled_from([b"\n", b"{a}\n", b"{bb}\r\n", b"{ccc}\n"]), max_size=10),
    count=st.integers(1, 10),
)
def test_the_same_pipe_content_goes_on_where_a_killed_run_was(
    pieces: list[bytes], count: int
) -> None:
    """The end had not been reached, and the content begins as it did: what was taken is skipped."""
    data = b"".join(pieces)
    before, saved, _ = read_from_pipe(data, None, count)
    after, _, _ = read_from_pipe(data, saved)
    whole, _, _ = read_from_pipe(data, None)
    assert before + after == whole


def test_a_pipe_whose_end_was_reached_is_new_the_next_time() -> None:
    """The same content again is given again: duplicates are told by their identity."""
    _, saved, _ = read_from_pipe(b"{1}\n{2}\n", None)
    assert saved["-"].completed
    lines, _, _ = read_from_pipe(b"{1}\n{2}\n", saved)
    assert lines == [b"{1}", b"{2}"]


def test_other_pipe_content_is_read_from_its_start() -> None:
    """Also where less comes than had been taken before."""
    _, saved, _ = read_from_pipe(b"{1}\n{2}\n{3}\n", None, 2)
    assert read_from_pipe(b"{8}\n{9}\n", saved)[0] == [b"{8}", b"{9}"]
    assert read_from_pipe(b"{8}\n", saved)[0] == [b"{8}"]
    assert read_from_pipe(b"", saved)[0] == []


def test_a_pipe_that_ends_before_the_old_place_is_noted() -> None:
    """What it began with was taken before; that the rest is missing is not passed over."""
    data = b"\n".join(numbered(5_000))
    pipe = Pipe()
    writer = threading.Thread(target=pipe.send_all, args=(data,))
    writer.start()
    with Inputs(["-"], stdin=pipe.read_end) as inputs:
        saved: dict[str, Position] = {}
        while saved.get("-", Position()).line < 4_500:
            batch = inputs.read(500, LONG_SECONDS)
            assert batch is not None
            saved = batch.positions(len(batch.lines))
        while not inputs.ended:
            inputs.read(500, LONG_SECONDS)
    writer.join()
    pipe.close()
    short = Pipe()
    short_data = data[: saved["-"].offset - 1_000]
    writer = threading.Thread(target=short.send_all, args=(short_data,))
    writer.start()
    again = Inputs(["-"], saved=saved, stdin=short.read_end)
    while not again.ended:
        assert taken(again, wait_seconds=LONG_SECONDS) == []
    writer.join()
    short.close()
    assert "before the place" in again.damages[0].message
    assert again.positions() == saved


def test_standard_input_from_a_file_goes_on_like_a_pipe(tmp_path: Path) -> None:
    """`< file` after a kill goes on; after its end it is new."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"{1}\n{2}\n{3}\n")
    with path.open("rb") as file, Inputs(["-"], stdin=file.fileno()) as inputs:
        batch = inputs.read(1)
        assert batch is not None
        saved = batch.positions(1)
    with path.open("rb") as file:
        again = Inputs(["-"], saved=saved, stdin=file.fileno())
        assert all_lines(again) == [b"{2}", b"{3}"]
    with path.open("rb") as file:
        assert len(all_lines(Inputs(["-"], saved=again.positions(), stdin=file.fileno()))) == 3


# --- named pipes and growing files -------------------------------------------------------------


def test_a_named_pipe_waits_for_its_writer(tmp_path: Path) -> None:
    """Before anybody writes, nothing comes and nothing has ended."""
    path = tmp_path / "movements"
    os.mkfifo(path)
    inputs = Inputs([str(path)])
    assert taken(inputs) == []
    assert not inputs.ended
    with path.open("wb", buffering=0) as writer:
        writer.write(b"{1}\n")
        assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{1}"]
    assert taken(inputs, wait_seconds=LONG_SECONDS) == []
    assert inputs.ended


def test_a_packed_pipe_gives_what_was_flushed(tmp_path: Path) -> None:
    """Lines of a gzip stream that is still being written."""
    path = tmp_path / "movements.gz"
    os.mkfifo(path)
    inputs = Inputs([str(path)])
    assert taken(inputs) == []
    with path.open("wb", buffering=0) as raw, gzip.open(raw, "wb") as writer:
        writer.write(b"{1}\n")
        writer.flush()
        assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{1}"]
    assert taken(inputs, wait_seconds=LONG_SECONDS) == []
    assert inputs.ended
    assert inputs.damages == []


def test_a_followed_file_does_not_end(tmp_path: Path) -> None:
    """What is appended is read; a line without its end waits for it."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"{1}\n{2")
    inputs = Inputs([str(path)], follow=True)
    assert taken(inputs) == [b"{1}"]
    assert taken(inputs) == []
    assert not inputs.ended
    with path.open("ab") as file:
        file.write(b"2}\n{3}\n")
    assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{22}", b"{3}"]
    assert inputs.positions()[str(path)].offset == 13
    assert not inputs.positions()[str(path)].completed
    inputs.close()


def test_a_followed_file_that_is_packed_grows_by_members(tmp_path: Path) -> None:
    """Each night's member is appended to one file."""
    path = tmp_path / "in.ndjson.gz"
    path.write_bytes(gzip.compress(b"{1}\n"))
    inputs = Inputs([str(path)], follow=True)
    assert taken(inputs) == [b"{1}"]
    with path.open("ab") as file:
        file.write(gzip.compress(b"{2}\n"))
    assert taken(inputs) == [b"{2}"]
    inputs.close()


@pytest.mark.parametrize("how", ["renamed", "cut"])
def test_a_followed_file_that_is_replaced_is_read_from_its_start(tmp_path: Path, how: str) -> None:
    """As logs are turned over: by a new file of the name, or by cutting the old one."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"{1}\n{2}\n{last")
    inputs = Inputs([str(path)], follow=True)
    assert taken(inputs) == [b"{1}", b"{2}"]
    if how == "renamed":
        path.rename(tmp_path / "in.ndjson.1")
    path.write_bytes(b"{3}\n")
    assert taken(inputs) == [b"{last", b"{3}"]
    assert inputs.positions()[str(path)].offset == 4
    inputs.close()
    assert taken(Inputs([str(path)], saved=inputs.positions())) == []


def test_a_followed_packed_file_that_is_replaced_in_its_midst_is_noted(tmp_path: Path) -> None:
    """The rest of the old file is gone; that is told."""
    path = tmp_path / "in.ndjson.gz"
    path.write_bytes(gzip.compress(b"{1}\n")[:-4])
    inputs = Inputs([str(path)], follow=True)
    assert taken(inputs) == [b"{1}"]
    (tmp_path / "new").write_bytes(gzip.compress(b"{2}\n"))
    (tmp_path / "new").rename(path)
    assert taken(inputs) == [b"{2}"]
    assert "middle of a gzip member" in inputs.damages[0].message
    inputs.close()


def test_followed_files_are_read_in_order_and_then_as_they_grow(tmp_path: Path) -> None:
    """None of them keeps the others waiting."""
    paths = [write(tmp_path / name, f"{{{name}}}\n".encode()) for name in "abc"]
    inputs = Inputs(paths, follow=True)
    assert taken(inputs) == [b"{a}", b"{b}", b"{c}"]
    for name in "bac":
        with (tmp_path / name).open("ab") as file:
            file.write(f"{{{name}{name}}}\n".encode())
        assert taken(inputs) == [f"{{{name}{name}}}".encode()]
    inputs.close()


def test_a_followed_file_and_standard_input_are_read_side_by_side(
    tmp_path: Path, pipe: Pipe
) -> None:
    """The pipe ends, the file does not."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"")
    inputs = Inputs(["-", str(path)], follow=True, stdin=pipe.read_end)
    with path.open("ab") as file:
        file.write(b"{1}\n")
    assert taken(inputs) == [b"{1}"]
    pipe.send(b"{2}\n")
    assert taken(inputs, wait_seconds=LONG_SECONDS) == [b"{2}"]
    pipe.end()
    assert taken(inputs) == []
    assert not inputs.ended
    inputs.close()
