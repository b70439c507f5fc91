"""The fault of a movement on its way to a refusal, and how values are shown in messages."""

from __future__ import annotations

import msgspec

from engine.contracts.limits import MAX_SHOWN_LENGTH


class FarNumber:
    """A number that stands in the JSON but is too large to be taken as a value."""

    def __init__(self, text: str) -> None:
        self.text = text


class FaultError(Exception):
    """The first fault that was found; it becomes a refusal and is never seen outside."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


def shown(value: object) -> str:
    """The value as people read it: like JSON, short, with nothing invisible in it."""
    if isinstance(value, FarNumber):
        return shortened(value.text)
    if isinstance(value, str):
        return repr(shortened(value))
    try:
        return shortened(msgspec.json.encode(value).decode())
    except (TypeError, ValueError, OverflowError, RecursionError):
        return f"of the kind {type(value).__name__}"


def shown_bytes(line: bytes) -> str:
    """The beginning of a line, whatever its bytes."""
    return repr(shortened(line.decode(errors="replace").strip()))


def shortened(text: str) -> str:
    """The text, cut where it is longer than a message should repeat."""
    if len(text) <= MAX_SHOWN_LENGTH:
        return text
    return f"{text[:MAX_SHOWN_LENGTH]}…"
