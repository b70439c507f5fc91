"""The lock on a worker's data folder: one of a kind at a time, and the kernel frees it at its end.

The folder gives a worker its name, so two of a kind with one folder would throw each other out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.stores.base import StoreLockedError, StoreUnreachableError
from engine.stores.folder_locks import ENGINE_LOCK_FILE, WORKER_LOCK_FILE, is_held


@contextmanager
def locked(folder: Path, name: str = WORKER_LOCK_FILE) -> Iterator[None]:
    """Hold the data folder; it is made when it is not there.

    `name` is of the lock's file: workers that keep state have one in common.

    Raises:
        StoreLockedError: another worker, or an embedded engine, holds it.
        StoreUnreachableError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / name).open("a")
    except OSError as error:
        raise StoreUnreachableError(
            f"the data folder {folder} cannot be used: {error.strerror}",
            "Name a folder that this user may make and write with --data.",
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use("another worker", folder) from error
        if is_held(folder, ENGINE_LOCK_FILE):
            raise _in_use("an embedded engine", folder)
        os.ftruncate(handle.fileno(), 0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _in_use(who: str, folder: Path) -> StoreLockedError:
    return StoreLockedError(
        f"{who} uses the data folder {folder}",
        "Give each worker a data folder of its own with --data.",
    )
