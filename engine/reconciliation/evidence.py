"""What the book knows around an observation: the material from which its class is found."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine.contracts import records
from engine.contracts.instants import DAY
from engine.contracts.observations import Observation
from engine.contracts.records import KeyRecord, ReservationRecord
from engine.ledger import counts
from engine.ledger.book import DISPOSITIONS, SELLABLE, Book, Sku

LOOK_BACK: Final = DAY
"""How far before an observation a cause of a difference is looked for, microseconds."""
MOVEMENTS_LOOKED_AT: Final = 10_000
"""At most so many movements of the key are looked at, the newest first: a bound for the time that
one observation of a key with a tenth of all traffic takes."""

# When a movement occurred, and what the disposition gained by it.
Move = tuple[int, int]


class Case(NamedTuple):
    """One observation that differs, and the book around its time.

    `at` is when it was observed, `in_flight` how far from there movements may explain it, both in
    microseconds. `moves` are the movements of its disposition in order of time, and `counted` the
    instants of counts among them.
    """

    book: Book
    sku: Sku
    location: str
    key: KeyRecord
    disposition: int
    at: int
    expected: int
    observed: int
    in_flight: int
    moves: list[Move]
    counted: frozenset[int]

    @property
    def difference(self) -> int:
        """What was observed less what was expected."""
        return self.observed - self.expected


def expected_at(book: Book, sku: Sku, observation: Observation) -> int:
    """The book's quantity as of the observation's time, by all that is known now."""
    disposition = DISPOSITIONS.index(observation.disposition)
    key = book.key(sku, observation.location)
    place = book, sku, observation.location, key, disposition, observation.at
    since = counts.moved_since(*place) - counts.absorbed_since_count(*place)
    return (key.sellable, key.inspecting, key.damaged)[disposition] - since


def gather(book: Book, sku: Sku, observation: Observation, expected: int, in_flight: int) -> Case:
    """The case of an observation that differs from what was expected."""
    disposition, at = DISPOSITIONS.index(observation.disposition), observation.at
    location = observation.location
    key = book.key(sku, location)
    # Before the window of counts not every movement is remembered.
    after = max(at - max(LOOK_BACK, in_flight), book.counts_from())
    found = counts.newest_first(book, sku, location, key, after, at + in_flight)
    moves: list[Move] = []
    absorbed: list[Move] = []
    counted: set[int] = set()
    for instant, packed in islice(found, MOVEMENTS_LOOKED_AT):
        late = counts.absorbed_noted(packed, disposition)
        if late is not None:
            absorbed.append((instant, late))
        elif counts.count_noted(packed) == disposition:
            counted.add(instant)
        elif packed & counts.MARK == disposition:
            moves.append((instant, packed >> counts.DISPOSITION_BITS))
    moves.extend(absorbed)
    moves.extend(_taken_back(absorbed, sorted(counted)))
    moves.sort()
    return Case(
        book,
        sku,
        location,
        key,
        disposition,
        at,
        expected,
        observation.quantity,
        in_flight,
        moves,
        frozenset(counted),
    )


def _taken_back(absorbed: list[Move], counted: list[int]) -> Iterator[Move]:
    """Yield what the first count at or after each absorbed movement took back of it."""
    for instant, quantity in absorbed:
        place = bisect_left(counted, instant)
        if place < len(counted):
            yield counted[place], -quantity


def held_by_one_reservation(case: Case, quantity: int) -> bool:
    """Whether an open reservation at the place holds just so much."""
    return any(
        record.location == case.location and record.left == quantity
        for record in _open_reservations(case.book, case.sku)
    )


def _open_reservations(book: Book, sku: Sku) -> Iterator[ReservationRecord]:
    """Yield the SKU's open reservations: as they are in memory, or else in the store."""
    prefix = records.reservation_name(sku.name, "")
    for record in sku.reservations.values():
        if record is not None and record.status == records.OPEN:
            yield record
    for name, stored in book.reader.scan(prefix):
        if name[len(prefix) :].decode() not in sku.reservations:
            record = msgspec.msgpack.decode(stored, type=ReservationRecord)
            if record.status == records.OPEN:
                yield record


def arrived_elsewhere_untold(case: Case, quantity: int) -> bool:
    """Whether another location was told of so much arriving by transfers that nobody has told."""
    assert case.disposition == SELLABLE, "transfers take from the sellable stock"
    return any(
        key.incoming == -quantity
        for location, key in case.book.all_keys(case.sku).items()
        if location != case.location
    )
