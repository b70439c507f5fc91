"""The topics `movements.outcomes` and `observations.outcomes`: what became of each of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from engine.contracts.exceptions import REFUSED_CODES, Refusal
from engine.contracts.findings import Finding
from engine.contracts.instants import format_instant, parse_instant
from engine.contracts.observations import Observation

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
ABSORBED: Final = "absorbed"
REJECTED: Final = "rejected"
REFUSED: Final = "refused"
OUTCOMES: Final = (APPLIED, DUPLICATE, ABSORBED, REJECTED, REFUSED)

AGREES: Final = "agrees"
DIFFERS: Final = "differs"
OBSERVATION_OUTCOMES: Final = (AGREES, DIFFERS, DUPLICATE, REFUSED)


class MovementOutcome(msgspec.Struct, gc=False):
    """The one outcome of one movement; the identity is null where it could not be read."""

    source: str | None
    id: str | None
    sku: str | None
    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(OUTCOMES)})]
    code: Annotated[
        str | None,
        Meta(
            description="Why it was refused; null for every other outcome.",
            extra_json_schema={"enum": [*REFUSED_CODES, None]},
        ),
    ]


class ObservationOutcome(msgspec.Struct, gc=False):
    """The one outcome of one observation; what could not be read of it is null.

    `expected` is the book's quantity as of its time, where it was compared. One that was seen
    before (`duplicate`) is not compared again.
    """

    source: str | None
    sku: str | None
    location: str | None
    disposition: str | None
    observed_at: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})]
    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(OBSERVATION_OUTCOMES)})]
    expected: int | None
    finding: Finding | None
    code: Annotated[
        str | None,
        Meta(
            description="Why it was refused; null for every other outcome.",
            extra_json_schema={"enum": [*REFUSED_CODES, None]},
        ),
    ]
    message: str | None
    exception: Annotated[
        str | None, Meta(description="The exception that a refused one is kept as.")
    ]


class _Readable(msgspec.Struct):
    """Whatever a refused line says about what it is about."""

    source: Any = None
    sku: Any = None
    location: Any = None
    disposition: Any = None
    observed_at: Any = None


class Identity(NamedTuple):
    """Who a movement is, as far as its line says it in text."""

    source: str | None = None
    id: str | None = None
    sku: str | None = None


class _ReadableIdentity(msgspec.Struct):
    source: Any = None
    id: Any = None
    sku: Any = None


_decode_identity: Final = msgspec.json.Decoder(_ReadableIdentity).decode


def identity_of(line: bytes) -> Identity:
    """Read the identity of a refused line as far as it is text."""
    try:
        found = _decode_identity(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Identity()
    return Identity(_text(found.source), _text(found.id), _text(found.sku))


_decode_readable: Final = msgspec.json.Decoder(_Readable).decode


def observation_outcome(
    observation: Observation | Refusal,
    line: bytes,
    outcome: str,
    expected: int | None = None,
    finding: Finding | None = None,
    refusal: Refusal | None = None,
    exception: str | None = None,
) -> ObservationOutcome:
    """The record of what became of an observation that came as the line."""
    code, message = (None, None) if refusal is None else (refusal.code, refusal.message)
    return ObservationOutcome(
        *_about(observation, line), outcome, expected, finding, code, message, exception
    )


_About = tuple[str | None, str | None, str | None, str | None, str | None]


def _about(observation: Observation | Refusal, line: bytes) -> _About:
    """Source, SKU, location, disposition and time; of a refused line as far as they are text."""
    if isinstance(observation, Observation):
        at = format_instant(observation.at)
        return (
            observation.source,
            observation.sku,
            observation.location,
            observation.disposition,
            at,
        )
    try:
        read = _decode_readable(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        read = _Readable()
    return (
        _text(read.source),
        _text(read.sku),
        _text(read.location),
        _text(read.disposition),
        _time(read.observed_at),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> str | None:
    """A time in UTC, where it is one."""
    try:
        return None if not isinstance(value, str) else format_instant(parse_instant(value))
    except ValueError:
        return None
