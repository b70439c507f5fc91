"""What was asked under an Idempotency-Key, and what was answered: kept in Redis for a day.

All processes that serve the same engine share it. What a call is going to send is fixed here before
it is sent (its time of day), so whoever repeats the call sends the same movements, and the ledger
knows them again by their identities; also when the process ended before it could keep the answer.
Redis holds nothing that keeps goods from being taken twice: that is the ledger's own memory.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from engine.contracts.calls import Idempotency
from engine.contracts.errors import SellableError
from engine.contracts.instants import SECOND, parse_instant
from engine.embedded.answered import key_reused
from engine.kafka.read_model import TIMEOUT_S
from engine.kafka.settings import KafkaSettings

REMEMBERED_FOR_S: Final = 24 * 3_600
RETRY_SECONDS: Final = 1

Answer = TypeVar("Answer", bound=msgspec.Struct)


class RedisAwayError(SellableError):
    """Redis does not answer; nothing of the request was taken."""

    http_status = 503
    title = "The read model is away"
    retry_after_seconds = RETRY_SECONDS


class _Kept(msgspec.Struct, array_like=True):
    """A call as it is kept: what was asked, at which time, and the answer once there is one."""

    fingerprint: bytes
    at: str
    answer: bytes | None = None


class Asked(NamedTuple, Generic[Answer]):
    """A call: its time, whether it came before, and the answer if one was given then.

    `is_sure` tells whether it is known that a call that did not come before did not.
    """

    at: str
    before: bool
    answer: Answer | None
    is_sure: bool = True


class Remembered:
    """The calls of all processes under their idempotency keys."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
        self._prefix = f"{settings.redis_prefix}:{settings.topic_prefix}".rstrip(":")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def ask(self, asked: Idempotency | None, now: str, kind: type[Answer]) -> Asked[Answer]:
        """Look whether the call came before; from now on it has. Without a key it never has.

        Raises:
            KeyReusedError: under the same key something else was asked.
            RedisAwayError: Redis does not answer.
        """
        if asked is None:
            return Asked(now, False, None)
        name = self._name(asked)
        fresh = msgspec.msgpack.encode(_Kept(asked.fingerprint, now))
        try:
            async with self._redis.pipeline(transaction=False) as calls:
                calls.set(self._since, now, nx=True)
                calls.get(self._since)
                calls.set(name, fresh, nx=True, ex=REMEMBERED_FOR_S)
                _, since, is_new = await calls.execute()
            stored: bytes | None = None if is_new else await self._redis.get(name)
        except RedisError as error:
            raise redis_away(error) from error
        if stored is None:  # new, or forgotten between the two
            remembers = parse_instant(now) - parse_instant(since.decode())
            return Asked(now, False, None, remembers >= REMEMBERED_FOR_S * SECOND)
        kept = msgspec.msgpack.decode(stored, type=_Kept)
        if kept.fingerprint != asked.fingerprint:
            raise key_reused()
        answer = None if kept.answer is None else msgspec.msgpack.decode(kept.answer, type=kind)
        return Asked(kept.at, True, answer)

    async def keep(self, asked: Idempotency | None, at: str, answer: msgspec.Struct) -> None:
        """Remember an answer.

        Raises:
            RedisAwayError: Redis does not answer.
        """
        if asked is None:
            return
        kept = _Kept(asked.fingerprint, at, msgspec.msgpack.encode(answer))
        try:
            await self._redis.set(
                self._name(asked), msgspec.msgpack.encode(kept), ex=REMEMBERED_FOR_S
            )
        except RedisError as error:
            raise redis_away(error) from error

    @property
    def _since(self) -> str:
        """Where it stands since when Redis remembers: it may have lost what came before."""
        return f"{self._prefix}:answers-since"

    def _name(self, asked: Idempotency) -> str:
        return f"{self._prefix}:answer:{asked.digest.hex()}"


def redis_away(error: RedisError) -> RedisAwayError:
    """The error for a Redis that does not answer."""
    return RedisAwayError(
        f"Redis does not answer: {error}",
        "Send the same again after the time that Retry-After tells. A write is safe to repeat "
        "under the same Idempotency-Key.",
    )
