"""A process that serves the engine on Kafka: `sellable api`."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from engine.api.kafka.runtime import KafkaRuntime
from engine.api.server import Server
from engine.kafka.running import run_until_stopped

FINISH_SECONDS: Final = 15.0
"""How long writes that were taken may take to be answered once the process is to stop."""


def serve(runtime: KafkaRuntime, server: Server) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SellableError: it cannot start, or must not go on.
    """
    server.start()
    structlog.get_logger("sellable.api").info("listening", address=server.address)
    try:
        run_until_stopped(lambda stop: _run(runtime, server, stop))
    finally:
        server.stop()


async def _run(runtime: KafkaRuntime, server: Server, stop: asyncio.Event) -> None:
    running = asyncio.wrap_future(server.run_beside(runtime.run()))
    asked = asyncio.create_task(stop.wait())
    ends: set[asyncio.Future[Any]] = {running, asked}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        asked.cancel()
    finishing = asyncio.wrap_future(server.run_beside(runtime.finish()))
    ends = {running, finishing}
    await asyncio.wait(ends, timeout=FINISH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
