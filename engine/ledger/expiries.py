"""When open reservations expire, the next one first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

from engine.contracts import records


class Expiry(NamedTuple):
    """A reservation of a SKU expires at an instant; due at the same one, they go by their names."""

    at: int
    sku: str
    reservation: str


class Expiries:
    """What is still to expire.

    `next` is the next instant at which something does, None: nothing will. An expiry that was
    dropped is never seen again, so a book that was just loaded and one that has been at work for
    days have the same due. `changed` are the records to be saved, by name: None deletes one.
    """

    def __init__(self) -> None:
        self.next: int | None = None
        self.changed: dict[bytes, bytes | None] = {}
        self._heap: list[Expiry] = []
        self._live: set[Expiry] = set()

    def load(self, names: Iterable[bytes]) -> None:
        """Take up the saved records of these names."""
        self._live = {_read_name(name) for name in names}
        self._heap = sorted(self._live)
        self._settle()

    def add(self, expiry: Expiry) -> None:
        """Let a reservation expire."""
        heapq.heappush(self._heap, expiry)
        self._live.add(expiry)
        self.changed[_name(expiry)] = b""
        self._settle()

    def drop(self, expiry: Expiry) -> None:
        """Let a reservation not expire; it may be that it was not to."""
        self._live.discard(expiry)
        self.changed[_name(expiry)] = None
        self._settle()

    def due(self, instant: int) -> Expiry | None:
        """Return the first that is due at the instant, None when nothing is; it stays."""
        return self._heap[0] if self.next is not None and self.next <= instant else None

    def _settle(self) -> None:
        """Leave none that was dropped at the head."""
        heap, live = self._heap, self._live
        while heap and heap[0] not in live:
            heapq.heappop(heap)
        self.next = heap[0].at if heap else None


def _name(expiry: Expiry) -> bytes:
    """Name of the record: sorted by instant, SKU, reservation."""
    instant = (expiry.at - records.NEVER).to_bytes(8, "big")
    return records.EXPIRY + instant + f"{expiry.sku}|{expiry.reservation}".encode()


def _read_name(name: bytes) -> Expiry:
    sku, _, reservation = name[9:].decode().partition("|")
    return Expiry(int.from_bytes(name[1:9], "big") + records.NEVER, sku, reservation)
