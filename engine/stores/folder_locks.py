"""The locks on a data folder: held by whoever keeps state in it, freed by the kernel at its end."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from engine.stores.base import StoreUnreachableError

ENGINE_LOCK_FILE: Final = "engine.lock"
"""Of an embedded engine."""
WORKER_LOCK_FILE: Final = "worker.lock"
"""Of a worker on Kafka that keeps state."""


def is_held(folder: Path, name: str) -> bool:
    """Whether somebody holds the lock of the name.

    Raises:
        StoreUnreachableError: it cannot be looked at.
    """
    try:
        file = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreachable(folder, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def unreachable(folder: Path, error: OSError) -> StoreUnreachableError:
    """The error for a data folder that this user cannot use."""
    return StoreUnreachableError(
        f"the data folder {folder} cannot be used: {error.strerror or error}",
        "Check that it is a folder, and that this user may read and write it.",
    )
