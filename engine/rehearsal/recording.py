"""Recorded movements: their busiest stretch, and what came before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from engine.contracts.errors import UsageError
from engine.contracts.examination import BYTE_ORDER_MARK
from engine.contracts.instants import format_instant
from engine.embedded.inputs import Inputs
from engine.rehearsal.lines import look, occurred_at
from engine.rehearsal.load import Load

BATCH_LINES: Final = 10_000
OUTGOING: Final = frozenset({"sale", "fulfil", "transfer", "reserve"})
OPENING_TIMES: Final = 2  # opening stock of a key that the recording never filled: so many times
# what it gives out
LONGEST_GAP: Final = 31 * 86_400_000_000  # a till's clock that is further ahead moves nothing


class Recording:
    """The lines of some files, each at the newest time that any line up to it has told.

    Its loads begin where it is busiest for `duration` microseconds at `factor` times its speed.

    Raises:
        UsageError: a file cannot be read, or no line is a movement.
    """

    def __init__(self, paths: Sequence[str], factor: float, duration: int) -> None:
        self._paths = paths
        arrivals: list[int] = []
        now: int | None = None
        for line in self._lines():
            at = occurred_at(look(line))
            if at is not None and (now is None or now < at <= now + LONGEST_GAP):
                now = at
            arrivals.append(-1 if now is None else now)
        if now is None:
            raise UsageError(
                f"no movement is recorded in {', '.join(paths)}",
                "Name files with movements, as `sellable run --input` takes them.",
            )
        first = next(at for at in arrivals if at >= 0)
        self._arrivals = np.array([first if at < 0 else at for at in arrivals], dtype=np.int64)
        self._start = self._busiest(round(duration * factor))

    @property
    def name(self) -> str:
        """The files."""
        return ", ".join(Path(path).name for path in self._paths)

    @property
    def origin(self) -> int:
        """The recorded instant at which its busiest stretch begins."""
        return int(self._arrivals[self._start])

    @property
    def stretch(self) -> str:
        """Where that is, in words."""
        return f"from {format_instant(self.origin)} on"

    def warm_up(self) -> Iterator[bytes]:
        """Yield what came before, and an opening receipt for each key that it never filled."""
        known: set[tuple[str, str]] = set()
        given: Counter[tuple[str, str]] = Counter()
        for number, line in enumerate(self._lines()):
            seen = look(line)
            key = (seen.sku, seen.location or "")
            if number < self._start:
                known.add(key)
                yield line
            elif seen.type in OUTGOING and all(key):
                given[key] += seen.quantity or 0
        yield from self._openings({key: units for key, units in given.items() if key not in known})

    def load(self, factor: float, duration: int) -> Load:
        """Return what came from the start on, `factor` times as fast, for `duration`."""
        span = round(duration * factor)
        end = int(np.searchsorted(self._arrivals, self.origin + span))
        lines = []
        for number, line in enumerate(self._lines()):
            if number >= end:
                break
            if number >= self._start:
                lines.append(line)
        offsets = ((self._arrivals[self._start : end] - self.origin) / factor).astype(np.int64)
        whole = bool(self._arrivals[-1] >= self.origin + span)
        return Load(lines, offsets, self.origin, factor, whole)

    def _openings(self, given: dict[tuple[str, str], int]) -> Iterator[bytes]:
        at = format_instant(self.origin)
        for number, ((sku, location), units) in enumerate(given.items()):
            yield msgspec.json.encode(
                {
                    "id": f"opening-{number}",
                    "source": "rehearsal",
                    "type": "receipt",
                    "sku": sku,
                    "location": location,
                    "quantity": min(1_000_000_000, max(1, units * OPENING_TIMES)),
                    "occurred_at": at,
                }
            )

    def _lines(self) -> Iterator[bytes]:
        with Inputs(self._paths) as inputs:
            while not inputs.ended:
                batch = inputs.read(BATCH_LINES, 1.0)
                for line in () if batch is None else batch.lines:
                    text = line.removeprefix(BYTE_ORDER_MARK)
                    if text.strip():
                        yield text

    def _busiest(self, span: int) -> int:
        """Return the line at which the busiest stretch of so many microseconds begins."""
        ends = np.searchsorted(self._arrivals, self._arrivals + span)
        return int(np.argmax(ends - np.arange(len(ends))))
