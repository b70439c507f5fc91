"""The read model in Redis: the last publication of every key, looked up by SKU and channel.

One hash for each SKU, one field in it for each channel, or `channel|location`. Beside them one hash
with the positions up to which each partition of `availability.*` has been written. A batch of rows
and the position behind it are written by one script, so Redis holds the two of one moment, whatever
happens to it: what it has lost, it has lost with the position, and is read again from there.

A value never goes back: the script compares versions. It names its keys as it goes, so it needs one
Redis (with replicas if you like), not a Redis Cluster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

import msgspec
from redis import ResponseError
from redis.asyncio import Redis

from engine.contracts.availability import Availability

VERSION_DIGITS: Final = 20
"""Versions are kept with leading zeros before each record, so that texts compare as numbers do."""
RECORD_AT: Final = VERSION_DIGITS + 1
ROWS_AT_ONCE: Final = 500
"""Rows of one call of the script: Redis does nothing else meanwhile, some milliseconds."""
TIMEOUT_S: Final = 5.0
EVICTION: Final = "maxmemory-policy"
MOVED: Final = b"moved"

WRITE: Final = f"""
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if stored ~= ARGV[2] then return {{'moved', stored}} end
local written, older = 0, 0
for place = 4, #ARGV, 3 do
  local key, field, value = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  if value == '' then
    redis.call('HDEL', key, field)
  else
    local last = redis.call('HGET', key, field)
    if last and string.sub(last, 1, {VERSION_DIGITS}) >= string.sub(value, 1, {VERSION_DIGITS}) then
      older = older + 1
    else
      redis.call('HSET', key, field, value)
      written = written + 1
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {{written, older}}
"""
"""Takes the hash of positions, and: the partition, where it must stand, where it will stand, and
for each row its hash, its field and its value (empty: the row goes away)."""


LOOK_UP: Final = """
local found = {}
for place = 1, #ARGV, 2 do
  found[#found + 1] = redis.call('HGET', ARGV[place], ARGV[place + 1])
end
return found
"""
"""Takes for each key its hash and its field, and returns the values in their order."""


class Row(NamedTuple):
    """One publication; `record` is its JSON as it was published, None where the key is gone."""

    sku: str
    field: str
    version: int
    record: bytes | None


class Written(NamedTuple):
    """What became of a batch. `moved`: Redis stood elsewhere and nothing was written."""

    written: int
    older: int
    moved: bool


def field_of(channel: str, location: str | None) -> str:
    """The field of a channel's key in the hash of its SKU."""
    return channel if location is None else f"{channel}|{location}"


class ReadModel:
    """Writes and reads the read model; all methods raise `redis.RedisError` when Redis is away."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._prefix = prefix

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    # --- writing -------------------------------------------------------------------------------

    async def positions(self, partitions: Sequence[str]) -> list[int | None]:
        """Up to where each partition has been written, None where nothing of it is known."""
        if not partitions:
            return []
        asked = self._redis.hmget(self._positions, list(partitions))
        found: list[bytes | None] = await cast("Awaitable[list[bytes | None]]", asked)
        return [None if each is None else int(each) for each in found]

    async def write(
        self, partition: str, at: int | None, batches: Iterable[tuple[int, Sequence[Row]]]
    ) -> Written:
        """Write rows of a partition that stands at `at`; each batch with the position behind it.

        When somebody else has moved the position, or Redis has lost it, nothing is written.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for after, rows in batches:
            words: list[str | bytes] = [partition, "" if at is None else str(at), str(after)]
            for row in rows:
                words += [self._key(row.sku), row.field, _value(row)]
            pipeline.eval(WRITE, 1, self._positions, *words)
            at = after
        answers = await pipeline.execute()
        if any(first == MOVED for first, _ in answers):
            return Written(0, 0, moved=True)
        return Written(sum(each[0] for each in answers), sum(each[1] for each in answers), False)

    async def evicts(self) -> bool:
        """Whether this Redis may throw keys away when its memory is full, as far as it tells."""
        try:
            found = await self._redis.config_get(EVICTION)
        except ResponseError:
            return False  # a service that does not show its settings
        return bool(found.get(EVICTION) != "noeviction")

    # --- looking up ----------------------------------------------------------------------------

    async def lookup(self, sku: str, channel: str | None = None) -> list[Availability]:
        """The last publications of a SKU, on all channels or one, by channel and location."""
        asked = self._redis.hgetall(self._key(sku))
        stored = await cast("Awaitable[Mapping[bytes, bytes]]", asked)
        return [
            _decode(stored[name][RECORD_AT:])
            for name in sorted(stored)
            if channel is None or name.decode().partition("|")[0] == channel
        ]

    async def lookup_many(self, keys: Sequence[tuple[str, str]]) -> list[Availability | None]:
        """The last publications of (SKU, field) keys, None for a key that was never published."""
        if len(keys) == 1:
            ((sku, field),) = keys
            asked = self._redis.hget(self._key(sku), field)
            return [_read(await cast("Awaitable[bytes | None]", asked))]
        words = [word for sku, field in keys for word in (self._key(sku), field)]
        # One command: a pipeline costs the client some 20 us for each key.
        told = self._redis.eval(LOOK_UP, 0, *words)
        return [_read(found) for found in await cast("Awaitable[list[bytes | None]]", told)]

    @property
    def _positions(self) -> str:
        return f"{self._prefix}:positions"

    def _key(self, sku: str) -> str:
        return f"{self._prefix}:sku:{sku}"


_decode = msgspec.json.Decoder(Availability).decode


def _read(stored: bytes | None) -> Availability | None:
    return None if stored is None else _decode(stored[RECORD_AT:])


def _value(row: Row) -> bytes:
    if row.record is None:
        return b""
    return b"%0*d %b" % (VERSION_DIGITS, row.version, row.record)
