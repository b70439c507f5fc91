"""Looking into a movement's line as little as a rehearsal needs, and moving its times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from engine.contracts.instants import format_instant, parse_instant

TIMES: Final = ("occurred_at", "expires_at")

Shift = Callable[[int], int]


class Seen(msgspec.Struct, gc=False):
    """What a rehearsal looks at; whatever is not there, or not as it should be, is empty."""

    id: str = ""
    source: str = ""
    type: str = ""
    sku: str = ""
    location: str | None = None
    to_location: str | None = None
    quantity: int | None = None
    occurred_at: str = ""


_NOTHING: Final = Seen()
_decode = msgspec.json.Decoder(Seen).decode


def look(line: bytes) -> Seen:
    """Return what a line says; nothing of a line that is no sound movement."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _NOTHING


def occurred_at(seen: Seen) -> int | None:
    """Return when a movement occurred, None when it does not say so."""
    try:
        return parse_instant(seen.occurred_at)
    except ValueError:
        return None


def shifted(line: bytes, shift: Shift) -> bytes:
    """Return the line with its times moved; a line that is no JSON object stays as it is."""
    try:
        told = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return line
    if not isinstance(told, dict):
        return line
    for name in TIMES:
        moved = _moved(told.get(name), shift)
        if moved is not None:
            told[name] = moved
    return msgspec.json.encode(told)


def _moved(told: Any, shift: Shift) -> str | None:
    if not isinstance(told, str):
        return None
    try:
        return format_instant(shift(parse_instant(told)))
    except (ValueError, OverflowError):
        return None
