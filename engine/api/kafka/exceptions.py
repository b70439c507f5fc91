"""The exceptions of all partitions as one list: oldest first, page by page.

A page is gone on from by the number of the last exception of each partition that was told:
`x-12.0.7` after a page of three partitions. So nothing that a partition raises while somebody reads
is left out, wherever the others stand.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from engine.contracts import records
from engine.contracts.errors import NotFoundError
from engine.core.dead_letters import (
    DeadLetter,
    Wanted,
    exception_id,
    exception_name,
    read_dead_letter,
)
from engine.embedded.view import no_exception
from engine.kafka.messages import exception_name as global_name
from engine.stores.base import StoreReader

ROWS_READ: Final = 10_000
"""Exceptions that one page may read: with few matches it ends early, and the next goes on there."""
_NAME: Final = re.compile(r"x-([0-9]{1,4})-([0-9]{8,18})")
_PAGE: Final = re.compile(r"x-[0-9]{1,18}(\.[0-9]{1,18})*")


class _Found(NamedTuple):
    """An exception among those of all partitions, in the order in which they are told."""

    seen: str
    partition: int
    number: int
    letter: DeadLetter


def page_of(
    tables: Sequence[StoreReader], wanted: Wanted, after: str | None, limit: int
) -> tuple[list[DeadLetter], str | None]:
    """The next exceptions, oldest first, under their names among all; and how to go on.

    Raises:
        NotFoundError: no page ends there.
    """
    told = _read_place(after, len(tables))
    streams = [
        _letters(table, partition, told[partition]) for partition, table in enumerate(tables)
    ]
    found: list[DeadLetter] = []
    for read, one in enumerate(heapq.merge(*streams, key=lambda one: one[:3])):
        if len(found) == limit or read == ROWS_READ:
            return found, "x-" + ".".join(map(str, told))
        told[one.partition] = one.number
        if wanted.fits(one.letter):
            found.append(_named(one.letter, one.partition))
    return found, None


def find(tables: Sequence[StoreReader], name: str) -> tuple[int, DeadLetter]:
    """An exception by its name among all, and its partition.

    Raises:
        NotFoundError: there is none of that name.
    """
    match = _NAME.fullmatch(name)
    if match is not None and int(match[1]) < len(tables):
        partition = int(match[1])
        stored = tables[partition].get(exception_name(f"x-{match[2]}"))
        if stored is not None:
            return partition, _named(read_dead_letter(stored), partition)
    raise no_exception(name)


def _letters(table: StoreReader, partition: int, after: int) -> Iterator[_Found]:
    start = exception_name(exception_id(after)) + b"\0"
    for name, stored in table.scan(records.EXCEPTION, start):
        letter = read_dead_letter(stored)
        number = int.from_bytes(name[1:], "big")
        yield _Found(letter.record.first_seen or "", partition, number, letter)


def _named(letter: DeadLetter, partition: int) -> DeadLetter:
    letter.record.exception = global_name(partition, letter.record.exception)
    return letter


def _read_place(after: str | None, partitions: int) -> list[int]:
    if after is None:
        return [0] * partitions
    places = after.removeprefix("x-").split(".")
    if not _PAGE.fullmatch(after) or len(places) != partitions:
        raise NotFoundError(
            f"no page ends with {after!r}", "Send `after` as `next` of the page before."
        )
    return [int(place) for place in places]
