"""Mistakes in a rules folder: each with its place and a way to mend it, all of them at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.contracts.errors import UsageError

CLOSE_ENOUGH = 0.6
"""Similarity from which another name is offered as "did you mean" (ratio of difflib, 0 to 1)."""

OPTION = "--"
"""How the place of a mistake begins that stands in no file: the option's name."""

NAMES_COMPARED = 20_000
"""Most names among which a close one is looked for."""
NAMES_SHOWN = 20
"""Most names that are listed where none is close."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake (or one warning) with where it is and how to mend it.

    `file` is relative to the rules folder, or names a command line option; `line` counts from 1,
    and is 0 where there is no line (a missing file, an option).
    """

    file: str
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}. {self.remedy}"


class RulesError(UsageError):
    """A rules folder that cannot be used; `mistakes` holds every one of its mistakes."""

    title = "The rules have mistakes"

    def __init__(self, folder: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        count = len(self.mistakes)
        by_options = all(mistake.file.startswith(OPTION) for mistake in self.mistakes)
        where = "the settings that were given" if by_options else f"the rules folder {folder}"
        head = f"{count} mistake{'' if count == 1 else 's'} in {where}:"
        super().__init__("\n".join([head, *(f"  {mistake}" for mistake in self.mistakes)]))


@dataclass(slots=True)
class Mistakes:
    """Collects mistakes while files are read, so that all can be told at once."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, file: str, line: int, message: str, remedy: str) -> None:
        """Note one mistake; `message` without a full stop, `remedy` as a whole sentence."""
        self.found.append(Mistake(file, line, message, remedy))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that offers the closest known name, else lists what is known."""
    names = sorted(known)
    if len(names) > NAMES_COMPARED:
        return "Check its spelling."
    close = difflib.get_close_matches(word, names, n=1, cutoff=CLOSE_ENOUGH)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "There are none to choose from."
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"Known are: {shown} and {more} more." if more > 0 else f"Known are: {shown}."
