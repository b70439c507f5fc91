"""Requests that the embedded engine serves at its counter: movements, and any other work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.contracts.answers import MovementAnswer
from engine.contracts.exceptions import Refusal
from engine.contracts.movements import Movement
from engine.contracts.outcomes import identity_of
from engine.core.step import Outcome
from engine.embedded.counter import Request
from engine.embedded.group import Group, Part
from engine.embedded.runtime import Runtime


def movements(lines: Sequence[bytes], origin: str) -> Request:
    """A request to take movements; the answer is a `MovementAnswer` for each line."""

    def begin(group: Group, request: Request) -> None:
        group.before_array()

        def finish(part: Part) -> None:
            request.answer = _movement_answers(lines, part)

        group.add_array(lines, origin, finish)

    return Request(len(lines), begin)


def observations(lines: Sequence[bytes], origin: str) -> Request:
    """A request to take observations; the answer is an `ObservationOutcome` for each line."""

    def begin(group: Group, request: Request) -> None:
        group.flush()
        request.answer = group.runtime.observe(lines, lambda index: f"{origin}#{index + 1}")

    return Request(len(lines), begin)


def work(do: Callable[[Runtime], Any]) -> Request:
    """A request to do something with the runtime alone; what it returns is the answer."""

    def begin(group: Group, request: Request) -> None:
        group.flush()
        request.answer = do(group.runtime)

    return Request(1, begin)


def _movement_answers(lines: Sequence[bytes], part: Part) -> list[MovementAnswer]:
    return [
        _movement_answer(line, movement, outcome, exceptions)
        for line, movement, outcome, exceptions in zip(
            lines, part.movements, part.outcomes, part.exceptions, strict=True
        )
    ]


def _movement_answer(
    line: bytes, movement: Movement | Refusal, outcome: Outcome, exceptions: Sequence[Any]
) -> MovementAnswer:
    who = identity_of(line) if isinstance(movement, Refusal) else movement
    refusal = outcome.refusal
    answer = MovementAnswer(
        who.source, who.id, who.sku, outcome.outcome, None if refusal is None else refusal.code
    )
    if exceptions:
        answer.exceptions = list(exceptions)
    return answer
