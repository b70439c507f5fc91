"""Calls that are about the same thing come one after another, within one process.

What the ledger tells of a reservation in one step then belongs to one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    """One thing: who is at it, and how many are at it or wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Turns:
    """Keeps callers apart by what they are about; what nobody is about is forgotten."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, _Turn] = {}

    @asynccontextmanager
    async def take(self, *things: Hashable) -> AsyncIterator[None]:
        """Wait until nobody else is about any of the things, and keep others off meanwhile."""
        names = sorted(set(things), key=repr)  # in one order, or two could wait for each other
        turns = [self._turns.setdefault(name, _Turn()) for name in names]
        for turn in turns:
            turn.users += 1
        held: list[_Turn] = []
        try:
            for turn in turns:
                await turn.lock.acquire()
                held.append(turn)
            yield
        finally:
            for turn in held:
                turn.lock.release()
            for name, turn in zip(names, turns, strict=True):
                turn.users -= 1
                if not turn.users:
                    del self._turns[name]
