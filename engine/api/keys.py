"""API keys: made at random, kept as hashes in one file, revoked in it.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back, and needs no salt. The
file is written whole and renamed, under a lock; a running service looks at it every second.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from engine.api.rates import parse_rate
from engine.api.roles import BY_CHANNEL, BY_SOURCE, Role
from engine.contracts.errors import CorruptStateError, NotFoundError, UsageError

FORMAT: Final = 1
FILE_NAME: Final = "keys.json"
PREFIX: Final = "slb"
ALL: Final = "*"
DEFAULT_RATE: Final = "1000/s"
ID_BYTES: Final = 4
SECRET_BYTES: Final = 32
MAX_NAME_LENGTH: Final = 60
PRIVATE: Final = 0o600


class KeyRecord(msgspec.Struct):
    """What is kept of a key. `channels` and `sources` null: the role has no such reach."""

    id: str
    name: str
    role: Role
    channels: list[str] | None
    sources: list[str] | None
    rate: str
    sha256: str
    created_at: str
    revoked_at: str | None = None

    @property
    def reach(self) -> str:
        """What the key reaches, in words."""
        if self.channels is not None:
            return "every channel" if ALL in self.channels else ", ".join(self.channels)
        if self.sources is not None:
            return "every source" if ALL in self.sources else ", ".join(self.sources)
        return "everything of its role"


class _KeyFile(msgspec.Struct):
    format: int
    keys: list[KeyRecord]


class NewKey(msgspec.Struct):
    """What a key shall be."""

    role: Role
    name: str
    channels: Sequence[str]
    sources: Sequence[str]
    rate: str = DEFAULT_RATE


def read_keys(path: Path) -> list[KeyRecord]:
    """Return the keys of a file, those that were revoked too; none when there is no file.

    Raises:
        CorruptStateError: the file is not what was written.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        found = msgspec.json.decode(text, type=_KeyFile)
    except msgspec.MsgspecError as error:
        raise _damaged(path, str(error)) from error
    if found.format != FORMAT:
        raise _damaged(path, f"format {found.format}")
    return found.keys


def create_key(path: Path, wanted: NewKey, now: str) -> tuple[str, KeyRecord]:
    """Make a key; returns it, which nobody can find out again, and what is kept of it.

    Raises:
        UsageError: the role needs a reach that is not given, or has none.
    """
    _check(wanted)
    with _changing(path) as keys:
        id = secrets.token_hex(ID_BYTES)
        while any(key.id == id for key in keys):
            id = secrets.token_hex(ID_BYTES)
        text = f"{PREFIX}_{id}_{secrets.token_hex(SECRET_BYTES)}"
        record = KeyRecord(
            id=id,
            name=wanted.name or f"{wanted.role}-{id}",
            role=wanted.role,
            channels=list(wanted.channels) if wanted.role in BY_CHANNEL else None,
            sources=list(wanted.sources) if wanted.role in BY_SOURCE else None,
            rate=wanted.rate,
            sha256=digest_of(text),
            created_at=now,
        )
        keys.append(record)
    return text, record


def revoke_key(path: Path, id: str, now: str) -> KeyRecord:
    """Revoke a key for good.

    Raises:
        NotFoundError: there is no such key.
        UsageError: it was revoked before.
    """
    with _changing(path) as keys:
        found = next((key for key in keys if key.id == id), None)
        if found is None:
            raise NotFoundError(f"there is no key {id}", "`sellable keys list` shows them all.")
        if found.revoked_at is not None:
            raise UsageError(f"the key {id} was revoked at {found.revoked_at}", "Nothing to do.")
        found.revoked_at = now
    return found


def digest_of(key: str) -> str:
    """The hash under which a key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_key(keys: Mapping[str, KeyRecord], text: str) -> KeyRecord | None:
    """Return the key of that text, by their ids, unless it is unknown or revoked."""
    parts = text.split("_", 2)
    known = keys.get(parts[1]) if len(parts) > 1 else None
    if known is None or known.revoked_at is not None:
        return None
    return known if hmac.compare_digest(known.sha256, digest_of(text)) else None


def _check(wanted: NewKey) -> None:
    role = wanted.role
    if role in BY_CHANNEL and not wanted.channels:
        raise UsageError(
            f"a {role} reaches certain channels, and none is named",
            "Name them with --channel, or all with --channel '*'.",
        )
    if role in BY_SOURCE and not wanted.sources:
        raise UsageError(
            f"a {role} sends movements of certain sources, and none is named",
            "Name them with --source, such as --source 'pos-*', or all with --source '*'.",
        )
    if (role not in BY_CHANNEL and wanted.channels) or (role not in BY_SOURCE and wanted.sources):
        raise UsageError(
            f"the reach of {role} is not limited by channel or source in this way",
            "Leave the option out: readers and reservers have channels, publishers have sources.",
        )
    if len(wanted.name) > MAX_NAME_LENGTH or not wanted.name.isprintable():
        raise UsageError(
            "the name of the key is too long or not printable",
            f"Write at most {MAX_NAME_LENGTH} printable characters.",
        )
    parse_rate(wanted.rate)


@contextmanager
def _changing(path: Path) -> Iterator[list[KeyRecord]]:
    """Give the keys to be changed, and write them when all went well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        raise UsageError(
            f"cannot write keys to {path}: {error.strerror}", "Name another file with --keys."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path)
        yield keys
        _write(path, keys)
    finally:
        os.close(lock)


def _write(path: Path, keys: list[KeyRecord]) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(file, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(_KeyFile(FORMAT, keys))))
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def _damaged(path: Path, found: str) -> CorruptStateError:
    return CorruptStateError(
        f"the file of keys {path} cannot be read: {found}",
        "Put a copy of it back, or remove it and make new keys with `sellable keys create`.",
    )
