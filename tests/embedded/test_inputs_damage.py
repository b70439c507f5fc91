"""Inputs that break off: what was readable is delivered, the rest is noted."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from engine.embedded.inputs import Inputs
from engine.embedded.inputs_packed import PIECE_BYTES, DamagedError, Gzip, Zstd, unpacker
from tests.embedded.input_files import all_lines, lines_of, numbered, packed, read_some, write

PACKINGS = [".gz", ".zst"]


def incompressible(count: int) -> list[bytes]:
    return [b'{"id":"%d","reason":"%s"}' % (n, os.urandom(60).hex().encode()) for n in range(count)]


def test_a_truncated_gzip_gives_every_line_before_the_cut(tmp_path: Path) -> None:
    """All whole lines that the bytes hold, then a note that says where; then the next input."""
    lines = incompressible(5_000)
    path = tmp_path / "in.ndjson.gz"
    whole = gzip.compress(b"\n".join(lines) + b"\n")
    path.write_bytes(whole[: len(whole) // 2])
    after = write(tmp_path / "after.ndjson", b"{1}\n")
    inputs = Inputs([str(path), after])
    found = all_lines(inputs, limit=1_000)
    assert found[-1] == b"{1}"
    assert found[:-1] == lines[: len(found) - 1]
    assert len(found) > 2_400
    assert [damage.path for damage in inputs.damages] == [str(path)]
    assert inputs.damages[0].offset == len(whole) // 2
    assert "middle of a gzip member" in inputs.damages[0].message


@pytest.mark.parametrize("packing", PACKINGS)
def test_an_input_cut_anywhere_is_never_lost_silently(tmp_path: Path, packing: str) -> None:
    """Cut after any number of bytes: lines from the start, and a note unless it is whole."""
    lines = numbered(20)
    path = tmp_path / f"in.ndjson{packing}"
    whole = packed(path, b"\n".join(lines[:10]) + b"\n") + packed(
        path, b"\n".join(lines[10:]) + b"\n"
    )
    first_member = len(packed(path, b"\n".join(lines[:10]) + b"\n"))
    for length in range(1, len(whole) + 1):
        path.write_bytes(whole[:length])
        inputs = Inputs([str(path)])
        found = all_lines(inputs)
        assert found == lines[: len(found)]
        assert len(found) >= (10 if length >= first_member else 0)
        assert bool(inputs.damages) == (length not in (first_member, len(whole)))


@pytest.mark.parametrize("packing", PACKINGS)
def test_bytes_that_changed_are_noted_and_what_is_before_them_is_saved(
    tmp_path: Path, packing: str
) -> None:
    """A flipped bit in the midst: what unpacks before it is delivered as it was."""
    lines = incompressible(20_000)
    path = tmp_path / f"in.ndjson{packing}"
    data = b"\n".join(lines) + b"\n"
    whole = bytearray(
        gzip.compress(data)
        if packing == ".gz"
        else zstandard.ZstdCompressor(write_checksum=True).compress(data)
    )
    place = len(whole) * 3 // 4
    whole[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(whole)
    inputs = Inputs([str(path)])
    found = all_lines(inputs, limit=1_000)
    assert found[:14_000] == lines[:14_000]
    assert len(inputs.damages) == 1


def test_a_damaged_block_of_zstd_costs_nothing_before_it(tmp_path: Path) -> None:
    """Of 128 KiB blocks the one before the damaged one is saved too, from a file."""
    data = os.urandom(1_000_000).hex().encode() + b"\n"
    frame = bytearray(zstandard.ZstdCompressor().compress(data))
    place = 600_000
    found = {}
    for name, read_at in (
        ("file", lambda offset, length: bytes(frame[offset : offset + length])),
        ("pipe", None),
    ):
        unpack = Zstd(read_at)
        got: list[bytes] = []
        frame[place:] = b"\xff" * (len(frame) - place)
        with pytest.raises(DamagedError):
            got.extend(unpack.feed(bytes(frame)))
        assert data.startswith(b"".join(got))
        found[name] = sum(map(len, got))
    assert found["pipe"] <= found["file"]
    assert found["file"] - found["pipe"] <= 128 * 1024
    assert found["file"] >= place


def test_what_is_no_gzip_at_all_is_noted(tmp_path: Path) -> None:
    """A wrong suffix: the note says that it is no gzip."""
    path = tmp_path / "in.ndjson.gz"
    path.write_bytes(b'{"id":"1"}\n')
    inputs = Inputs([str(path)])
    assert all_lines(inputs) == []
    assert "gzip" in inputs.damages[0].message


def test_several_members_and_padding_are_one_gzip(tmp_path: Path) -> None:
    """As `cat a.gz b.gz` makes them, and as tapes pad them."""
    path = tmp_path / "in.ndjson.gz"
    path.write_bytes(gzip.compress(b"{1}\n{") + gzip.compress(b"2}\n") + bytes(1_000))
    inputs = Inputs([str(path)])
    assert all_lines(inputs) == [b"{1}", b"{2}"]
    assert inputs.damages == []


def test_garbage_after_the_last_member_is_noted(tmp_path: Path) -> None:
    """What was packed is delivered, and the note counts the whole members."""
    path = tmp_path / "in.ndjson.gz"
    path.write_bytes(gzip.compress(b"{1}\n") + b"garbage that is no gzip")
    inputs = Inputs([str(path)])
    assert all_lines(inputs) == [b"{1}"]
    assert "after 1 whole gzip members" in inputs.damages[0].message


def test_several_frames_and_skippable_ones_are_one_zstd(tmp_path: Path) -> None:
    """As parallel packers write them."""
    path = tmp_path / "in.ndjson.zst"
    frame = zstandard.ZstdCompressor().compress
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    path.write_bytes(frame(b"{1}\n{") + skippable + frame(b"2}\n"))
    inputs = Inputs([str(path)])
    assert all_lines(inputs) == [b"{1}", b"{2}"]
    assert inputs.damages == []


@pytest.mark.parametrize("packing", PACKINGS)
def test_an_unfinished_line_waits_for_the_mended_file(tmp_path: Path, packing: str) -> None:
    """The damaged file ends inside a line; when the whole file is there, the next run goes on."""
    lines = incompressible(3_000)
    path = tmp_path / f"in.ndjson{packing}"
    whole = packed(path, b"\n".join(lines) + b"\n")
    path.write_bytes(whole[: len(whole) * 2 // 3])
    inputs = Inputs([str(path)])
    before = all_lines(inputs, limit=500)
    saved = inputs.positions()
    assert not saved[str(path)].completed
    assert "unfinished line" in inputs.damages[0].message
    again = Inputs([str(path)], saved=saved)
    assert all_lines(again) == []
    assert again.positions() == saved
    path.write_bytes(whole)
    assert before + lines_of([str(path)], saved, limit=500) == lines


@pytest.mark.parametrize("packing", PACKINGS)
def test_another_file_that_is_damaged_early_gives_what_is_readable(
    tmp_path: Path, packing: str
) -> None:
    """Too short to be compared with the file before: it is read from its start."""
    path = tmp_path / f"in.ndjson{packing}"
    saved = read_some([write(path, b"\n".join(numbered(1_000)))], 900)
    whole = packed(path, b"{7}\n{8}\n")
    path.write_bytes(whole + whole[: len(whole) - 6])
    inputs = Inputs([str(path)], saved=saved)
    assert all_lines(inputs)[:2] == [b"{7}", b"{8}"]
    assert len(inputs.damages) == 1


def test_a_file_that_cannot_be_read_further_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk in the midst of a file."""
    path = write(tmp_path / "in.ndjson", b"{1}\n" * 600_000)
    real_read = os.read
    calls = []

    def failing_read(descriptor: int, length: int) -> bytes:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        return real_read(descriptor, length)

    inputs = Inputs([path])
    monkeypatch.setattr(os, "read", failing_read)
    found = all_lines(inputs, limit=100_000)
    assert len(found) == 2 * 1024 * 1024 // 4
    assert "Input/output error" in inputs.damages[0].message


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_small_file_that_unpacks_to_a_huge_one_is_read_in_pieces(packing: str) -> None:
    """No piece is larger than about a block, however well the data was packed."""
    data = bytes(40 * 1024 * 1024)
    small = packed(Path(f"in{packing}"), data)
    assert len(small) < 64 * 1024
    unpack = unpacker(f"in{packing}", None)
    sizes = [len(piece) for piece in unpack.feed(small)]
    unpack.finish()
    assert sum(sizes) == len(data)
    assert max(sizes) <= PIECE_BYTES


def test_the_last_bytes_of_a_cut_gzip_are_not_held_back() -> None:
    """What a full piece left inside the unpacker comes out though no more goes in."""
    data = b"a" * (3 * PIECE_BYTES)
    unpack = Gzip()
    got = b"".join(unpack.feed(gzip.compress(data)[:-9]))
    assert len(got) >= len(data) - 300
    with pytest.raises(DamagedError):
        unpack.finish()
