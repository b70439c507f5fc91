"""Movements as comma-separated values."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.errors import UsageError
from engine.contracts.examination import BYTE_ORDER_MARK
from engine.embedded.inputs import Inputs
from engine.embedded.inputs_csv import MAX_ROW_BYTES, CsvRows
from engine.embedded.inputs_lines import LineCutter
from tests.embedded.input_files import all_lines, lines_of, read_some, read_whole, write

HEADER = b"id,sku,quantity\n"
PACKINGS = ["", ".gz", ".zst"]


def as_cells(line: bytes) -> dict[str, object]:
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_row_is_a_line_of_json_named_by_the_header(tmp_path: Path, packing: str) -> None:
    """Whether the file is packed or not, and whatever its line ends are."""
    path = write(tmp_path / f"in.csv{packing}", HEADER + b"1,A,5\r\n2,B,7\n3,C,9")
    assert [as_cells(line) for line in lines_of([path])] == [
        {"id": "1", "sku": "A", "quantity": 5},
        {"id": "2", "sku": "B", "quantity": 7},
        {"id": "3", "sku": "C", "quantity": 9},
    ]


def test_quoted_cells_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    """As RFC 4180 has them; the origin of a row is its first line, blank lines counted."""
    path = write(tmp_path / "in.csv", b'id,reason\n1,"a, ""b"""\n\n2,"one\ntwo\n\nfour"\n3,"end"\n')
    with Inputs([path]) as inputs:
        batch = inputs.read(10)
        assert batch is not None
        rows = [as_cells(line)["reason"] for line in batch.lines]
        origins = [batch.origin(index).rpartition(":")[2] for index in range(3)]
    assert rows == ['a, "b"', "one\ntwo\n\nfour", "end"]
    assert origins == ["2", "4", "8"]


def test_a_byte_order_mark_and_spaces_do_not_spoil_the_header(tmp_path: Path) -> None:
    """As spreadsheets write it."""
    path = write(tmp_path / "in.csv", b"\xef\xbb\xbfid, sku\n1,A\n")
    assert [as_cells(line) for line in lines_of([path])] == [{"id": "1", "sku": "A"}]


@pytest.mark.parametrize(
    "row",
    [b"1,A", b"1,A,5,6", b'1,"A"x,5', b'1,A,"5', b"1,A\r5,6", b'{"id":1}'],
    ids=["short", "long", "text after a quote", "open quote", "stray return", "json"],
)
def test_a_row_that_does_not_fit_goes_on_as_it_stands(tmp_path: Path, row: bytes) -> None:
    """It is no JSON of a movement, so it is refused, and its text is the evidence."""
    path = write(tmp_path / "in.csv", HEADER + b"0,A,5\n" + row + b"\r\n2,B,7\n")
    found = lines_of([path])
    assert [as_cells(found[0])["id"], found[1], as_cells(found[2])["id"]] == ["0", row, "2"]


def test_a_cell_with_bytes_that_are_no_text_is_not_lost(tmp_path: Path) -> None:
    """The row comes as a line that is no JSON object."""
    path = write(tmp_path / "in.csv", HEADER + b"1,\xff\xfe,5\n2,B,7\n")
    found = lines_of([path])
    assert len(found) == 2
    assert b"\xff\xfe" in found[0]


@pytest.mark.parametrize("limit", [1, 10_000])
def test_an_open_quote_costs_one_row_and_not_the_rest_of_the_file(
    tmp_path: Path, limit: int
) -> None:
    """After as many bytes as a movement may have, the quote is taken for a mistake."""
    rows = [b"%d,SKU-%d,1" % (number, number) for number in range(20_000)]
    broken = [*rows[:100], b'x,"open,1', *rows[100:]]
    path = write(tmp_path / "in.csv", HEADER + b"\n".join(broken) + b"\n")
    found = lines_of([path], limit=limit)
    assert found[100] == b'x,"open,1'
    assert [as_cells(line)["id"] for line in found[:100] + found[101:]] == [
        str(number) for number in range(20_000)
    ]


