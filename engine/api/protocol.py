"""HTTP/1.1 on a connection: uvicorn's protocol, with the limits that it does not have.

uvicorn 0.54 with httptools neither limits the headers of a request nor the time that they take,
and answers what it cannot parse in plain text.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from engine.api.problems import MEDIA_TYPE, plain_problem

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of the request line and all headers."""
HEAD_SECONDS: Final = 10.0
"""The longest time from the first byte to the end of the headers, and from the connection to the
first byte."""
MAX_CONNECTIONS: Final = 1_000
MAX_THROWN_AWAY_BYTES: Final = 64 * 1024 * 1024
"""Of bodies that are sent on although they were refused: who sends more is cut off."""
RETRY_AFTER: Final = "retry-after: 1\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """A connection that is closed when its headers are too large or too slow."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_bytes = 0
        self._thrown_away = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; with too many connections already, end at once."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "there are too many connections",
                "Keep connections open and use them again; try later.",
                RETRY_AFTER,
            )
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the headers are too long by now."""
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None before the first request
        if self._head_timer is None and (cycle is None or cycle.response_complete):
            self._await_head()
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """The headers have come; those that came at once were not measured before."""
        self._in_head = False
        self._head_bytes = 0
        self._head_came()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse_head()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body has come; what was answered already is thrown away, up to a limit."""
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self._thrown_away += len(body)
            if self._thrown_away > MAX_THROWN_AWAY_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come whole."""
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Tell that the request is no HTTP, as a problem."""
        self._refuse(
            HTTPStatus.BAD_REQUEST, "the request is no HTTP/1.1", "Use an HTTP client library."
        )

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._head_bytes or self._in_head:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the headers did not come within {HEAD_SECONDS:.0f} s",
                "Send them at once.",
            )
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the headers are longer than {MAX_HEAD_BYTES:,} bytes",
            "Send fewer or shorter headers; long lists of keys go into a body.",
        )

    def _refuse(self, status: HTTPStatus, detail: str, advice: str, headers: str = "") -> None:
        """Answer with a problem, and close the connection."""
        if self.transport.is_closing():
            return
        body = msgspec.json.encode(plain_problem(status, detail, advice))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n{headers}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._head_came()
        self.transport.close()
