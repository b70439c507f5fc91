"""Seeded streams of movements, plausible and nasty ones mixed, for the oracle and the engine.

The same seed and arguments always give the same bytes. Identities are only ever used again with
the same `occurred_at`, or directly after their first use, so that it does not matter for how long
beyond `dedupe_window` an engine remembers them.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, format_instant, parse_instant

START = parse_instant("2026-11-20T12:00:00Z")

NO_MOVEMENTS: tuple[bytes, ...] = (
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"{]}",
    b'{"id": NaN}',
    b"\xff\xfe{}",
    b'{"a": 1} {"b": 2}',
    b"{'id': 'x'}",
    b'{"id":"x","schema":2,"type":"bogus"}',
    b'{"id":"x","type":"bogus"}',
    b'{"id":"x","type":"sale"}',
)
INVALID_CHANGES: tuple[dict[str, Any], ...] = (
    {"quantity": 5.0},
    {"quantity": True},
    {"quantity": "5"},
    {"quantity": None},
    {"quantity": 0},
    {"quantity": 1_000_000_001},
    {"sku": "A|B"},
    {"sku": " A"},
    {"sku": ""},
    {"location": None},
    {"occurred_at": "2026-11-20T12:00:00"},
    {"occurred_at": "2026-02-30T12:00:00Z"},
    {"type": "transfer", "to_location": "L"},
    {"type": "reserve", "reservation": "r", "channel": "nowhere"},
    {"type": "reserve", "reservation": "r", "policy": "perhaps"},
    {"schema": 3},
    {"reason": "\u0000"},
)
"""Each makes a sound sale of 1 at L something to refuse."""


@dataclass(frozen=True)
class Shape:
    """How often something happens: chances from 0 to 1, times in microseconds."""

    span: int = 2 * HOUR
    late: float = 0.25
    very_late: float = 0.02
    duplicate: float = 0.05
    conflicting: float = 0.01
    malformed: float = 0.01
    skewed: float = 0.005
    jump: float = 0.003
    """The chance that time stands still for hours."""
    reservations: float = 0.35
    counts: float = 0.06


class _Stream:
    def __init__(
        self,
        seed: int,
        skus: Sequence[str],
        locations: Sequence[str],
        channels: Sequence[str],
        shape: Shape,
    ) -> None:
        self.random = random.Random(seed)
        self.skus, self.locations, self.channels = skus, locations, channels
        self.shape = shape
        self.number = 0
        self.timed: list[tuple[int, int, bytes]] = []
        """(arrival, order, line)"""

    def fill(self, size: int) -> None:
        """Adds about `size` lines."""
        now, step = START, max(1, self.shape.span // max(1, size))
        self._first_deliveries(size)
        while len(self.timed) < size:
            if self._happens(self.shape.jump):
                now += self.random.choice((HOUR, 5 * HOUR, 26 * HOUR, 80 * HOUR))
            now += self._rounded(int(self.random.expovariate(1) * step))
            if self._happens(self.shape.malformed):
                self._emit_line(now, self.random.choice(refused_lines()))
            elif self._happens(self.shape.reservations):
                self._reservation(now)
            elif self._happens(self.shape.counts):
                self._count(now)
            else:
                self._plain(now)

    def lines(self, size: int) -> list[tuple[int, bytes]]:
        """The lines with their times of arrival, in order of arrival."""
        return [(at, line) for at, _, line in sorted(self.timed)[:size]]

    # --- what is told ----------------------------------------------------------------

    def _first_deliveries(self, size: int) -> None:
        for sku in self.skus:
            for location in self.locations:
                if len(self.timed) < size // 4 and self._happens(0.6):
                    delivery = {"type": "receipt", "sku": sku, "location": location}
                    self._tell({**delivery, "quantity": self.random.randint(1, 60)}, START)

    def _plain(self, now: int) -> None:
        kind = self.random.choices(
            ("sale", "return", "receipt", "expect", "transfer", "adjustment", "reclassify"),
            (40, 6, 16, 5, 7, 5, 5),
        )[0]
        told: dict[str, Any] = {"type": kind, "sku": self._sku(), "location": self._location()}
        told["quantity"] = self._quantity(30 if kind == "receipt" else 5)
        if kind in ("return", "receipt", "adjustment") and self._happens(0.3):
            told["disposition"] = self.random.choice(("sellable", "inspecting", "damaged"))
        if kind in ("adjustment", "expect") and self._happens(0.4):
            told["quantity"] = -told["quantity"]
        if kind == "reclassify":
            ways = ("sellable", "inspecting", "damaged")
            told["from"], told["to"] = self.random.sample(ways, 2)
        if kind == "sale" and self._happens(0.03):
            told["reservation"] = f"never-{self.number}"
        if kind == "transfer":
            self._transfer(told, now)
            return
        self._tell(told, now)

    def _transfer(self, told: dict[str, Any], now: int) -> None:
        if len(self.locations) < 2:
            return
        others = [place for place in self.locations if place != told["location"]]
        told["to_location"] = self.random.choice(others)
        self._tell(told, now)
        arrived = self._quantity(told["quantity"])
        arrival = {
            "type": "receipt",
            "sku": told["sku"],
            "location": told["to_location"],
            "quantity": arrived if self._happens(0.3) else told["quantity"],
        }
        if self._happens(0.9):
            arrival["from_location"] = told["location"]
        self._tell(arrival, now + self._rounded(self.random.randrange(10 * MINUTE)))

    def _count(self, now: int) -> None:
        counted = {
            "type": "count",
            "sku": self._sku(),
            "location": self._location(),
            "quantity": self.random.choice((0, 1, 3, 8, 15, 40)),
        }
        if self._happens(0.25):
            counted["disposition"] = self.random.choice(("inspecting", "damaged"))
        back = self.random.choice((0, 0, SECOND, 30 * SECOND, 10 * MINUTE, 3 * HOUR, 80 * HOUR))
        counted_at = now - self._rounded(back)
        self._emit(now, self._movement(counted, counted_at))
        for _ in range(self.random.choice((0, 0, 1, 3))):
            around = self.random.choice((0, 0, -SECOND, -5 * MINUTE, 1, SECOND))
            late = {
                "type": self.random.choice(("sale", "return", "adjustment", "fulfil")),
                "sku": counted["sku"],
                "location": counted["location"],
                "quantity": self._quantity(3),
                "reservation": f"order-{self.number}",
            }
            if late["type"] == "sale":
                del late["reservation"]
            if late["type"] == "return" and "disposition" in counted:
                late["disposition"] = counted["disposition"]
            self._emit(now, self._movement(late, counted_at + around))

    def _reservation(self, now: int) -> None:
        """A reserve and what follows, each told late or early as it happens."""
        sku, name = self._sku(), f"order-{self.number}"
        common: dict[str, Any] = {"sku": sku, "reservation": name}
        quantity = self._quantity(self.random.choice((6, 6, 6, 50)))
        reserve: dict[str, Any] = {**common, "type": "reserve", "quantity": quantity}
        if self._happens(0.65):
            reserve["location"] = self._location()
        if self.channels and self._happens(0.5):
            reserve["channel"] = self.random.choice(self.channels)
        if self._happens(0.35):
            reserve["policy"] = "force"
        if self._happens(0.3):
            reserve["allow_partial"] = True
        if self._happens(0.5):
            lives = self.random.choice((-5 * SECOND, SECOND, 20 * SECOND, 5 * MINUTE, HOUR))
            reserve["expires_at"] = format_instant(now + self._rounded(lives))
        self._tell(reserve, now)
        if self._happens(0.03):
            self._tell(reserve, now + SECOND)
        if "expires_at" in reserve and self._happens(0.25):
            expires_at = parse_instant(reserve["expires_at"])
            confirmed_at = expires_at - self.random.choice((0, 1, SECOND))
            confirm = self._movement({**common, "type": "confirm"}, confirmed_at)
            self._emit(max(now, expires_at) + self.random.choice((0, MINUTE)), confirm)
        left = quantity
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            now += self._rounded(self.random.choice((0, SECOND, 15 * SECOND, 3 * MINUTE, HOUR)))
            kind = self.random.choices(
                ("confirm", "allocate", "release", "fulfil", "sale"), (25, 15, 15, 35, 10)
            )[0]
            step: dict[str, Any] = {**common, "type": kind}
            if kind in ("allocate", "fulfil", "sale"):
                step["location"] = reserve.get("location") or self._location()
                if self._happens(0.15):
                    step["location"] = self._location()
            if kind in ("fulfil", "sale") or (kind == "release" and self._happens(0.6)):
                step["quantity"] = max(1, self.random.choice((left, 1, left // 2, left + 1)))
                left = max(0, left - step["quantity"])
            self._tell(step, now)

    # --- how it is told --------------------------------------------------------------

    def _tell(self, told: dict[str, Any], now: int) -> None:
        first_ones = 5
        if self.number > first_ones and self._happens(self.shape.skewed):
            self._tell_from_the_future(told, now)
            return
        movement = self._movement(told, now)
        arrival = now
        if self._happens(self.shape.very_late):
            arrival += self.random.choice((HOUR, 30 * HOUR, 73 * HOUR))
        elif self._happens(self.shape.late):
            arrival += self.random.choice((SECOND, 10 * SECOND, 5 * MINUTE, 40 * MINUTE))
        self._emit(arrival, movement)
        if self._happens(self.shape.duplicate):
            again = dict(movement)
            if self._happens(0.3):
                again["reason"] = "sent again"
            if self._happens(0.3):
                again["some_day_a_field"] = {"a": [1]}
            self._emit(arrival + self.random.choice((0, SECOND, HOUR, 73 * HOUR)), again)
        if self._happens(self.shape.conflicting):
            other = {**movement, "sku": movement["sku"]}
            if "quantity" in movement:
                other["quantity"] = movement["quantity"] + 1 or 2
            self._emit(arrival + self.random.choice((0, SECOND, HOUR)), other)

    def _tell_from_the_future(self, told: dict[str, Any], now: int) -> None:
        """A clock that is far ahead; sent twice at most, one directly after the other."""
        movement = self._movement(told, now + self.random.choice((40 * DAY, 400 * DAY)))
        for _ in range(self.random.choice((1, 1, 2))):
            self._emit(now, movement)

    def _movement(self, told: dict[str, Any], occurred_at: int) -> dict[str, Any]:
        self.number += 1
        movement = {
            "id": f"m-{self.number}",
            "source": self.random.choice(("pos-0042", "wms-east", "oms")),
            **told,
            "occurred_at": format_instant(occurred_at),
        }
        if self._happens(0.2):
            movement["correlation_id"] = f"c-{self.number}"
        if self._happens(0.1):
            movement["reason"] = self.random.choice(("shelf check", "café", "торг", ""))
        if self._happens(0.03):
            movement["schema"] = 1
        if self._happens(0.03):
            movement["reference"] = None
        return movement

    def _emit(self, arrival: int, movement: dict[str, Any]) -> None:
        self._emit_line(arrival, json.dumps(movement, ensure_ascii=False).encode())

    def _emit_line(self, arrival: int, line: bytes) -> None:
        self.timed.append((arrival, len(self.timed), line))

    # --- chance ----------------------------------------------------------------------

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _rounded(self, duration: int) -> int:
        """Mostly whole seconds, so that ticks are met exactly."""
        unit = self.random.choice((SECOND, SECOND, 500 * MILLISECOND, MILLISECOND, 1))
        return duration - duration % unit

    def _sku(self) -> str:
        return self.random.choice(self.skus)

    def _location(self) -> str:
        return self.random.choice(self.locations)

    def _quantity(self, usual: int) -> int:
        usually = self.random.randint(1, max(1, usual))
        return 10**9 if self._happens(0.0005) else usually


def refused_lines() -> list[bytes]:
    """Lines that are always refused, whatever came before."""
    sale = {
        "id": "x",
        "source": "s",
        "type": "sale",
        "sku": "A",
        "location": "L",
        "quantity": 1,
        "occurred_at": format_instant(START),
    }
    changed = [json.dumps({**sale, **change}).encode() for change in INVALID_CHANGES]
    return [*NO_MOVEMENTS, *changed]


DEFAULT_SKUS = ("A-1", "B 2", "Ç-3", "D-4")
DEFAULT_LOCATIONS = ("store-1", "store-2", "wh-east", "wh-west")


def generate_timed(
    seed: int,
    size: int,
    skus: Sequence[str] = DEFAULT_SKUS,
    locations: Sequence[str] = DEFAULT_LOCATIONS,
    channels: Sequence[str] = (),
    shape: Shape | None = None,
) -> list[tuple[int, bytes]]:
    """(arrival instant, line) in order of arrival: for the wall clock."""
    stream = _Stream(seed, skus, locations, channels, shape or Shape())
    stream.fill(size)
    return stream.lines(size)


def generate(
    seed: int,
    size: int,
    skus: Sequence[str] = DEFAULT_SKUS,
    locations: Sequence[str] = DEFAULT_LOCATIONS,
    channels: Sequence[str] = (),
    shape: Shape | None = None,
) -> list[bytes]:
    """`size` movement lines in order of arrival."""
    return [line for _, line in generate_timed(seed, size, skus, locations, channels, shape)]
