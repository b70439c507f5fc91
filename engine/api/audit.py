"""The audit record: one line for every write and every refusal, appended and never changed.

A line is written before its answer is sent. Nobody who has no key may fill the disk: of refusals
without one, a few in a second are recorded, and the next record says how many were not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from engine.api.rates import CallBucket, CallRate
from engine.contracts.errors import SellableError, UsageError

FILE_NAME: Final = "audit.ndjson"
PRIVATE: Final = 0o600
LOOK_EVERY_SECONDS: Final = 1.0
STRANGERS: Final = CallRate(10, 1.0)
"""Refusals of calls without a known key that are recorded, at most."""


class AuditError(SellableError):
    """What was done cannot be recorded, so nothing more is done."""

    http_status = 503
    title = "The audit record cannot be written"
    retry_after_seconds = 1


class AuditRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One call. `key` is the id of the key, `outcome` what became of it in a few words."""

    at: str
    request: str
    key: str | None
    name: str | None
    role: str | None
    client: str
    method: str
    path: str
    status: int
    outcome: str
    idempotency_key: str | None = None
    refusals_not_recorded: int = 0


class AuditFile:
    """The file of records; when it is renamed by somebody, a new one is begun.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as error:
            raise UsageError(
                f"cannot write the audit record {path}: {error.strerror}",
                "Name another file with --audit.",
            ) from error
        self._looked_at = monotonic()
        self._strangers = CallBucket(STRANGERS, self._looked_at)
        self._not_recorded = 0
        self._lines: list[bytes] = []
        self._written: asyncio.Future[None] | None = None
        self._encode = msgspec.json.Encoder().encode

    async def write(self, record: AuditRecord) -> None:
        """Append a record, together with those of other calls that are answered just now.

        Raises:
            AuditError: there is no room, or the disk fails.
        """
        if record.key is None and record.name is None:
            if self._strangers.take(self._monotonic()):
                self._not_recorded += 1
                return
            record.refusals_not_recorded, self._not_recorded = self._not_recorded, 0
        self._lines.append(self._encode(record))
        if self._written is None:
            # The others are ready to run: one write for all of them.
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_soon(self._write_lines)
        await self._written

    def _write_lines(self) -> None:
        written, self._written = self._written, None
        lines, self._lines = self._lines, []
        assert written is not None
        try:
            now = self._monotonic()
            if now - self._looked_at >= LOOK_EVERY_SECONDS:
                self._looked_at = now
                self._follow_rename()
            self._append(b"\n".join([*lines, b""]))
        except OSError as error:
            written.set_exception(
                AuditError(
                    f"the audit record {self._path} cannot be written: {error.strerror}",
                    "Free space on its disk. What this call asked for may have been done: send "
                    "it again with the same identities or Idempotency-Key.",
                )
            )
        else:
            written.set_result(None)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        os.write(self._file, line)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, PRIVATE)

    def _follow_rename(self) -> None:
        ours = os.fstat(self._file)
        try:
            theirs = self._path.stat()
        except FileNotFoundError:
            theirs = None
        if theirs is None or (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino):
            os.close(self._file)
            self._file = self._open()