def test_a_quoted_cell_longer_than_a_movement_may_be_is_cut_into_lines(tmp_path: Path) -> None:
    """Whole or cut by the blocks of reading, the same lines come of it."""
    row = b'1,"' + b"\n".join([b"text" * 20] * (MAX_ROW_BYTES // 80)) + b'",5'
    path = write(tmp_path / "in.csv", HEADER + row + b"\n2,B,7\n")
    found = lines_of([path])
    assert found[0] == b'1,"' + b"text" * 20
    assert as_cells(found[-1])["id"] == "2"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"1,A,5\n2,B,7\n", "1,A,5"),
        (b"id;sku;quantity\n1;A;5\n", "id;sku"),
        (b'{"id":"1"}\n', '{"id"'),
        (b"\n\nid,sku\n", "does not name"),
        (b'"id,sku\n1,A\n', "does not name"),
    ],
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_without_a_header_is_told_before_anything_starts(
    tmp_path: Path, content: bytes, shown: str, packing: str
) -> None:
    """The first row must name `id`; what stands there instead is shown."""
    path = write(tmp_path / f"in.csv{packing}", content)
    with pytest.raises(UsageError, match="does not name the column id") as caught:
        Inputs([path])
    assert shown in caught.value.message
    assert "separated by commas" in caught.value.advice


def test_a_column_named_twice_is_told(tmp_path: Path) -> None:
    """Nobody can tell which of the two counts."""
    path = write(tmp_path / "in.csv", b"id,sku,id\n")
    with pytest.raises(UsageError, match="names the column id twice"):
        Inputs([path])


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Of nothing at all no header is asked."""
    assert lines_of([write(tmp_path / "in.csv", b"")]) == []
    assert lines_of([write(tmp_path / "header.csv", HEADER)]) == []


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_of_a_byte_order_mark_alone_is_empty(tmp_path: Path, packing: str) -> None:
    """Some programs write the mark although there is nothing to tell; the rows may come later."""
    path = write(tmp_path / f"in.csv{packing}", BYTE_ORDER_MARK)
    inputs = Inputs([path])
    assert all_lines(inputs) == []
    write(tmp_path / f"in.csv{packing}", BYTE_ORDER_MARK + HEADER + b"1,A,5\n")
    (line,) = lines_of([path], saved=inputs.positions())
    assert as_cells(line)["sku"] == "A"


@pytest.mark.parametrize("packing", PACKINGS)
def test_reading_goes_on_after_every_row(tmp_path: Path, packing: str) -> None:
    """The header is known though reading begins behind it."""
    content = b'id,reason\r\n1,a\r\n2,"x\r\ny"\r\n\r\nbroken\r\n3,c\r\n4,"open\r\n'
    path = write(tmp_path / f"in.csv{packing}", content)
    lines = lines_of([path])
    assert len(lines) == 5
    for count in range(6):
        assert lines_of([path], read_some([path], count, limit=2)) == lines[count:]
    saved = read_whole([path])
    assert saved[path].completed
    assert lines_of([path], saved) == []


def test_rows_appended_after_the_end_are_read_by_the_next_run(tmp_path: Path) -> None:
    """The header of the first run counts for them."""
    path = tmp_path / "in.csv"
    saved = read_whole([write(path, HEADER + b"1,A,5\n")])
    with path.open("ab") as file:
        file.write(b"2,B,7\n")
    assert [as_cells(line)["id"] for line in lines_of([str(path)], saved)] == ["2"]


def test_a_row_that_was_cut_by_damage_waits_for_the_mended_file(tmp_path: Path) -> None:
    """Half a quoted cell of a truncated file is not taken for a row."""
    path = tmp_path / "in.csv.gz"
    write(path, HEADER + b'1,A,5\n2,"B\nB",7\n')
    whole = path.read_bytes()
    path.write_bytes(whole[:-12])
    inputs = Inputs([str(path)])
    before = all_lines(inputs)
    assert inputs.damages
    path.write_bytes(whole)
    after = lines_of([str(path)], inputs.positions())
    assert [as_cells(line)["id"] for line in before + after] == ["1", "2"]


CELLS = st.text(alphabet='ab",\n é', max_size=4)


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=6),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_rows_do_not_depend_on_how_the_bytes_come(
    rows: list[tuple[str, str]], cuts: list[int], line_end: str
) -> None:
    """Whatever a cell holds and wherever the reads are cut, every row comes back."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "sku"])
    writer.writerows(rows)
    data = out.getvalue().encode()
    cutter = LineCutter(plain=True)
    parsed: list[tuple[str, ...]] = []
    csv_rows = CsvRows("in.csv", lambda header, row: json.dumps(list(row)).encode(), (0, 0))
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        segment = cutter.feed(data[start:end]) if start < end else None
        found = None if segment is None else csv_rows.feed(segment)
        if found is not None:
            parsed += [tuple(json.loads(line)) for line in found.lines]
            assert found.end == csv_rows.place
    assert csv_rows.finish() is None
    assert parsed == rows


def test_a_column_that_no_movement_has_is_passed_on(tmp_path: Path) -> None:
    """Unknown fields are ignored later, like those of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "in.csv", b"id,shelf\n1,7b\n")
        assert as_cells(lines_of([path])[0])["shelf"] == "7b"
