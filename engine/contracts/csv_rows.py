"""Movements from CSV: a row becomes the JSON line that says the same, and goes the ordinary way.

So a refused row lies among the exceptions as JSON, and can be mended and replayed like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

INTEGER_COLUMNS: Final = frozenset({"quantity", "schema"})
BOOLEAN_COLUMNS: Final = frozenset({"allow_partial"})

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BOOLEANS: Final = ("true", "false")


def csv_row_to_json(header: Sequence[str], row: Sequence[str]) -> bytes:
    """The JSON line of one CSV row, without a newline. Never raises.

    An empty cell, and a cell that a short row lacks, is an absent field; of two columns with one
    name the last filled one counts. A cell of an integer or boolean column is converted when its
    text is exactly one in JSON; otherwise it stays text, and the movement is refused with that
    field's name.

    A row with more filled cells than the header has columns, or with bytes that are not UTF-8
    (as surrogates), cannot be given to fields: it becomes a line that is refused as malformed and
    still holds every cell.
    """
    if any(row[len(header) :]):
        return _encode_unassigned(row)
    fields = {
        name: _typed(name, cell) for name, cell in zip(header, row, strict=False) if cell != ""
    }
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError:
        return _encode_unassigned(row)


def _typed(name: str, cell: str) -> object:
    if (name in INTEGER_COLUMNS and _INTEGER.fullmatch(cell)) or (
        name in BOOLEAN_COLUMNS and cell in _BOOLEANS
    ):
        return msgspec.Raw(cell.encode())
    return cell


def _encode_unassigned(row: Sequence[str]) -> bytes:
    try:
        return msgspec.json.encode(list(row))
    except UnicodeEncodeError:
        return b",".join(_bytes_of(cell) for cell in row)


def _bytes_of(cell: str) -> bytes:
    """The bytes that the cell was read from, where they were kept as surrogates."""
    try:
        return cell.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return cell.encode(errors="surrogatepass")
