"""Publishing rules is done one after the other in a process: each replaces what it found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from engine.embedded.counter import OverloadedError

WAIT_SECONDS: Final = 10.0
"""The longest wait for others that are publishing."""


@asynccontextmanager
async def rules_turn(one: asyncio.Lock) -> AsyncIterator[None]:
    """Have a turn to publish.

    Raises:
        OverloadedError: others are publishing for too long.
    """
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await one.acquire()
    except TimeoutError as error:
        raise OverloadedError(
            "others are publishing rules",
            "Nothing was published. Send the same again after the time that Retry-After tells.",
        ) from error
    try:
        yield
    finally:
        one.release()
