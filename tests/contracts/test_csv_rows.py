"""Movements from CSV rows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.exceptions import Refusal
from engine.contracts.movements import Movement, csv_row_to_json
from tests.contracts.support import Wire, accepted, decoder, wire

HEADER = ("id", "source", "type", "sku", "location", "quantity", "occurred_at", "reservation")
ROW = ("m-1", "pos-0042", "sale", "5012345678900", "store-0042", "2", "2026-11-20T12:00:00Z", "")


def row_with(**cells: str) -> Movement | Refusal:
    """What the row becomes with some cells changed, or columns added."""
    values = dict(zip(HEADER, ROW, strict=True)) | cells
    return decoder().decode(csv_row_to_json(list(values), list(values.values())))


def test_a_row_is_the_movement_that_its_cells_say() -> None:
    """An empty cell is an absent field, and a SKU of digits stays a text."""
    assert row_with() == accepted(wire())
    assert row_with(allow_partial="true", schema="1") == accepted(wire(allow_partial=True))
    assert row_with(allow_partial="false") == accepted(wire())


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("quantity", "2.0"),
        ("quantity", "+2"),
        ("quantity", " 2"),
        ("quantity", "02"),
        ("quantity", "1e2"),
        ("quantity", "two"),
        ("quantity", "٢"),
        ("quantity", "9" * 5000),
        ("schema", "one"),
        ("allow_partial", "TRUE"),
        ("allow_partial", "1"),
        ("location", ""),
        ("sku", "a|b"),
    ],
)
def test_a_cell_that_is_not_exactly_right_is_refused_with_its_field(name: str, cell: str) -> None:
    """A spreadsheet's idea of a number is not guessed at."""
    result = row_with(**{name: cell})
    assert isinstance(result, Refusal)
    code = "unsupported_schema" if name == "schema" else "invalid_field"
    assert (result.code, result.field) == (code, name)


def test_a_short_row_lacks_its_last_fields() -> None:
    """Like empty cells."""
    assert decoder().decode(csv_row_to_json(HEADER, ROW[:-1])) == accepted(wire())


def test_a_row_with_more_cells_than_the_header_is_malformed_and_keeps_every_cell() -> None:
    """Its cells cannot be given to fields; empty ones at the end do no harm."""
    line = csv_row_to_json(HEADER, [*ROW, "surplus"])
    result = decoder().decode(line)
    assert isinstance(result, Refusal)
    assert result.code == "malformed"
    assert json.loads(line) == [*ROW, "surplus"]
    assert decoder().decode(csv_row_to_json(HEADER, [*ROW, "", ""])) == accepted(wire())


def test_a_row_that_is_not_utf_8_is_malformed_and_keeps_its_bytes() -> None:
    """Read with surrogates in place of the bytes, as files are."""
    cell = b"caf\xe9".decode(errors="surrogateescape")
    line = csv_row_to_json(HEADER, [cell, *ROW[1:]])
    result = decoder().decode(line)
    assert isinstance(result, Refusal)
    assert result.code == "malformed"
    assert line.startswith(b"caf\xe9,pos-0042,")


@given(st.lists(st.text(), max_size=12), st.lists(st.text(), max_size=12))
def test_no_row_raises(header: list[str], row: list[str]) -> None:
    """Whatever a file holds, and whatever its header."""
    assert isinstance(decoder().decode(csv_row_to_json(header, row)), Movement | Refusal)


def test_of_two_columns_with_one_name_the_last_filled_one_counts() -> None:
    """As with keys in JSON."""
    values: Wire = json.loads(csv_row_to_json(["a", "a", "a"], ["1", "2", ""]))
    assert values == {"a": "2"}
