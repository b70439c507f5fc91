"""What an envelope brings a partition that it has not taken before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import structlog

from engine.kafka.catalogue import ENVELOPES
from engine.kafka.envelopes import (
    UNREPEATED,
    Entry,
    Movements,
    PoisonEnvelopeError,
    Run,
    decode,
)

NOTHING_TAKEN = -1


class Envelope(NamedTuple):
    """A message of the partition: its offset, the append time (microseconds), its bytes."""

    offset: int
    at: int
    value: bytes


class Stretch(NamedTuple):
    """Payloads that follow one another in a source: the place of the first, source, offsets."""

    first: int
    source: str
    offsets: Sequence[int]
    observed: bool


class Unseen(NamedTuple):
    """Payloads that were not taken before, and where they came from."""

    payloads: list[bytes]
    stretches: list[Stretch]

    def origin(self, index: int) -> str:
        """Where a payload came from: `movements.pos/3@1234`."""
        found = next(one for one in reversed(self.stretches) if one.first <= index)
        return f"{found.source}@{found.offsets[index - found.first]}"

    def origins(self) -> Iterator[str]:
        """Where each payload came from, in their order."""
        for stretch in self.stretches:
            for offset in stretch.offsets:
                yield f"{stretch.source}@{offset}"

    def by_kind(self) -> Iterator[tuple[bool, Unseen]]:
        """Yield, in order, what is of one kind and follows one another: observed, or moved."""
        if not any(stretch.observed for stretch in self.stretches):
            yield False, self
            return
        for observed, group in groupby(self.stretches, key=lambda stretch: stretch.observed):
            part = Unseen([], [])
            for stretch in group:
                end = stretch.first + len(stretch.offsets)
                part.stretches.append(stretch._replace(first=len(part.payloads)))
                part.payloads.extend(self.payloads[stretch.first : end])
            yield observed, part


def entry_of(envelope: Envelope, partition: int) -> Entry:
    """What the envelope says; one that cannot be read is a movement that will be refused."""
    try:
        return decode(envelope.value)
    except PoisonEnvelopeError as error:
        log = structlog.get_logger("sellable.ledger")
        log.error("an envelope cannot be read", offset=envelope.offset, reason=error.message)
        offsets, values = [envelope.offset], [envelope.value]
        return Movements([Run(ENVELOPES, partition, UNREPEATED, offsets, values)])


def take_unseen(entry: Movements, marks: dict[str, int]) -> Unseen:
    """What an envelope holds above the marks, which are set to where it ends.

    `marks` are the highest offsets taken, by source: a run that ingest sent twice is left out.
    """
    unseen = Unseen([], [])
    for run in entry.runs:
        offsets, payloads = run.offsets, run.payloads
        if run.incarnation != UNREPEATED:
            mark = marks.get(run.source, NOTHING_TAKEN)
            if offsets[-1] <= mark:
                continue
            if offsets[0] <= mark:
                seen = sum(1 for offset in offsets if offset <= mark)
                offsets, payloads = offsets[seen:], payloads[seen:]
            marks[run.source] = offsets[-1]
        source = f"{run.topic}/{run.partition}"
        stretch = Stretch(len(unseen.payloads), source, offsets, run.observed)
        unseen.stretches.append(stretch)
        unseen.payloads.extend(payloads)
    return unseen
