"""Working through exceptions: mend and replay a movement, or dismiss it with a reason."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from engine.contracts.errors import SellableError, UsageError
from engine.contracts.exceptions import ADVICE, payload_bytes
from engine.contracts.instants import format_instant
from engine.contracts.movement_fields import KNOWN_FIELDS as MOVEMENT_FIELDS
from engine.contracts.observations import KNOWN_FIELDS as OBSERVATION_FIELDS
from engine.core.dead_letters import DISMISSED, OBSERVATION, OPEN, DeadLetter
from engine.embedded.runtime import Runtime, wall_clock
from engine.embedded.view import no_exception
from engine.rules.mistakes import did_you_mean

WHOLE_NUMBERS = frozenset({"quantity", "schema"})
REFUSED = "refused"


class StillRefused(SellableError):
    """The mended movement was refused again; the exception stays open."""

    title = "Refused again"
    http_status = 409


def replay(
    runtime: Runtime, exception: str, changes: Mapping[str, str], accept_old: bool
) -> dict[str, Any]:
    """Replay a refused movement with some fields changed.

    Raises:
        NotFoundError: there is no such exception.
        UsageError: it is a warning, was dealt with before, or its payload cannot be mended.
        StillRefused: it was refused again.
    """
    letter = check_open(find(runtime, exception), replayed=True)
    line = mended(letter, changes)
    outcome = runtime.replay(letter, line, accept_old, format_instant(wall_clock()))
    if outcome.refusal is not None:
        code = outcome.refusal.code
        raise StillRefused(f"{exception}: {code}: {outcome.refusal.message}", ADVICE.get(code, ""))
    return {"exception": exception, "outcome": outcome.outcome}


def dismiss(runtime: Runtime, exception: str, reason: str) -> dict[str, Any]:
    """Close an exception with a reason.

    Raises:
        NotFoundError: there is no such exception.
        UsageError: no reason is given, or it was dealt with before.
    """
    check_reason(reason)
    letter = check_open(find(runtime, exception))
    letter.status = DISMISSED
    letter.note = reason
    letter.changed_at = format_instant(wall_clock())
    runtime.keep_letter(letter)
    return {"exception": exception, "status": DISMISSED, "reason": reason}


def check_reason(reason: str) -> None:
    """Check that a dismissal says why.

    Raises:
        UsageError: it does not.
    """
    if not reason.strip():
        raise UsageError("a dismissal needs a reason", "Give one with --reason.")


def check_open(letter: DeadLetter, replayed: bool = False) -> DeadLetter:
    """Check that an exception waits to be dealt with, and return it.

    Raises:
        UsageError: it does not; or it is to be `replayed`, and its movement was applied.
    """
    exception = letter.record.exception
    if replayed and letter.record.outcome != REFUSED:
        raise UsageError(
            f"{exception} is a warning: its movement was applied",
            "Correct the stock with a movement of its own, then dismiss the warning.",
        )
    if letter.status != OPEN:
        raise UsageError(f"{exception} is {letter.status} already", "Nothing was changed.")
    return letter


def find(runtime: Runtime, exception: str) -> DeadLetter:
    """Return an exception.

    Raises:
        NotFoundError: there is no such exception.
    """
    try:
        letter = runtime.letter(exception)
    except ValueError:
        letter = None
    if letter is None:
        raise no_exception(exception)
    return letter


def mended(letter: DeadLetter, changes: Mapping[str, str]) -> bytes:
    """Return the exception's movement with some fields changed; an empty value takes one out.

    Raises:
        UsageError: the payload is no JSON object, so no field of it can be changed; or there is no
            such field.
    """
    payload = payload_bytes(letter.record)
    if not changes:
        return payload
    try:
        movement = json.loads(payload)
    except (ValueError, RecursionError):
        movement = None
    if not isinstance(movement, dict):
        raise UsageError(
            f"the payload of {letter.record.exception} is no JSON object",
            "Send what was meant as a new movement, then dismiss the exception.",
        )
    known = {*_fields_of(letter), *movement}
    for field, value in changes.items():
        if field not in known:
            raise UsageError(f"there is no field {field!r}", did_you_mean(field, known))
        movement[field] = _typed(field, value)
    return json.dumps(movement, ensure_ascii=False, separators=(",", ":")).encode()


def _fields_of(letter: DeadLetter) -> Collection[str]:
    return OBSERVATION_FIELDS if letter.about == OBSERVATION else MOVEMENT_FIELDS


def _typed(field: str, value: str) -> object:
    if value == "":
        return None
    if field in WHOLE_NUMBERS:
        try:
            return int(value)
        except ValueError:
            return value
    if field == "allow_partial" and value in ("true", "false"):
        return value == "true"
    return value
