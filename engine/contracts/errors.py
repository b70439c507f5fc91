"""The root of every error that a user of the engine can meet."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_WRONG_CALL = 2


class SellableError(Exception):
    """An error with a message that says what and where, and advice that says how to mend it.

    `exit_code` is what a command ends with, `http_status` what the HTTP service answers, and
    `title` the short name of the kind of problem (RFC 9457 `title`).
    """

    exit_code = EXIT_FAILED
    http_status = 500
    title = "The work failed"

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


class UsageError(SellableError):
    """The call was wrong: nothing was changed."""

    exit_code = EXIT_WRONG_CALL
    http_status = 400
    title = "The call was wrong"


class NotFoundError(UsageError):
    """Something that was named does not exist."""

    http_status = 404
    title = "Not found"


class CorruptStateError(SellableError):
    """Stored state breaks an invariant; the engine stops and publishes nothing more."""

    title = "Stored state is not consistent"
