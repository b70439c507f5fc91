"""A group of requests: lines that are taken as one batch, and what became of each request's part.

Lines are taken together where nobody can tell the difference, because a batch costs less than its
lines one by one. A request that must know what came of those before it flushes the group first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.contracts.answers import ExceptionBrief
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord, Refusal
from engine.contracts.movements import Movement
from engine.core.step import Outcome
from engine.embedded.answered import Answered
from engine.embedded.runtime import Runtime

# A reservation as the engine knows it: SKU and name.
Ref = tuple[str, str]


class Part(NamedTuple):
    """What became of one request's lines: their movements, outcomes and exceptions, in order.

    `decisions` are those about the reservations that the request has announced.
    """

    movements: Sequence[Movement | Refusal]
    outcomes: Sequence[Outcome]
    exceptions: Sequence[Sequence[ExceptionBrief]]
    decisions: Sequence[Decision]


NOTHING = Part((), (), (), ())  # of a request that has put no line to the engine


class _Added(NamedTuple):
    start: int
    origin: str
    refs: Sequence[Ref]
    finish: Callable[[Part], None]


class Group:
    """Requests that are committed together.

    `answered` are the answers that were given before, known again by their idempotency keys.
    """

    def __init__(self, runtime: Runtime, answered: Answered) -> None:
        self.runtime = runtime
        self.answered = answered
        self._lines: list[bytes] = []
        self._added: list[_Added] = []
        self._starts: list[int] = []
        self._refs: set[Ref] = set()
        self._digests: set[bytes] = set()
        self._has_arrays = False

    # --- what has to come first ----------------------------------------------------------------

    def before_array(self) -> None:
        """Make sure that lines which may be about any reservation can be added."""
        if self._refs:
            self.flush()

    def before_reservations(self, refs: Sequence[Ref], digest: bytes | None) -> None:
        """Make sure that lines about reservations can be added, and that their state is known."""
        if self._has_arrays or digest in self._digests or not self._refs.isdisjoint(refs):
            self.flush()

    # --- lines ---------------------------------------------------------------------------------

    def add_array(
        self, lines: Sequence[bytes], origin: str, finish: Callable[[Part], None]
    ) -> None:
        """Add the lines of movements of any type; `finish` gets what became of them."""
        self._has_arrays = True
        self._add(lines, origin, (), finish)

    def add_reservations(
        self,
        lines: Sequence[bytes],
        origin: str,
        refs: Sequence[Ref],
        digest: bytes | None,
        finish: Callable[[Part], None],
    ) -> None:
        """Add lines about reservations, each of them about one of `refs`."""
        self._refs.update(refs)
        if digest is not None:
            self._digests.add(digest)
        self._add(lines, origin, refs, finish)

    def _add(
        self,
        lines: Sequence[bytes],
        origin: str,
        refs: Sequence[Ref],
        finish: Callable[[Part], None],
    ) -> None:
        start = len(self._lines)
        self._starts.append(start)
        self._added.append(_Added(start, origin, refs, finish))
        self._lines.extend(lines)

    def flush(self) -> None:
        """Take all lines that were added, in order, and let each request make its answer."""
        if self._lines:
            self._take()
        else:
            for added in self._added:
                added.finish(NOTHING)
        self._lines, self._added, self._starts = [], [], []
        self._refs.clear()
        self._digests.clear()
        self._has_arrays = False

    def _take(self) -> None:
        runtime, engine = self.runtime, self.runtime.engine
        runtime.record.inputs_ended_at = None
        batch = engine.prepare(self._lines, self._origin)
        outcomes: list[Outcome] = []
        decisions: list[Decision] = []
        exceptions: list[ExceptionRecord] = []
        done = 0
        while True:
            told = engine.told()
            decided, excepted = len(told.decisions), len(told.exceptions)
            done = engine.take(batch, done, outcomes)
            told = engine.told()
            decisions += told.decisions[decided:]
            exceptions += told.exceptions[excepted:]
            if done == len(self._lines):
                break
            runtime.commit()
        by_ref = _by_ref(decisions) if self._refs else {}
        by_origin = _by_origin(exceptions)
        ends = [*self._starts[1:], len(self._lines)]
        for added, end in zip(self._added, ends, strict=True):
            start = added.start
            if start == end:
                added.finish(NOTHING)
                continue
            added.finish(
                Part(
                    batch.movements[start:end],
                    outcomes[start:end],
                    [
                        by_origin.get(_origin_of(added, index), ()) if by_origin else ()
                        for index in range(end - start)
                    ],
                    [decision for ref in added.refs for decision in by_ref.get(ref, ())],
                )
            )

    def _origin(self, index: int) -> str:
        added = self._added[bisect_right(self._starts, index) - 1]
        return _origin_of(added, index - added.start)


def _origin_of(added: _Added, index: int) -> str:
    """Where a line came from: the request, `#`, its place in it from 1."""
    return f"{added.origin}#{index + 1}"


def _by_ref(decisions: Sequence[Decision]) -> dict[Ref, list[Decision]]:
    found: dict[Ref, list[Decision]] = {}
    for decision in decisions:
        found.setdefault((decision.sku, decision.reservation), []).append(decision)
    return found


def _by_origin(exceptions: Sequence[ExceptionRecord]) -> dict[str, list[ExceptionBrief]]:
    found: dict[str, list[ExceptionBrief]] = {}
    for record in exceptions:
        brief = ExceptionBrief(record.exception, record.code, record.severity, record.message)
        found.setdefault(record.origin, []).append(brief)
    return found
