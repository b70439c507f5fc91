"""Ending processes of a rehearsal in order."""

from __future__ import annotations

import signal
import subprocess
from typing import Final

STOP_SECONDS: Final = 60.0


def end(process: subprocess.Popen[bytes]) -> str:
    """Ask a process to end, and wait for it; return what went wrong, "" when it ended well.

    One that does not end is killed.
    """
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "it did not stop"
    return "" if status == 0 else f"it ended with {status}"
