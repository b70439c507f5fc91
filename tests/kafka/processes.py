"""Real servers as child processes that never outlive the test run."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1


class MissingPartError(Exception):
    """A real part that a test needs is not there; the message holds the command to install it."""


class Child:
    """A process whose output goes to a file; killed when the test run dies, whatever kills that."""

    def __init__(
        self, words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._from = output.tell()  # what an earlier process has left there is not its own
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else {**os.environ, **environment},
                preexec_fn=_die_with_parent,
            )

    def send(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status, negative for a signal."""
        self.send(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would, stopped or not."""
        self.stop(signal.SIGKILL)

    def said(self) -> str:
        """Everything it has printed."""
        with self.log.open("rb") as told:
            told.seek(self._from)
            return told.read().decode(errors="replace")


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def until(found: Callable[[], bool], what: str, patience_s: float = PATIENCE_SECONDS) -> None:
    """Look again and again until something is there.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + patience_s
    while not found():
        assert time.monotonic() < deadline, f"it never came: {what}"
        time.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
