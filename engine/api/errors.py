"""What the service itself refuses, before a runtime is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from engine.contracts.errors import SellableError, UsageError

HTTP_CONFLICT: Final = 409

# Titles of conflicts: part of the wire, since the type of a problem follows from its title.
NOT_ENOUGH_STOCK: Final = "Not enough stock"
RESERVATION_REFUSED: Final = "The reservation was refused"
RESERVATION_EXPIRED: Final = "The reservation has expired"
DECIDED_BEFORE: Final = "Decided before"
TWO_LINES_OF_ONE_SKU: Final = "Two lines of one SKU"
STEP_REFUSED: Final = "The step was refused"
RESERVATION_ENDED: Final = "The reservation has ended"
NOT_ALLOCATED: Final = "The reservation was not allocated"
EXCEPTION_STATE: Final = "The exception's state does not allow it"
CONFLICTS: Final = (
    NOT_ENOUGH_STOCK,
    RESERVATION_REFUSED,
    RESERVATION_EXPIRED,
    DECIDED_BEFORE,
    TWO_LINES_OF_ONE_SKU,
    STEP_REFUSED,
    RESERVATION_ENDED,
    NOT_ALLOCATED,
    EXCEPTION_STATE,
)


class FaultError(SellableError):
    """The service has met an error that it does not know; what it is stands in its log."""

    title = "The service has a fault"

    def __init__(self) -> None:
        super().__init__(
            "the service has met an error that it does not know",
            "Look for this request in the service's log. Whether a write was done is not known: "
            "send it again with the same identities or Idempotency-Key.",
        )


class UnauthorizedError(SellableError):
    """No key, or one that is not known or was revoked."""

    http_status = 401
    title = "Not authenticated"


class ForbiddenError(SellableError):
    """The key's role or reach does not allow the call."""

    http_status = 403
    title = "Not allowed"


class RateError(SellableError):
    """The key has made more calls than its rate allows."""

    http_status = 429
    title = "Too many calls"

    def __init__(self, message: str, advice: str, retry_after_seconds: int) -> None:
        super().__init__(message, advice)
        self.retry_after_seconds = retry_after_seconds


class MalformedError(UsageError):
    """The body is not what its media type says."""

    http_status = 400
    title = "The request is malformed"


class InvalidError(UsageError):
    """A parameter or a field is missing, of the wrong type or out of range.

    `pointer` is where: a JSON pointer into the body, or `?` and the name of a parameter.
    """

    http_status = 422
    title = "The request is not valid"

    def __init__(self, message: str, advice: str, pointer: str) -> None:
        super().__init__(message, advice)
        self.pointer = pointer


class TooLargeError(UsageError):
    """The body is larger than the limit."""

    http_status = 413
    title = "The request is too large"


class MediaTypeError(UsageError):
    """The body is of a media type, or packed in a way, that is not taken here."""

    http_status = 415
    title = "The media type is not taken"


class SlowError(UsageError):
    """The body did not come in time."""

    http_status = 408
    title = "The request came too slowly"


class DetailedError(SellableError):
    """An error with a title of its own.

    `more` are further members of the problem, `headers` go with the answer.
    """

    def __init__(
        self,
        title: str,
        message: str,
        advice: str,
        more: Mapping[str, Any] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message, advice)
        self.title = title
        self.more = more
        self.headers = headers


class UnconditionalError(UsageError):
    """A write that must say what it replaces does not say it."""

    http_status = 428
    title = "If-Match is missing"


class ConflictError(DetailedError):
    """The request is sound, and the state of the stock or of a reservation does not allow it.

    The further members tell what became of the request.
    """

    http_status = HTTP_CONFLICT
    title = "It conflicts with the present state"


class ChangedError(DetailedError):
    """Something else is there than the call says it replaces."""

    http_status = 412
    title = "It has changed"


class UnsoundError(DetailedError):
    """What was sent can be read, and is wrong; the further members tell all of it."""

    http_status = 422
    title = "It is not sound"


def one_of(found: str, known: Sequence[str], pointer: str) -> str:
    """Check that a word is one of those that are known.

    Raises:
        InvalidError: it is not.
    """
    if found not in known:
        raise InvalidError(
            f"{found!r} is not known here", f"Write one of {', '.join(known)}.", pointer
        )
    return found
