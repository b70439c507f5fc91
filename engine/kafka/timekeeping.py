"""Brings the time to a partition when something is due there and nothing else comes.

A partition's time is that of its envelopes. So the owner appends a time entry to its own partition,
one at a time, and only when the instant at which something falls due has come and the partition is
quiet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

MICROSECONDS_PER_SECOND: Final = 1_000_000
QUIET_S: Final = 0.01
"""Nothing came for so long: then nothing else will bring the time."""


class Appended(NamedTuple):
    """A time entry in the log: its offset, and the broker's append time, microseconds."""

    offset: int
    at: int


class TimeKeeper:
    """The timer of one partition.

    `next_due` tells the next instant at which something falls due, `append` appends a time entry;
    `failed` is told when that cannot be done.
    """

    def __init__(
        self,
        next_due: Callable[[], int | None],
        append: Callable[[], Awaitable[Appended]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._next_due = next_due
        self._append = append
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._appending: asyncio.Task[None] | None = None
        self._awaited: int | None = None  # offset of the entry on its way
        self._taken = -1  # offset of the last envelope that was taken
        self._taken_at = 0.0
        self._skew = 0  # the brokers' clock less ours, microseconds

    def taken(self, offset: int) -> None:
        """Note that an envelope was taken, and look at what is due now."""
        self._taken = offset
        self._taken_at = time.monotonic()
        if self._awaited is not None and offset >= self._awaited:
            self._awaited = None
        self.look()

    def look(self) -> None:
        """Set the timer for what falls due next."""
        due = None if self._on_its_way else self._next_due()
        if due is None:
            self.stop()
        elif self._timer is None or due < self._timer_due:
            self.stop()
            self._set_timer(due)

    def stop(self) -> None:
        """Let no more time entries be appended until the next look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def rest(self) -> None:
        """Stop, and wait until nothing is on its way to the log."""
        self.stop()
        if self._appending is not None:
            await self._appending

    def abandon(self) -> None:
        """Stop at once, whatever is on its way."""
        self.stop()
        if self._appending is not None:
            self._appending.cancel()

    @property
    def _on_its_way(self) -> bool:
        return self._appending is not None or self._awaited is not None

    def _set_timer(self, due: int) -> None:
        wait = (due - self._skew - _wall_clock()) / MICROSECONDS_PER_SECOND
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._fire)

    def _fire(self) -> None:
        self._timer = None
        due = None if self._on_its_way else self._next_due()
        if due is None:
            return
        now = _wall_clock() + self._skew
        if due > now:
            self._set_timer(due)
        elif time.monotonic() - self._taken_at < QUIET_S:
            self._set_timer(now + int(QUIET_S * MICROSECONDS_PER_SECOND))
        else:
            self._appending = asyncio.create_task(self._bring())

    async def _bring(self) -> None:
        before = _wall_clock()
        try:
            appended = await self._append()
        except Exception as error:  # noqa: BLE001 - whatever it is, the partition has to stop
            self._failed(error)
            return
        finally:
            self._appending = None
        self._skew = appended.at - before
        if self._taken < appended.offset:
            self._awaited = appended.offset
        self.look()


def _wall_clock() -> int:
    """The time of day as an instant."""
    return time.time_ns() // 1_000
