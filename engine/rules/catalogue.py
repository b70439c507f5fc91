"""The catalogue files `locations.csv` and `items.csv`: attributes of locations and SKUs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.contracts.limits import MAX_LOCATION_LENGTH, MAX_SKU_LENGTH
from engine.rules.fields import MAX_NAME_LENGTH, describe, name_fault
from engine.rules.mistakes import Mistakes, did_you_mean
from engine.rules.model import DEFAULT_TIMEZONE, Catalogue, Item, Location

LOCATIONS_FILE = "locations.csv"
ITEMS_FILE = "items.csv"
MAX_MISTAKES_PER_FILE = 1000
"""Mistakes after which the rest of a catalogue file is not examined any more."""

_LOCATION_COLUMNS = ("location", "type", "region", "tags")
_LOCATION_OPTIONAL = ("timezone",)
_ITEM_COLUMNS = ("sku", "category", "brand", "tags")


def read_catalogue(folder: Path, mistakes: Mistakes) -> Catalogue:
    """Both files of a folder, as far as they exist; every mistake is noted with its line."""
    return Catalogue(_read_locations(folder, mistakes), _read_items(folder, mistakes))


def _read_locations(folder: Path, mistakes: Mistakes) -> dict[str, Location]:
    rows = _Rows(folder, LOCATIONS_FILE, _LOCATION_COLUMNS, _LOCATION_OPTIONAL, mistakes)
    tags = _Tags(rows)
    zones: dict[str, bool] = {}
    found: dict[str, Location] = {}
    for line, (location, kind, region, tag_text, zone) in rows.read(MAX_LOCATION_LENGTH):
        if zone and not zones.setdefault(zone, _is_timezone(zone)):
            remedy = "Write an IANA name, such as America/New_York or UTC."
            rows.mistake(line, f"the timezone {describe(zone)} is not known", remedy)
        rows.check_names(line, (("type", kind), ("region", region)))
        # A location whose name is faulty, or given before, makes the folder faulty anyway.
        found[location] = Location(
            kind, region, tags.read(line, tag_text), zone or DEFAULT_TIMEZONE
        )
    return found


def _read_items(folder: Path, mistakes: Mistakes) -> dict[str, Item]:
    rows = _Rows(folder, ITEMS_FILE, _ITEM_COLUMNS, (), mistakes)
    tags = _Tags(rows)
    shared: dict[tuple[str, str, str], Item] = {}
    found: dict[str, Item] = {}
    for line, (sku, category, brand, tag_text) in rows.read(MAX_SKU_LENGTH):
        item = shared.get((category, brand, tag_text))
        if item is None:
            rows.check_names(line, (("category", category), ("brand", brand)))
            item = Item(category, brand, tags.read(line, tag_text))
            shared[category, brand, tag_text] = item
        found[sku] = item
    return found


class _Rows:
    """The rows of one CSV file in the order of its known columns, with their lines."""

    def __init__(
        self,
        folder: Path,
        file: str,
        required: Sequence[str],
        optional: Sequence[str],
        mistakes: Mistakes,
    ) -> None:
        self._path = folder / file
        self._file = file
        self._required = required
        self._columns = (*required, *optional)
        self._mistakes = mistakes
        self._count = 0

    def mistake(self, line: int, message: str, remedy: str) -> None:
        """Note a mistake in this file."""
        self._count += 1
        self._mistakes.add(self._file, line, message, remedy)

    def check_names(self, line: int, cells: Sequence[tuple[str, str]]) -> None:
        """Note a mistake for each cell that is neither empty nor a name."""
        for column, text in cells:
            why = name_fault(text, MAX_NAME_LENGTH) if text else None
            if why:
                self.mistake(line, f"the {column} {describe(text)} {why}", "Correct the cell.")

    def read(self, longest: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Line and cells of each row, also of one whose first cell is faulty.

        The first cell must be unique, and a name up to `longest`.
        """
        positions: list[int] | None = None
        width = 0
        first_seen: dict[str, int] = {}
        for line, row in self._numbered_rows():
            if positions is None:
                positions, width = self._read_header(line, row), len(row)
                if not positions:
                    return
                continue
            if self._count >= MAX_MISTAKES_PER_FILE:
                self.mistake(line, "there are too many mistakes to go on", "Correct these first.")
                return
            if len(row) != width:
                message = f"the row has {len(row)} cells where the header has {width}"
                self.mistake(line, message, "Add or take out commas; empty cells need one too.")
                continue
            cells = tuple(row[p].strip() if p >= 0 else "" for p in positions)
            self._check_key(line, cells[0], longest, first_seen)
            yield line, cells

    def _numbered_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank, with the line it begins on."""
        text = self._read_text()
        if text is None:
            return
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        line = 1
        try:
            for row in reader:
                here, line = line, reader.line_num + 1
                if any(cell.strip() for cell in row):
                    yield here, row
        except csv.Error as error:
            remedy = "Check the quotes: a cell with a comma or a quote goes in double quotes."
            self.mistake(line, f"this is not CSV: {error}", remedy)

    def _read_header(self, line: int, row: Sequence[str]) -> list[int]:
        """Where each known column stands, -1 for one left out; empty when the file is no use."""
        names = [cell.strip() for cell in row]
        missing = [column for column in self._required if column not in names]
        if len(names) == 1 and missing:
            header = ",".join(self._columns)
            message = f"the first line {describe(row[0])} is no header with commas"
            self.mistake(line, message, f"Write {header} there, and commas between cells.")
            return []
        for column in missing:
            self.mistake(line, f"the column {column!r} is missing", "Add it to the header.")
        for number, name in enumerate(names):
            if name not in self._columns:
                remedy = did_you_mean(name, self._columns)
                self.mistake(line, f"the column {name!r} is not known", remedy)
            elif name in names[:number]:
                self.mistake(line, f"the column {name!r} is given twice", "Take one out.")
        if self._columns[0] in missing:
            return []
        return [names.index(name) if name in names else -1 for name in self._columns]

    def _check_key(self, line: int, key: str, longest: int, first_seen: dict[str, int]) -> None:
        column = self._columns[0]
        why = name_fault(key, longest)
        if why:
            self.mistake(line, f"the {column} {describe(key)} {why}", "Correct the cell.")
            return
        first = first_seen.setdefault(key, line)
        if first != line:
            message = f"the {column} {describe(key)} is given twice, first in line {first}"
            self.mistake(line, message, "Keep one of the two rows.")

    def _read_text(self) -> str | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            self.mistake(0, f"the file cannot be read: {reason}", "Check its permissions.")
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.mistake(line, "this is not UTF-8 text", "Save the file again as CSV UTF-8.")
            return None


class _Tags:
    """Reads cells of tags, separated by semicolons; equal cells give one object."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows
        self._known: dict[str, frozenset[str]] = {}

    def read(self, line: int, text: str) -> frozenset[str]:
        """The tags of one cell; each must be a name."""
        found = self._known.get(text)
        if found is None:
            tags = [tag.strip() for tag in text.split(";") if tag.strip()]
            self._rows.check_names(line, [("tag", tag) for tag in tags])
            found = self._known[text] = frozenset(tags)
        return found


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
