"""The movements of INV-1, one by one and in the order in which they occur."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

CHANNEL_BUFFER_PERCENT = {"marketplace-a": 0, "marketplace-b": 2, "web-shop": 5}
CHANNELS = tuple(CHANNEL_BUFFER_PERCENT)

START_MS = 1_795_766_400_000  # 2026-11-27T08:00:00Z, milliseconds since the Unix epoch
MS_PER_SECOND = 1_000

# Thousandths of all movements that open no key. Openings are receipts mostly, and one movement in
# eight, so that all in all some 55% are sales and 13% receipts.
MIX = {
    "sale": 620,
    "receipt": 30,
    "reserve": 90,
    "fulfil": 50,
    "return": 40,
    "confirm": 30,
    "adjustment": 30,
    "transfer": 30,
    "expect": 25,
    "release": 20,
    "count": 15,
    "allocate": 10,
    "reclassify": 10,
}

OPENING_COUNT_SHARE = 0.1
SCARCE_SHARE = 0.05  # of the openings: so little stock that strict reservations are rejected
SCARCE_UNITS = 3
OPENING_UNITS = (40, 400)
RECEIPT_UNITS = (4, 20)
COUNT_UNITS = (60, 500)

SHORT_HOLD_SHARE = 0.3  # of the reservations: these expire unless confirmed
HOLD_SECONDS = (5, 60)
DECISIONS_PER_MOVEMENT = 6  # random numbers drawn ahead for each movement

Item = TypeVar("Item")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one workload; equal parameters give equal bytes."""

    movements: int = 1_000_000
    skus: int = 20_000
    locations: int = 10
    seed: int = 1
    rate: int = 10_000  # movements a second of occurred_at
    zipf: float = 1.0
    opened_before: bool = False  # every key was opened by `opening_lines`, in a run of its own

    @property
    def keys(self) -> int:
        return self.skus * self.locations


