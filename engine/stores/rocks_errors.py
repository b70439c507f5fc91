"""RocksDB's messages in the engine's words.

rocksdict raises plain `Exception` with RocksDB's status text, so the text is all there is to
tell the kinds apart.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rocksdict import DbClosedError

from engine.contracts.errors import SellableError
from engine.stores.base import (
    StoreClosedError,
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
    StoreUnreachableError,
)

# The lock of a store is held by another process, or twice by this one.
_LOCKED = ("While lock file", "lock hold by current process")
# No space left, a file at its size limit, a quota used up.
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT))
_DAMAGED = ("Corruption:", "checksum mismatch")


def explain(error: Exception, path: Path) -> SellableError:
    """Return the error to raise for one that opening, reading or writing the store gave."""
    text = str(error)
    if isinstance(error, SellableError):
        return error
    if isinstance(error, DbClosedError):
        return StoreClosedError(f"the store in {path} was used after it had been closed")
    if any(sign in text for sign in _LOCKED):
        return StoreLockedError(
            f"another engine has this folder open: {path.parent}",
            "Stop that engine, or give this one a data folder of its own with --data.",
        )
    if any(sign in text for sign in _FULL):
        return StoreFullError(
            f"no room to write in {path}: {text}",
            "Free space or raise the limit, then start again: it goes on at the last commit.",
        )
    if any(sign in text for sign in _DAMAGED):
        return StoreDamagedError(
            f"the stored state in {path} is damaged: {text}",
            "Keep the folder for examination, and restore a copy of it or start with an empty "
            "one from the movements.",
        )
    return StoreUnreachableError(
        f"the stored state in {path} cannot be used: {text}",
        "Check that the folder is on a working disk and that this user may read and write it.",
    )
