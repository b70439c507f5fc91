"""Work that waits and is done in the background, in order, by one task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Backlog(Generic[Item]):
    """Items that wait to be worked off, at most `room` of them.

    `work` is given what waits, at most `at_once` items; `failed` is told of the error that ends it
    all: nothing is worked off after it. Items wait for more for `patience_s` seconds, unless one of
    them `hurries`.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[None]],
        failed: Callable[[BaseException], None],
        room: int,
        at_once: int,
        patience_s: float = 0.0,
        hurries: Callable[[Item], bool] = lambda _: True,
    ) -> None:
        self._work = work
        self._failed = failed
        self._at_once = at_once
        self._patience_s = patience_s
        self._hurries = hurries
        self._waiting: asyncio.Queue[Item] = asyncio.Queue(room)
        self._task: asyncio.Task[None] | None = None
        self._has_failed = False

    def start(self) -> None:
        """Begin to work, where it does not yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def put(self, item: Item) -> None:
        """Have an item worked off; waits while too many wait already, but not after an error."""
        if not self._has_failed:
            await self._waiting.put(item)

    async def settle(self) -> None:
        """Wait until nothing waits, or until that has become impossible."""
        if self._task is None:
            return
        joined = asyncio.create_task(self._waiting.join())
        await asyncio.wait({joined, self._task}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()

    async def stop(self) -> None:
        """Stop to work, whatever waits. Stopping twice does nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        try:
            while True:
                items = [await self._waiting.get()]
                self._add_waiting(items)
                if self._patience_s and not any(map(self._hurries, items)):
                    await self._wait_for_more(items)
                await self._work(items)
                for _ in items:
                    self._waiting.task_done()
        except Exception as error:  # noqa: BLE001 - whatever it is, the partition has to stop
            self._has_failed = True
            while not self._waiting.empty():
                self._waiting.get_nowait()  # whoever waits for room goes on, and is ended elsewhere
            self._failed(error)

    def _add_waiting(self, items: list[Item]) -> None:
        while len(items) < self._at_once and not self._waiting.empty():
            items.append(self._waiting.get_nowait())

    async def _wait_for_more(self, items: list[Item]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while len(items) < self._at_once and not self._hurries(items[-1]):
                    items.append(await self._waiting.get())
        self._add_waiting(items)
