"""The HTTP service of `sellable run --listen`: keys, audit record, server, around one engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.api import audit, keys
from engine.api.application import create_app
from engine.api.audit import AuditFile
from engine.api.binding import Security, bind, check_exposure, parse_address
from engine.api.embedded import EmbeddedRuntime
from engine.api.keyring import KeyRing
from engine.api.runtime import Runtime as Served
from engine.api.server import Server
from engine.cli.running import Listen
from engine.embedded.loop import Visitors
from engine.embedded.runtime import Runtime

SWITCH_SECONDS: Final = 0.001
"""How long one of the two threads may run while the other wants to (5 ms by default): lookups are
answered by the one while the other takes movements."""


class EmbeddedService:
    """One engine and the server in front of it."""

    def __init__(self, runtime: EmbeddedRuntime, server: Server) -> None:
        self._runtime = runtime
        self._server = server
        self._closed = False

    @property
    def visitors(self) -> Visitors:
        """The callers, whom the loop serves."""
        return self._runtime

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        return self._server.address

    def start(self) -> None:
        """Answer calls, with the news that the engine restores its state."""
        self._server.start()

    def open(self, runtime: Runtime) -> None:
        """Serve: the engine is there."""
        self._runtime.open(runtime)

    def finish(self, runtime: Runtime) -> None:
        """Take nothing more, and finish what was accepted."""
        self._runtime.stop(runtime)

    def close(self) -> None:
        """Tell whoever still waits that nobody will serve them, and end the server."""
        if not self._closed:
            self._closed = True
            self._runtime.fail()
            self._server.stop()


@contextmanager
def listening(listen: Listen, data: Path) -> Iterator[EmbeddedService]:
    """A service that listens, and tells that it restores until it is opened.

    Raises:
        ListenError: the address cannot be had, or would not be safe.
        SellableError: keys or audit record cannot be used.
    """
    runtime = EmbeddedRuntime()
    with serving(listen, data, runtime) as server:
        service = EmbeddedService(runtime, server)
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        service.start()
        try:
            yield service
        finally:
            service.close()
            sys.setswitchinterval(before)


@contextmanager
def serving(listen: Listen, data: Path, runtime: Served) -> Iterator[Server]:
    """A server over a runtime, with keys and audit record in the data folder; not yet started.

    Raises:
        ListenError: the address cannot be had, or would not be safe.
        SellableError: keys or audit record cannot be used.
    """
    host, port = parse_address(listen.address)
    key_file = listen.keys or data / keys.FILE_NAME
    security = Security(
        bool(keys.read_keys(key_file)),
        listen.tls_certificate,
        listen.tls_key,
        listen.behind_proxy,
    )
    check_exposure(host, security)
    keyring = KeyRing(key_file, must_have_keys=security.has_keys)
    with bind(host, port) as taken:
        record = AuditFile(listen.audit or data / audit.FILE_NAME)
        try:
            app = create_app(runtime, keyring, record, listen.behind_proxy)
            yield Server(app, taken, security)
        finally:
            record.close()
