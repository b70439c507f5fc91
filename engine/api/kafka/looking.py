"""Lookups: published numbers from the read model, all else from the copy of the ledger's tables.

Whatever needs several records of one SKU finds them in one table, which does not change while a
function runs: the copy is read, and kept up, by one event loop.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from redis import RedisError

from engine.api.kafka.remembered import redis_away
from engine.api.kafka.replica import Replica
from engine.api.kafka.rules import RulesInForce
from engine.contracts import records
from engine.contracts.answers import KeyShown, PublishedKey, Stock, stock_line
from engine.contracts.availability import Availability
from engine.contracts.calls import LookupKey
from engine.contracts.instants import parse_instant
from engine.contracts.records import KeyRecord, PublishedRecord, SkuRecord
from engine.core.figures import Standing
from engine.embedded.looking import ROWS_READ, at_slot, channel_of, check_key
from engine.embedded.shown import NumberExplained, key_shown, number_explained, published_key
from engine.embedded.view import Published, View
from engine.kafka.channel_publisher import STATUS_NUMBERS
from engine.kafka.partitioning import partition_of
from engine.kafka.read_model import ReadModel, field_of
from engine.rules.model import Channel
from engine.rules.ruleset import RuleSet

_decode_sku: Final = msgspec.msgpack.Decoder(SkuRecord).decode
_decode_key: Final = msgspec.msgpack.Decoder(KeyRecord).decode

Key = tuple[str, Channel, str | None]


class Looking:
    """The readers' side of one process."""

    def __init__(self, replica: Replica, rules: RulesInForce, model: ReadModel) -> None:
        self._replica = replica
        self._rules = rules
        self._model = model

    def view(self, sku: str, published: Published | None = None) -> View:
        """A view of the partition of a SKU; `published` are the SKU's keys in the read model."""
        return View(self._replica.tables[self._partition(sku)], published)

    async def rules_of(self, sku: str) -> RuleSet:
        """The rules in force in the partition of a SKU."""
        return await self._rules.of(self._partition(sku))

    def knows(self, sku: str) -> bool:
        """Whether a movement of the SKU was ever taken."""
        return self._replica.tables[self._partition(sku)].get(records.sku_name(sku)) is not None

    def stock(self, sku: str, location: str | None) -> Stock:
        """The stock of a SKU, at one location or at each.

        Raises:
            NotFoundError: no movement has touched it.
        """
        unallocated, rows = self.view(sku).stock(sku, location)
        return Stock(sku, unallocated, [stock_line(row) for row in rows])

    def standings(self) -> list[Standing]:
        """The engine's own record in each partition."""
        return [self._replica.standing(number) for number in range(len(self._replica.tables))]

    # --- published numbers ---------------------------------------------------------------------

    async def look_up(self, keys: Sequence[LookupKey]) -> list[PublishedKey]:
        """What was told last of each key.

        Raises:
            NotFoundError: there is no such channel, or it cannot have such a key.
            RedisAwayError: Redis does not answer.
        """
        rules = await self._rules.newest()
        wanted: list[Key] = []
        for key in keys:
            channel = channel_of(rules, key.channel)
            check_key(channel, key.location)
            wanted.append((key.sku, channel, key.location))
        return await self._published(wanted)

    async def look_up_sku(
        self, sku: str, channel: str, locations: Sequence[str]
    ) -> list[PublishedKey]:
        """What a channel was told last of a SKU, at these locations or wherever it is.

        Raises:
            NotFoundError: there is no such channel, or it has no locations.
            RedisAwayError: Redis does not answer.
        """
        found = channel_of(await self._rules.newest(), channel)
        if found.by_location and not locations:
            told = await self._told_of(sku)
            places = sorted(place for name, place in told if name == channel and place is not None)
            return [self._key_told((sku, found, place), told[channel, place]) for place in places]
        wanted: list[Key] = [(sku, found, place) for place in locations or (None,)]
        for _, _, place in wanted:
            check_key(found, place)
        return await self._published(wanted)

    async def page(
        self, channel: str, after: str, limit: int
    ) -> tuple[list[PublishedKey], str | None]:
        """The next keys of a channel in order of their names, and after which to go on.

        Raises:
            NotFoundError: there is no such channel.
            RedisAwayError: Redis does not answer.
        """
        found = channel_of(await self._rules.newest(), channel)
        prefix = records.KEY if found.by_location else records.SKU
        start = prefix + after.encode() + b"\0" if after else prefix
        rows: list[PublishedKey] = []
        last_read = after
        names = self._names(prefix, start)
        for _ in range(-(-ROWS_READ // limit)):
            some = [name for _, name in zip(range(limit - len(rows)), names, strict=False)]
            if not some:
                return rows, None
            keys: list[Key] = []
            for name in some:
                sku, _, location = name.partition("|")
                keys.append((sku, found, location or None))
            rows += [row for row in await self._published(keys) if row.version]
            last_read = some[-1]
            if len(rows) == limit:
                break
            # What is told from here on may have changed while Redis was asked.
            names = self._names(prefix, prefix + last_read.encode() + b"\0")
        return rows, last_read

    async def shown(self, sku: str, channels: Sequence[str]) -> list[KeyShown]:
        """The keys of a SKU with their values now, and when what is pending is due.

        Raises:
            NotFoundError: no movement of the SKU was ever applied.
            RedisAwayError: Redis does not answer.
        """
        rules, told = await self.rules_of(sku), await self._told_of(sku)
        view = self.view(sku, _records(told))
        chosen = [channel_of(rules, name) for name in channels]
        return [
            key_shown(key) for each in chosen for key in view.availability(rules, sku, each.name)
        ]

    async def explain(self, sku: str, channel: str, location: str | None) -> NumberExplained:
        """Explain one number.

        Raises:
            NotFoundError: there is no such channel or key, or no movement of the SKU.
            RedisAwayError: Redis does not answer.
        """
        rules, told = await self.rules_of(sku), await self._told_of(sku)
        check_key(channel_of(rules, channel), location)
        view = self.view(sku, _records(told))
        return number_explained(view.explain(rules, sku, channel, location))

    async def _published(self, keys: Sequence[Key]) -> list[PublishedKey]:
        try:
            told = await self._model.lookup_many(
                [(sku, field_of(channel.name, location)) for sku, channel, location in keys]
            )
        except RedisError as error:
            raise redis_away(error) from error
        return [self._key_told(key, one) for key, one in zip(keys, told, strict=True)]

    async def _told_of(self, sku: str) -> dict[tuple[str, str | None], Availability]:
        try:
            told = await self._model.lookup(sku)
        except RedisError as error:
            raise redis_away(error) from error
        return {(one.channel, one.location): one for one in told}

    def _key_told(self, key: Key, told: Availability | None) -> PublishedKey:
        """A key as it was told, and since when its quantity has been another one."""
        sku, channel, location = key
        last = PublishedRecord() if told is None else _record(told)
        quantity = self._quantity(sku, channel, location)
        if quantity is not None and quantity.version and _differ(last, quantity):
            last.since = quantity.at
        return published_key(sku, channel.name, location, last)

    def _quantity(self, sku: str, channel: Channel, location: str | None) -> PublishedRecord | None:
        """What the ledger told of a key last: its publications that nothing holds back."""
        number = self._partition(sku)
        table, slots = self._replica.tables[number], self._replica.standing(number).channels
        if channel.name not in slots:
            return None
        slot = slots.index(channel.name)
        if location is None:
            stored = table.get(records.sku_name(sku))
            return None if stored is None else at_slot(_decode_sku(stored).published, slot)
        stored = table.get(records.key_name(sku, location))
        return None if stored is None else (_decode_key(stored).published or {}).get(slot)

    def _names(self, prefix: bytes, start: bytes) -> Iterator[str]:
        """The names of keys or SKUs in all partitions, in their order."""
        streams = [
            (name for name, _ in table.scan(prefix, start)) for table in self._replica.tables
        ]
        return (name[1:].decode() for name in heapq.merge(*streams))

    def _partition(self, sku: str) -> int:
        return partition_of(sku, len(self._replica.tables))


def _differ(last: PublishedRecord, quantity: PublishedRecord) -> bool:
    return not last.version or (last.value, last.status) != (quantity.value, quantity.status)


def _record(told: Availability) -> PublishedRecord:
    """A publication as the engine keeps its own."""
    cause = told.cause
    return PublishedRecord(
        value=told.available,
        status=STATUS_NUMBERS[told.status],
        version=told.version,
        at=parse_instant(told.computed_at),
        cause=(cause.source, cause.id, cause.correlation_id),
    )


def _records(told: Mapping[tuple[str, str | None], Availability]) -> Published:
    found = {key: _record(one) for key, one in told.items()}
    return lambda channel, location: found.get((channel, location))
