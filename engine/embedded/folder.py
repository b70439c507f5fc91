"""The data folder: what lies where in it, and how others talk to the engine that runs on it.

| in the folder | what it is |
|---|---|
| `state/` | the store (RocksDB) |
| `format` | version of all this, as JSON |
| `engine.lock` | its process id; locked by the running engine, freed by the kernel |
| `orders/` | orders of other processes, and the engine's answers |
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Final

from engine.contracts.errors import CorruptStateError, SellableError, UsageError
from engine.stores.base import StoreLockedError, StoreMissingError
from engine.stores.folder_locks import (
    ENGINE_LOCK_FILE,
    WORKER_LOCK_FILE,
    is_held,
    unreachable,
)
from engine.stores.rocks import RocksReader, RocksStore

FORMAT: Final = 1
STATE: Final = "state"
ORDERS: Final = "orders"
FORMAT_FILE: Final = "format"

_ORDER_SUFFIX: Final = ".json"
_ANSWER_SUFFIX: Final = ".answer"
_UNFINISHED_SUFFIX: Final = ".tmp"
_LOOK_EVERY_SECONDS: Final = 0.02
# Somebody who asks whether an engine runs holds the lock for a moment: try again after it.
_LOCK_ATTEMPTS: Final = 5
_LOCK_PAUSE_SECONDS: Final = 0.01


class FolderFormatError(UsageError):
    """The data folder was written by a later version of the engine."""

    title = "The data folder is of a later version"


class EngineNotRunningError(SellableError):
    """An order needs an engine that runs on the folder, and none does."""

    http_status = 503
    title = "No engine is running"


class NoAnswerError(SellableError):
    """The running engine did not answer an order in time."""

    http_status = 504
    title = "The engine did not answer"


# --- opening -----------------------------------------------------------------------------------


def open_for_writing(path: Path) -> RocksStore:
    """Open the data folder for the engine that will run on it; make it when it is not there.

    Closing the store frees the folder. Orders that no engine took are dropped.

    Raises:
        StoreLockedError: another engine has the folder open.
        FolderFormatError: a later version of the engine has written it.
        UsageError: there is a file of that name.
        SellableError: the folder or its store cannot be used; the subclasses tell why.
    """
    try:
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is no folder", "Name another one with --data.")
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise unreachable(path, error) from error
    try:
        if not _format_is_told(path):
            _write_whole(path / FORMAT_FILE, {"format": FORMAT})
        (path / ORDERS).mkdir(exist_ok=True)
        for left in (path / ORDERS).iterdir():
            left.unlink()
        return RocksStore(path / STATE, on_close=lambda: os.close(lock))
    except OSError as error:
        os.close(lock)
        raise unreachable(path, error) from error
    except SellableError:
        os.close(lock)
        raise


def make_lasting(*folders: Path) -> None:
    """Wait until the disk knows of the folders, and of what is in them by name.

    Raises:
        StoreUnreachableError: a folder, or the one it lies in, cannot be read.
    """
    for folder in folders:
        for path in (folder, folder.absolute().parent):
            try:
                file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
            except OSError as error:
                raise unreachable(path, error) from error


def open_for_reading(path: Path) -> RocksReader:
    """Open the data folder to look at it, whether an engine runs on it or not.

    Raises:
        StoreMissingError: there is no data folder.
        FolderFormatError: a later version of the engine has written it.
        SellableError: the folder or its store cannot be used; the subclasses tell why.
    """
    if not (path / STATE).is_dir():
        raise StoreMissingError(
            f"there is no data folder at {path}",
            "Name the folder that `sellable run --data` writes; it is made by the first run.",
        )
    _format_is_told(path)
    return RocksReader(path / STATE)


def is_running(path: Path) -> bool:
    """Return whether an engine has the data folder open."""
    return is_held(path, ENGINE_LOCK_FILE)


def _lock(path: Path) -> int:
    """Take the folder's lock and return the open file that holds it."""
    file = os.open(path / ENGINE_LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if attempt == _LOCK_ATTEMPTS:
                holder = os.pread(file, 32, 0).decode(errors="replace").strip()
                os.close(file)
                raise StoreLockedError(
                    f"another engine has this folder open: {path} (process {holder or 'unknown'})",
                    "Stop that engine, or give this one a data folder of its own with --data.",
                ) from error
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            break
    if is_held(path, WORKER_LOCK_FILE):
        os.close(file)
        raise StoreLockedError(
            f"a worker of an engine on Kafka uses this folder: {path}",
            "Give this engine a data folder of its own with --data.",
        )
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _format_is_told(path: Path) -> bool:
    """Return whether the folder says which version it is of; refuse one that is not ours."""
    try:
        text = (path / FORMAT_FILE).read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreachable(path, error) from error
    try:
        found = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptStateError(
            f"{path / FORMAT_FILE} does not say of which version the data folder is",
            f'If nothing else in the folder was touched, write {{"format": {FORMAT}}} into it.',
        ) from error
    if found != FORMAT:
        raise FolderFormatError(
            f"the data folder {path} has format {found}; this version of sellable reads {FORMAT}",
            "Run the version of sellable that wrote it, or a later one.",
        )
    return True


# --- orders: the side of the engine ------------------------------------------------------------


def take_orders(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the orders that have come, (name, order) in the order of their coming.

    An order is taken once: if the engine is killed before it answers, whoever placed the order
    is told so, and places it again or not.
    """
    try:
        names = sorted(
            entry.name.removesuffix(_ORDER_SUFFIX)
            for entry in (path / ORDERS).iterdir()
            if entry.name.endswith(_ORDER_SUFFIX)
        )
    except FileNotFoundError:
        return []
    orders = []
    for name in names:
        file = path / ORDERS / (name + _ORDER_SUFFIX)
        try:
            text = file.read_bytes()
            file.unlink()
        except FileNotFoundError:
            continue  # withdrawn in this very moment
        try:
            order = json.loads(text)
        except ValueError:
            order = None
        if isinstance(order, dict):
            orders.append((name, order))
        else:
            answer(path, name, {"error": "the order is not a JSON object", "advice": ""})
    return orders


def answer(path: Path, name: str, reply: dict[str, Any]) -> None:
    """Answer the order of that name."""
    _write_whole(path / ORDERS / (name + _ANSWER_SUFFIX), reply)


# --- orders: the side of whoever wants something -----------------------------------------------


def place_order(path: Path, order: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
    """Place an order with the engine that runs on the folder, and return its answer.

    Raises:
        EngineNotRunningError: no engine runs, or it ended before it answered.
        NoAnswerError: no answer came in time; an order that was not begun is withdrawn.
        StoreUnreachableError: this user may not write to the folder.
    """
    if not is_running(path):
        raise EngineNotRunningError(
            f"no engine is running on {path}",
            "Start it with `sellable run`.",
        )
    name = f"{time.time_ns() // 1_000:016x}-{secrets.token_hex(8)}"
    file = path / ORDERS / (name + _ORDER_SUFFIX)
    reply = path / ORDERS / (name + _ANSWER_SUFFIX)
    try:
        _write_whole(file, order)
        deadline = time.monotonic() + timeout_seconds
        while not reply.exists():
            if time.monotonic() >= deadline:
                raise _unanswered(path, file)
            if not is_running(path) and not reply.exists():
                file.unlink(missing_ok=True)
                raise EngineNotRunningError(
                    f"the engine on {path} ended before it answered",
                    "Start it again, look whether the order was carried out, and repeat it if not.",
                )
            time.sleep(_LOOK_EVERY_SECONDS)
        found: dict[str, Any] = json.loads(reply.read_bytes())
        reply.unlink()
    except OSError as error:
        raise unreachable(path, error) from error
    return found


def _unanswered(path: Path, file: Path) -> NoAnswerError:
    try:
        file.unlink()
    except FileNotFoundError:
        return NoAnswerError(
            f"the engine on {path} has begun the order and not answered in time",
            "It may still be carried out: look at the result before repeating it.",
        )
    return NoAnswerError(
        f"the engine on {path} did not take the order in time; it was withdrawn",
        "The engine is busy or stuck: look at its log, then try again.",
    )


def _write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file so that a reader finds all of it or none."""
    unfinished = path.with_name(path.name + _UNFINISHED_SUFFIX)
    unfinished.write_text(json.dumps(content))
    unfinished.replace(path)
