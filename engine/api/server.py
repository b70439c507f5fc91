"""The server: uvicorn on a thread of its own, on a socket that was bound before."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from engine.api.binding import ListenError, Security
from engine.api.protocol import LimitedProtocol
from engine.telemetry.logs import hand_over

KEEP_ALIVE_SECONDS: Final = 75
STOP_SECONDS: Final = 10
"""How long calls at hand may take to end once the server is to stop."""
START_SECONDS: Final = 30.0


class Server:
    """Serves an application on a thread of its own.

    Raises:
        ListenError: certificate and key cannot be used.
    """

    def __init__(self, app: ASGIApp, taken: socket.socket, security: Security) -> None:
        self._socket = taken
        self._config = uvicorn.Config(
            app,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=security.tls_certificate,
            ssl_keyfile=security.tls_key,
        )
        _log_through_structlog()
        try:
            self._config.load()
        except (OSError, ssl.SSLError) as error:
            raise ListenError(
                f"certificate or key cannot be used: {error}",
                "Give a PEM file with the certificate chain, and one with its key.",
            ) from error
        if self._config.ssl is not None:
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = uvicorn.Server(self._config)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        host, port = self._socket.getsockname()[:2]
        scheme = "http" if self._config.ssl is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()
        self._started.wait(START_SECONDS)

    def run_beside(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Have something done on the server's own thread and loop; it is cancelled with them."""
        assert self._loop is not None, "the server was started"
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Take no more calls, let those at hand end, and return when it is over."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS * 2)
        self._socket.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._server.serve(sockets=[self._socket])


def _log_through_structlog() -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    hand_over(logger)
