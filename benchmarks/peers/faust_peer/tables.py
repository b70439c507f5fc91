"""The state of INV-1 in Faust tables: what a batch of movements changed is set once, at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import faust
import msgspec

from benchmarks.peers.plain.ledger import WINDOW
from benchmarks.peers.plain.publications import state_rows
from benchmarks.peers.plain.shard import BUCKET, Journal, Outlet, Shard
from benchmarks.peers.plain.state import Kept, Reservation, Sku

ENTRY_BYTES: Final = 24
IDENTITY_BYTES: Final = 16
_encode = msgspec.msgpack.Encoder().encode
_decode_sku = msgspec.msgpack.Decoder(Sku).decode
_decode_reservation = msgspec.msgpack.Decoder(Reservation).decode
_decode_identities = msgspec.msgpack.Decoder(tuple[int, bytes]).decode


class Tables:
    """SKUs, reservations and identities, in RocksDB and with a changelog each.

    Identities are kept by the batch: one record for all of them, under the offset of the first.
    """

    def __init__(self, app: faust.App) -> None:
        def table(name: str) -> Any:
            return app.Table(name, partitions=1, key_type=bytes, value_type=bytes)

        self._skus = table("skus")
        self._reservations = table("reservations")
        self._identities = table("identities")

    def load(self, tick: int, outlet: Outlet, journal: Journal) -> Shard:
        """A shard that goes on where the tables are."""
        kept = Kept()
        for name, told in self._skus.items():
            kept.skus[name.decode()] = _decode_sku(told)
        for name, told in self._reservations.items():
            sku, _, reservation = name.decode().partition("|")
            reservations = kept.skus.setdefault(sku, Sku()).reservations
            reservations[reservation] = _decode_reservation(told)
        for told in self._identities.values():
            clock, entries = _decode_identities(told)
            kept.clock = max(kept.clock, clock)
            bucket = kept.seen.setdefault(clock // BUCKET, {})
            for at in range(0, len(entries), ENTRY_BYTES):
                end = at + IDENTITY_BYTES
                bucket[entries[at:end]] = entries[end : at + ENTRY_BYTES]
        shard = Shard(tick, outlet, kept, journal)
        shard.find_pending()
        return shard

    def keep(self, shard: Shard, journal: Journal, offset: int) -> None:
        """Set what a batch has changed; `offset` is that of its first movement."""
        for name in journal.skus:
            sku = shard.skus[name]
            reservations, sku.reservations = sku.reservations, {}
            self._skus[name.encode()] = _encode(sku)
            sku.reservations = reservations
        for name, reservation in journal.reservations:
            one = shard.skus[name].reservations[reservation]
            self._reservations[f"{name}|{reservation}".encode()] = _encode(one)
        if journal.identities:
            told = _encode((shard.clock, b"".join(journal.identities)))
            self._identities[b"%020d" % offset] = told
        journal.clear()

    def forget(self, clock: int) -> None:
        """Drop identities that are older than anybody has to know."""
        for name, told in list(self._identities.items()):
            if _decode_identities(told)[0] < clock - WINDOW:
                del self._identities[name]

    def rows(self) -> Iterator[bytes]:
        """The final state, as the tables have it."""
        return state_rows({name.decode(): _decode_sku(told) for name, told in self._skus.items()})