def draw_keys(workload: Workload, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draws the key of each movement by Zipf's law, its ranks permuted at random."""
    weights = 1.0 / np.arange(1, workload.keys + 1, dtype=np.float64) ** workload.zipf
    cumulative = np.cumsum(weights)
    ranks = np.searchsorted(cumulative, random.random(workload.movements) * cumulative[-1])
    permuted: npt.NDArray[np.int64] = random.permutation(workload.keys)[ranks]
    return permuted


@dataclass(slots=True)
class Held:
    """A reservation as its maker remembers it; `location` None while it is unallocated."""

    name: str
    sku: int
    location: int | None
    quantity: int


def sku_name(sku: int) -> str:
    """The SKU of a number."""
    return f"SKU-{sku:07d}"


def location_name(location: int) -> str:
    """The location of a number."""
    return f"L-{location:03d}"


class InstantText:
    """Writes instants as RFC 3339 in UTC; the text of each second is made once."""

    def __init__(self) -> None:
        self._seconds: dict[int, str] = {}

    def __call__(self, ms: int) -> str:
        """Writes an instant given in milliseconds since the Unix epoch."""
        second, rest = divmod(ms, MS_PER_SECOND)
        text = self._seconds.get(second)
        if text is None:
            text = self._seconds[second] = str(np.datetime64(second, "s"))
        return f"{text}.{rest:03d}Z"


class Writer:
    """Writes movements of the drawn types on the drawn keys, and remembers what they refer to."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        random = np.random.default_rng(workload.seed)
        count = workload.movements
        self._keys = draw_keys(workload, random).tolist()
        types = np.array(list(MIX))
        shares = np.array(list(MIX.values())) / sum(MIX.values())
        self._types: list[str] = types[random.choice(len(types), size=count, p=shares)].tolist()
        self._chances = random.random((count, DECISIONS_PER_MOVEMENT)).tolist()
        self._opened = bytearray(b"\x01" if workload.opened_before else b"\x00") * workload.keys
        self._unconfirmed: list[Held] = []
        self._unallocated: list[Held] = []
        self._open: list[Held] = []
        self._in_transit: list[tuple[int, int, int, int]] = []
        self._instant = InstantText()
        self._writers: dict[str, Callable[[int, int, int, str], str]] = {
            "sale": self._sale,
            "receipt": self._receipt,
            "reserve": self._reserve,
            "fulfil": self._fulfil,
            "return": self._return,
            "confirm": self._confirm,
            "adjustment": self._adjustment,
            "transfer": self._transfer,
            "expect": self._expect,
            "release": self._release,
            "count": self._count,
            "allocate": self._allocate,
            "reclassify": self._reclassify,
        }

    def lines(self) -> Iterator[tuple[str, bool]]:
        """Yields each movement as JSON text, and whether it opens a key."""
        locations = self._workload.locations
        opened = self._opened
        writers = self._writers
        step_ms = MS_PER_SECOND / self._workload.rate
        for index, (kind, key) in enumerate(zip(self._types, self._keys, strict=True)):
            sku, location = divmod(key, locations)
            tail = f'"occurred_at":"{self._instant(START_MS + int(index * step_ms))}"}}'
            if opened[key]:
                yield writers[kind](index, sku, location, tail), False
            else:
                opened[key] = 1
                yield self._opening(index, sku, location, tail), True

    def _head(self, index: int, source: str, kind: str, sku: int) -> str:
        return (
            f'{{"id":"{identity(self._workload.seed, index)}","source":"{source}",'
            f'"type":"{kind}","sku":"SKU-{sku:07d}",'
        )

    def _at(self, index: int, source: str, kind: str, sku: int, location: int) -> str:
        return self._head(index, source, kind, sku) + f'"location":"L-{location:03d}",'

    def _opening(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        scarce = chances[0] < SCARCE_SHARE
        quantity = 1 + int(chances[1] * SCARCE_UNITS) if scarce else pick(chances[1], OPENING_UNITS)
        kind = "count" if chances[2] < OPENING_COUNT_SHARE else "receipt"
        head = self._at(index, "wms-east", kind, sku, location)
        return f'{head}"quantity":{quantity},{tail}'

    def _sale(self, index: int, sku: int, location: int, tail: str) -> str:
        quantity = few(self._chances[index][0])
        till = f"pos-{location:04d}"
        return f'{self._at(index, till, "sale", sku, location)}"quantity":{quantity},{tail}'

    def _receipt(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        if self._in_transit and chances[0] < 0.2:
            sku, sender, location, quantity = take(self._in_transit, chances[1])
            sent = f'"from_location":"L-{sender:03d}",'
        else:
            quantity, sent = pick(chances[1], RECEIPT_UNITS), ""
        head = self._at(index, "wms-east", "receipt", sku, location)
        return f'{head}"quantity":{quantity},{sent}{tail}'

    def _return(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        disposition = '"disposition":"inspecting",' if chances[1] < 0.3 else ""
        head = self._at(index, "returns", "return", sku, location)
        return f'{head}"quantity":{few(chances[0])},{disposition}{tail}'

    def _adjustment(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        sign = "-" if chances[1] < 0.6 else ""
        disposition = '"disposition":"damaged",' if chances[2] < 0.2 else ""
        head = self._at(index, "wms-east", "adjustment", sku, location)
        return f'{head}"quantity":{sign}{few(chances[0])},{disposition}{tail}'

    def _count(self, index: int, sku: int, location: int, tail: str) -> str:
        quantity = pick(self._chances[index][0], COUNT_UNITS)
        head = self._at(index, f"pos-{location:04d}", "count", sku, location)
        return f'{head}"quantity":{quantity},{tail}'

    def _transfer(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        if self._workload.locations == 1:
            return self._sale(index, sku, location, tail)
        others = self._workload.locations - 1
        target = (location + 1 + int(chances[1] * others)) % self._workload.locations
        quantity = 1 + int(chances[0] * 6)
        self._in_transit.append((sku, location, target, quantity))
        head = self._at(index, "wms-east", "transfer", sku, location)
        return f'{head}"quantity":{quantity},"to_location":"L-{target:03d}",{tail}'

    def _expect(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        sign = "-" if chances[1] < 0.1 else ""
        head = self._at(index, "purchasing", "expect", sku, location)
        return f'{head}"quantity":{sign}{pick(chances[0], RECEIPT_UNITS)},{tail}'

    def _reclassify(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        ways = (("inspecting", "sellable"), ("inspecting", "damaged"), ("sellable", "damaged"))
        before, after = ways[int(chances[1] * len(ways))]
        head = self._at(index, "returns", "reclassify", sku, location)
        return f'{head}"quantity":{few(chances[0])},"from":"{before}","to":"{after}",{tail}'

    def _reserve(self, index: int, sku: int, location: int, tail: str) -> str:
        chances = self._chances[index]
        name = f"order-{self._workload.seed}-{index:08d}"
        quantity = few(chances[0])
        channel = CHANNELS[int(chances[1] * len(CHANNELS))]
        where: int | None = location
        terms = ""
        if chances[2] < 0.15:
            terms = f'"channel":"{channel}",'
        elif chances[2] < 0.25:
            where, terms = None, f'"channel":"{channel}",'
        elif chances[2] < 0.30:
            where = None
        elif chances[2] < 0.50:
            where = None if chances[2] < 0.35 else location
            terms = f'"channel":"{channel}","policy":"force",'
        elif chances[2] < 0.55:
            terms = '"allow_partial":true,'
        held = Held(name, sku, where, quantity)
        self._open.append(held)
        if where is None:
            self._unallocated.append(held)
        if chances[3] < SHORT_HOLD_SHARE:
            wait_ms = pick(chances[4], HOLD_SECONDS) * MS_PER_SECOND
            until = START_MS + int(index * MS_PER_SECOND / self._workload.rate) + wait_ms
            terms += f'"expires_at":"{self._instant(until)}",'
            self._unconfirmed.append(held)
        head = self._head(index, "oms", "reserve", sku)
        place = "" if where is None else f'"location":"{location_name(where)}",'
        return f'{head}{place}"quantity":{quantity},"reservation":"{name}",{terms}{tail}'

    def _confirm(self, index: int, sku: int, location: int, tail: str) -> str:
        if not self._unconfirmed:
            return self._sale(index, sku, location, tail)
        held = take(self._unconfirmed, self._chances[index][0])
        return f'{self._head(index, "oms", "confirm", held.sku)}"reservation":"{held.name}",{tail}'

    def _allocate(self, index: int, sku: int, location: int, tail: str) -> str:
        if not self._unallocated:
            return self._sale(index, sku, location, tail)
        held = take(self._unallocated, self._chances[index][0])
        held.location = location
        head = self._at(index, "oms", "allocate", held.sku, location)
        return f'{head}"reservation":"{held.name}",{tail}'

    def _release(self, index: int, sku: int, location: int, tail: str) -> str:
        if not self._open:
            return self._sale(index, sku, location, tail)
        chances = self._chances[index]
        held = take(self._open, chances[0])
        part = '"quantity":1,' if chances[1] < 0.2 else ""
        head = self._head(index, "oms", "release", held.sku)
        return f'{head}"reservation":"{held.name}",{part}{tail}'

    def _fulfil(self, index: int, sku: int, location: int, tail: str) -> str:
        if not self._open:
            return self._sale(index, sku, location, tail)
        chances = self._chances[index]
        held = take(self._open, chances[0])
        where = location if held.location is None else held.location
        at_the_till = chances[1] < 0.2
        kind, source = ("sale", f"pos-{where:04d}") if at_the_till else ("fulfil", "wms-east")
        head = self._at(index, source, kind, held.sku, where)
        return f'{head}"quantity":{held.quantity},"reservation":"{held.name}",{tail}'


def identity(seed: int, index: int) -> str:
    """The id of a movement, in the shape of a version 7 UUID."""
    return f"0199b1c4-{seed & 0xFFFF:04x}-7000-8000-{index:012x}"


def pick(chance: float, bounds: tuple[int, int]) -> int:
    """A whole number of the bounds, both included."""
    low, high = bounds
    return low + int(chance * (high - low + 1))


def few(chance: float) -> int:
    """What one line of a receipt holds: mostly one unit, never more than six."""
    return 1 + int(6 * chance**4)


def take(items: list[Item], chance: float) -> Item:
    """Removes and returns one of the items, in constant time."""
    place = int(chance * len(items))
    items[place], items[-1] = items[-1], items[place]
    return items.pop()
