"""Ranges to be emptied, as names: a compacted topic forgets by key, each with a tombstone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.contracts.records import DIRTY, IDENTITY_RECENT, WINDOW, numbered
from engine.core.changes import Changes
from engine.stores.base import StoreReader

JOURNALS: Final = (DIRTY, WINDOW, IDENTITY_RECENT)
"""Kinds of records of which a commit puts one, under its number, until all are dropped at once."""


class Tombstones:
    """Knows the names of one table's journals, so that no commit has to look for them there."""

    def __init__(self, table: StoreReader) -> None:
        self._table = table
        self._journals = {kind: [name for name, _ in table.scan(kind)] for kind in JOURNALS}

    def of(self, changes: Changes, commit: int) -> Iterator[bytes]:
        """Yield the names of the records in the ranges to be emptied, those put anew left out.

        `commit` is the number under which the changes are committed; to be read to its end.
        """
        for first, end in changes.ranges:
            for name in self._names_in(first, end):
                if name not in changes.puts:
                    yield name
        for kind, names in self._journals.items():
            name = numbered(kind, commit)
            if name in changes.puts:
                names.append(name)

    def _names_in(self, first: bytes, end: bytes) -> Iterator[bytes]:
        if first in self._journals:
            names, self._journals[first] = self._journals[first], []
            yield from names
            return
        for name, _ in self._table.scan(first[:1], first):
            if name >= end:
                return
            yield name
