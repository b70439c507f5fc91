"""Exceptions: every refused movement kept, every warning noted, each with its number."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.contracts import records
from engine.contracts.exceptions import ExceptionRecord, exception_record

OPEN = "open"
REPLAYED = "replayed"
DISMISSED = "dismissed"
MOVEMENT = "movement"
OBSERVATION = "observation"
MAX_DIGITS = 18  # of an exception's number: it is stored in 8 bytes


class DeadLetter(msgspec.Struct, omit_defaults=True):
    """A stored exception, and what became of it: `status`, when, and an operator's words.

    `about` tells what its payload was meant to be: a movement, or an observation.
    """

    record: ExceptionRecord
    status: str = OPEN
    changed_at: str | None = None
    note: str | None = None
    about: str = MOVEMENT


class Wanted(NamedTuple):
    """Which exceptions are asked for; an empty set means any."""

    codes: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()

    def fits(self, letter: DeadLetter) -> bool:
        """Whether an exception is asked for."""
        record = letter.record
        return (
            (not self.codes or record.code in self.codes)
            and (not self.severities or record.severity in self.severities)
            and (not self.statuses or letter.status in self.statuses)
        )


class DeadLetters:
    """Exceptions of the step at hand; `puts` and `fresh` wait for the commit."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fresh: list[ExceptionRecord] = []
        self.puts: dict[bytes, bytes] = {}

    def add(
        self,
        code: str,
        severity: str,
        message: str,
        outcome: str,
        payload: bytes,
        origin: str,
        first_seen: str | None,
        correlation_id: str | None,
        about: str = MOVEMENT,
    ) -> None:
        """Keep one exception under the next number."""
        self.number += 1
        record = exception_record(
            exception=exception_id(self.number),
            code=code,
            severity=severity,
            message=message,
            outcome=outcome,
            payload=payload,
            origin=origin,
            first_seen=first_seen,
            correlation_id=correlation_id,
        )
        self.fresh.append(record)
        self.keep(DeadLetter(record, about=about))

    def keep(self, letter: DeadLetter) -> None:
        """Keep an exception as it stands now."""
        self.puts[exception_name(letter.record.exception)] = msgspec.msgpack.encode(letter)


def exception_id(number: int) -> str:
    """Return the identity of the exception with the number."""
    return f"x-{number:08d}"


def exception_name(exception: str) -> bytes:
    """Return the name of the stored exception.

    Raises:
        ValueError: that is no exception's identity.
    """
    digits = exception.removeprefix("x-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_DIGITS:
        raise ValueError(f"{exception!r} does not name an exception")
    return records.numbered(records.EXCEPTION, int(digits))


def read_dead_letter(stored: bytes) -> DeadLetter:
    """Return a stored exception."""
    return msgspec.msgpack.decode(stored, type=DeadLetter)
