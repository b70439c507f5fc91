"""The lock on a worker's data folder: one worker at a time, and the kernel frees it at its end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.stores.base import StoreLockedError, StoreUnreachableError

LOCK_FILE: Final = "worker.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the data folder; it is made when it is not there.

    Raises:
        StoreLockedError: another worker holds it.
        StoreUnreachableError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK_FILE).open("a")
    except OSError as error:
        raise StoreUnreachableError(
            f"the data folder {folder} cannot be used: {error.strerror}",
            "Name a folder that this user may make and write with --data.",
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreLockedError(
                f"another worker uses the data folder {folder}",
                "Give each worker a data folder of its own with --data.",
            ) from error
        os.ftruncate(handle.fileno(), 0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
