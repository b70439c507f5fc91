"""Movements on their way into envelopes: one lane for each ledger partition.

A lane has at most one envelope under way. Only so do the offsets of each source rise in the log
without a gap whatever fails, and the ledger may drop, by its offset, what it has taken before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka import TopicPartition

from engine.kafka.envelopes import Run
from engine.kafka.routing import Part


class Source(NamedTuple):
    """A partition of an incoming topic, in one incarnation of that topic.

    `observed` tells that its messages are observations and no movements.
    """

    place: TopicPartition
    topic: str
    incarnation: int
    observed: bool = False


class _Piece(NamedTuple):
    """A part of a batch that waits; `size` in bytes, `since` on the caller's clock in seconds."""

    source: Source
    part: Part
    size: int
    since: float


class Lane:
    """What waits for one ledger partition, and what is under way to it."""

    def __init__(self, movements: int, size_bytes: int) -> None:
        self._most_movements = movements
        self._most_bytes = size_bytes
        self._waiting: deque[_Piece] = deque()
        self._under_way: list[tuple[TopicPartition, int]] = []
        self._movements = 0
        self._bytes = 0

    @property
    def is_under_way(self) -> bool:
        """Whether an envelope has been taken and not yet been acknowledged."""
        return bool(self._under_way)

    @property
    def waiting(self) -> int:
        """How many movements wait."""
        return self._movements

    @property
    def since(self) -> float | None:
        """Since when the oldest of them waits."""
        return self._waiting[0].since if self._waiting else None

    def add(self, source: Source, part: Part, now: float) -> None:
        """Let a part of a batch wait."""
        size = sum(map(len, part.payloads))
        self._waiting.append(_Piece(source, part, size, now))
        self._movements += len(part.offsets)
        self._bytes += size

    def is_due(self, before: float) -> bool:
        """Whether an envelope is full, or its oldest movement waits since `before` or longer."""
        return bool(self._waiting) and (
            self._movements >= self._most_movements
            or self._bytes >= self._most_bytes
            or self._waiting[0].since <= before
        )

    def take(self) -> list[Run]:
        """Take what goes into the next envelope: at least one movement, at most what fits."""
        assert not self._under_way, "one envelope at a time"
        runs: list[Run] = []
        room, space = self._most_movements, self._most_bytes
        while self._waiting and room:
            piece = self._waiting[0]
            count = len(piece.part.offsets)
            if count > room or piece.size > space:
                count = _fitting(piece.part.payloads, room, space, first=not runs)
                if not count:
                    break
            taken = self._cut(count)
            size = taken.size
            room, space = room - count, space - size
            self._movements -= count
            self._bytes -= size
            self._under_way.append((taken.source.place, taken.part.offsets[0]))
            place = taken.source.place
            runs.append(
                Run(
                    taken.source.topic,
                    place.partition,
                    taken.source.incarnation,
                    taken.part.offsets,
                    taken.part.payloads,
                    taken.source.observed,
                )
            )
        return runs

    def acknowledged(self) -> None:
        """The envelope under way is in the log."""
        self._under_way.clear()

    def drop(self, places: frozenset[TopicPartition]) -> None:
        """Forget what waits of these sources: another worker reads it again."""
        kept = [piece for piece in self._waiting if piece.source.place not in places]
        self._waiting = deque(kept)
        self._movements = sum(len(piece.part.offsets) for piece in kept)
        self._bytes = sum(piece.size for piece in kept)

    def open_offsets(self) -> Iterator[tuple[TopicPartition, int]]:
        """Where each source's movements start that are not in the log yet."""
        yield from self._under_way
        for piece in self._waiting:
            yield piece.source.place, piece.part.offsets[0]

    def _cut(self, count: int) -> _Piece:
        """Take the first movements of the first piece."""
        piece = self._waiting.popleft()
        part = piece.part
        if count == len(part.offsets):
            return piece
        first = Part(part.offsets[:count], part.payloads[:count])
        size = sum(map(len, first.payloads))
        rest = Part(part.offsets[count:], part.payloads[count:])
        self._waiting.appendleft(_Piece(piece.source, rest, piece.size - size, piece.since))
        return _Piece(piece.source, first, size, piece.since)


def _fitting(payloads: list[bytes], room: int, space: int, first: bool) -> int:
    """How many of the first payloads fit; the first of an envelope always does."""
    count = 0
    for payload in payloads[:room]:
        space -= len(payload)
        if space < 0 and (count or not first):
            break
        count += 1
    return count
