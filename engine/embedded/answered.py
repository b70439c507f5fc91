"""Answers that are remembered: a caller who asks again under the same key is told the same.

An answer is committed with what it tells of, so that it is there after a kill exactly when its
movements are. It is kept for a day.

| prefix | record | key after the prefix |
|---|---|---|
| `H` | `AnswerRecord` | digest of caller, call and key |
| `T` | digests that were answered | instant, commit number |
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from engine.contracts import records
from engine.contracts.calls import Idempotency
from engine.contracts.errors import UsageError
from engine.contracts.instants import DAY, MINUTE
from engine.embedded.runtime import Runtime, wall_clock

ANSWER: Final = b"H"
ANSWERED_AT: Final = b"T"
REMEMBERED_FOR: Final = DAY
DIGEST_BYTES: Final = 16
FORGET_EVERY: Final = MINUTE
FORGOTTEN_AT_ONCE: Final = 1_000
"""Records of digests, one for each group: what one look for old answers drops at most."""

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class KeyReusedError(UsageError):
    """An idempotency key came again with another request."""

    http_status = 409
    title = "The idempotency key belongs to another request"


def key_reused() -> KeyReusedError:
    """The error for a key that came again with another request."""
    return KeyReusedError(
        "this Idempotency-Key was used before, for a call with another content",
        "Use a new key for every new request, and the same one for its repetitions only.",
    )


class AnswerRecord(msgspec.Struct, array_like=True, gc=False):
    """One answer: the fingerprint of what was asked, and the answer as MessagePack."""

    fingerprint: bytes
    answer: bytes


class Answered:
    """The remembered answers of a data folder."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._unsaved: dict[bytes, AnswerRecord] = {}
        self._look_again_at = 0

    def find(self, asked: Idempotency, kind: type[_Answer]) -> _Answer | None:
        """Return the answer that was given before, None when there was none.

        Raises:
            KeyReusedError: under the same key something else was asked.
        """
        record = self._unsaved.get(asked.digest)
        if record is None:
            stored = self._runtime.store.get(ANSWER + asked.digest)
            if stored is None:
                return None
            record = msgspec.msgpack.decode(stored, type=AnswerRecord)
        if record.fingerprint != asked.fingerprint:
            raise key_reused()
        return msgspec.msgpack.decode(record.answer, type=kind)

    def keep(self, asked: Idempotency, answer: msgspec.Struct) -> None:
        """Remember an answer; it becomes part of the next commit."""
        record = AnswerRecord(asked.fingerprint, msgspec.msgpack.encode(answer))
        self._unsaved[asked.digest] = record
        self._runtime.beside(ANSWER + asked.digest, msgspec.msgpack.encode(record))

    def close_group(self) -> None:
        """Note when the group was answered, and forget what is too old; before its commit."""
        now = wall_clock()
        if self._unsaved:
            commit = self._runtime.engine.standing.commit
            name = records.numbered(records.numbered(ANSWERED_AT, now), commit)
            self._runtime.beside(name, b"".join(self._unsaved))
            self._unsaved = {}
        if now >= self._look_again_at:
            self._forget(now)

    def _forget(self, now: int) -> None:
        self._look_again_at = now + FORGET_EVERY
        horizon = now - REMEMBERED_FOR
        for dropped, (name, digests) in enumerate(self._runtime.store.scan(ANSWERED_AT)):
            if int.from_bytes(name[1:9], "big") >= horizon:
                return
            if dropped == FORGOTTEN_AT_ONCE:
                self._look_again_at = now
                return
            self._runtime.beside(name, None)
            for start in range(0, len(digests), DIGEST_BYTES):
                self._runtime.beside(ANSWER + digests[start : start + DIGEST_BYTES], None)
