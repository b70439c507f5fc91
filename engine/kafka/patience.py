"""Waiting for brokers that are away or not ready: a worker at work ends for nothing that passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError

AGAIN_AFTER_S: Final = 0.5

_Done = TypeVar("_Done")


def passes(error: BaseException) -> bool:
    """Whether an error is of brokers that are away or not ready yet, and does not last.

    Brokers that have just started know neither their topics nor who leads them for a while; so a
    topic that they do not know is waited for too.
    """
    if not isinstance(error, KafkaError):
        return False
    return bool(error.retriable) or isinstance(error, KafkaTimeoutError)


async def patiently(work: Callable[[], Awaitable[_Done]]) -> _Done:
    """Do something again and again until the brokers let it be done, however long they are away.

    Raises:
        KafkaError: the brokers refuse it for good.
    """
    while True:
        try:
            return await work()
        except KafkaError as error:
            if not passes(error):
                raise
            log = structlog.get_logger("sellable.worker")
            log.warning("the brokers are away or not ready, trying again", error=repr(error))
        await asyncio.sleep(AGAIN_AFTER_S)
