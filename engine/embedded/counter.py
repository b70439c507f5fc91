"""The counter: where callers of other threads leave requests, and the engine serves them in groups.

The engine is served by one thread. Others put their requests into a queue of bounded length and
ring its doorbell; between two batches the engine takes what has come, in order, commits all of it
in one step (group commit), and only then the callers are told.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

from engine.contracts.errors import SellableError, UsageError
from engine.embedded.answered import Answered
from engine.embedded.dead_letter_desk import StillRefused
from engine.embedded.group import Group
from engine.embedded.runtime import Runtime

WAITING_MOVEMENTS: Final = 20_000
"""Movements that may wait at the counter; with more, requests are turned away."""
GROUP_MOVEMENTS: Final = 5_000
"""Movements after which a group is closed, so that a tick is never late because of it."""
RETRY_SECONDS: Final = 1
MILLISECONDS: Final = 1_000


class OverloadedError(SellableError):
    """More waits than the engine can take soon; nothing of the request was taken."""

    http_status = 503
    title = "The engine is busy"
    retry_after_seconds = RETRY_SECONDS


class NotServingError(SellableError):
    """The engine is starting or ending; nothing of the request was taken."""

    http_status = 503
    title = "The engine is not serving"
    retry_after_seconds = RETRY_SECONDS


class UnknownOutcomeError(SellableError):
    """The engine ended, or took too long, after it had begun the request."""

    http_status = 503
    title = "The outcome is not known"
    retry_after_seconds = RETRY_SECONDS


class Stage(Enum):
    """How far a request has come."""

    NEW = 0
    WAITING = 1
    BEGUN = 2
    DONE = 3
    WITHDRAWN = 4


class Request:
    """One request at the counter: `begin` is its work; `answer` or `error` what came of it.

    `weight` is how many movements it holds. `begin` runs on the engine's thread: it sets the answer
    at once, or adds lines to the group with a function that sets it from what became of them.
    """

    __slots__ = ("answer", "begin", "error", "repeated", "stage", "weight")

    def __init__(self, weight: int, begin: Callable[[Group, Request], None]) -> None:
        self.weight = weight
        self.begin = begin
        self.stage = Stage.NEW
        self.answer: Any = None
        self.error: SellableError | None = None
        self.repeated = False


class Counter:
    """The queue of requests, and the engine's side of it.

    Until `open` and after `close` every request is turned away. `tell` is called on the engine's
    thread with requests that are done, after what they have changed is committed.
    """

    def __init__(
        self,
        tell: Callable[[Sequence[Request]], None],
        waiting_movements: int = WAITING_MOVEMENTS,
    ) -> None:
        self._tell_callers = tell
        self._limit = waiting_movements
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._weight = 0
        self._rung = False
        self._closed: Callable[[], SellableError] | None = starting
        self._begun: list[Request] = []
        self._answered: Answered | None = None
        self.doorbell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    # --- the callers' side ---------------------------------------------------------------------

    def put(self, request: Request) -> None:
        """Leave a request.

        Raises:
            OverloadedError: too much waits already.
            NotServingError: the engine is starting or ending.
        """
        with self._lock:
            if self._closed is not None:
                raise self._closed()
            if self._waiting and self._weight + request.weight > self._limit:
                raise OverloadedError(
                    f"{self._weight} movements wait for the engine already",
                    "Nothing was taken. Send the same again after the time that Retry-After tells.",
                )
            request.stage = Stage.WAITING
            self._waiting.append(request)
            self._weight += request.weight
            if not self._rung:
                self._rung = True
                os.eventfd_write(self.doorbell, 1)

    def withdraw(self, request: Request) -> bool:
        """Take a request back; False when the engine has begun it."""
        with self._lock:
            if request.stage is not Stage.WAITING:
                return False
            request.stage = Stage.WITHDRAWN
            return True

    @property
    def waiting(self) -> int:
        """How many movements wait."""
        return self._weight

    # --- the engine's side ---------------------------------------------------------------------

    def open(self) -> None:
        """Serve from now on."""
        with self._lock:
            self._closed = None

    def wait(self, seconds: float) -> None:
        """Wait until a request comes, at most so long."""
        poll = select.poll()
        poll.register(self.doorbell, select.POLLIN)
        poll.poll(seconds * MILLISECONDS)

    @property
    def called(self) -> bool:
        """Whether requests have come."""
        return self._rung

    def serve(self, runtime: Runtime) -> None:
        """Take the requests that have come, commit, and tell the callers."""
        if not self._rung:
            return
        requests = self._take()
        if not requests:
            return
        self._begun = requests
        runtime.catch_up()
        if self._answered is None:
            self._answered = Answered(runtime)
        group = Group(runtime, self._answered)
        for request in requests:
            try:
                request.begin(group, request)
            except (UsageError, StillRefused) as error:
                # Any other error is the store's or the outputs', and ends the engine.
                request.error = error
        group.flush()
        self._answered.close_group()
        runtime.commit()
        self._begun = []
        self._tell(requests)

    def refuse(self, why: Callable[[], SellableError]) -> None:
        """Turn away what will come; what waits already is still to be served."""
        with self._lock:
            self._closed = why

    def close(self, why: Callable[[], SellableError]) -> None:
        """Turn away all that waits and all that will come.

        What was begun and not committed is told that its outcome is not known.
        """
        with self._lock:
            self._closed = why
            turned_away = [r for r in self._waiting if r.stage is Stage.WAITING]
            self._waiting.clear()
            self._weight = 0
        for request in turned_away:
            request.error = why()
        for request in self._begun:
            request.error = UnknownOutcomeError(
                "the engine ended before this was committed",
                "Send the same again, with the same identities or Idempotency-Key: what was taken "
                "is not taken twice.",
            )
        begun, self._begun = self._begun, []
        self._tell([*begun, *turned_away])

    def _take(self) -> list[Request]:
        taken: list[Request] = []
        weight = 0
        with self._lock:
            while self._waiting and weight < GROUP_MOVEMENTS:
                request = self._waiting.popleft()
                self._weight -= request.weight
                if request.stage is Stage.WAITING:
                    request.stage = Stage.BEGUN
                    weight += request.weight
                    taken.append(request)
            if not self._waiting:
                os.eventfd_read(self.doorbell)
                self._rung = False
        return taken

    def _tell(self, requests: Sequence[Request]) -> None:
        for request in requests:
            request.stage = Stage.DONE
        if requests:
            self._tell_callers(requests)


def starting() -> NotServingError:
    """The error for requests that come while the engine restores its state."""
    return NotServingError(
        "the engine restores its state and does not serve yet",
        "Nothing was taken. Ask /readyz, and send the same again when it answers 200.",
    )


def stopping() -> NotServingError:
    """The error for requests that come while the engine ends."""
    return NotServingError(
        "the engine is ending",
        "Nothing was taken. Send the same again when it runs again.",
    )
