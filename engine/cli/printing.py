"""How results look: tables and lines for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_COLUMNS: Final = 10_000
"""Width of what goes to a file or another program: every row of a table is one line."""

STATUS_STYLES: Final = {"in_stock": "green", "low_stock": "yellow", "out_of_stock": "red"}
SEVERITY_STYLES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}


def console(to_stderr: bool = False) -> Console:
    """A console on standard output; made when it is needed, since outputs may be redirected."""
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else PIPED_COLUMNS
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one line of JSON on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def say(*parts: str | Text | tuple[str, str], to_stderr: bool = False) -> None:
    """Print one line, put together from texts and (text, style) pairs."""
    shown = (part if isinstance(part, Text) else _styled(part) for part in parts)
    console(to_stderr).print(Text.assemble(*shown), soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], numbers: Iterable[str] = ()
) -> None:
    """Print a table; the columns named in `numbers` are set to the right."""
    right = frozenset(numbers)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, Text) else Text(on_one_line(cell)) for cell in row)
        )
    screen = console()
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as drawn:
        screen.print(table)
    for line in drawn.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def styled(text: str, styles: dict[str, str]) -> Text:
    """A word in the style that belongs to it."""
    return Text(text, styles.get(text, ""))


def safe(text: str) -> str:
    """The text without what a terminal would obey: control characters are written out."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else _written_out(character)
        for character in text
    )


def on_one_line(text: str) -> str:
    """The text without control characters, line ends written out as well."""
    return safe(text).replace("\n", "\\n")


def number(value: int) -> str:
    """A quantity with its thousands apart: `1,234`."""
    return f"{value:,}"


def signed(value: int) -> str:
    """A term of a sum, with its sign: `+12`, `-3`."""
    return f"{value:+,}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 rule`, `2 rules`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def some_of(names: Sequence[str], shown: int) -> str:
    """The first of the names, and how many more there are."""
    listed = ", ".join(names[:shown])
    more = len(names) - shown
    return f"{listed} and {number(more)} more" if more > 0 else listed


def _styled(part: str | tuple[str, str]) -> Text:
    if isinstance(part, str):
        return Text(safe(part))
    return Text(safe(part[0]), part[1])


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _cell(content: str | Text) -> Text:
    return content if isinstance(content, Text) else Text(on_one_line(content))
