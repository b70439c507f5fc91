"""What is kept of SKUs, in structs that msgspec packs in one go."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import field

NEVER: Final = -(1 << 62)
FOREVER: Final = 1 << 62
UNTOLD: Final = -1
EARLY, OPEN, ENDED, EXPIRED = range(4)


class Place(msgspec.Struct, array_like=True, gc=False):
    """The stock of a SKU at one location.

    `quantities` and `counted` go by disposition; `recent` are movements that a count may still
    need: (instant, units, disposition). `base` and `short` are what the sums of the SKU hold of it.
    """

    quantities: list[int] = field(default_factory=lambda: [0, 0, 0])
    counted: list[int] = field(default_factory=lambda: [NEVER, NEVER, NEVER])
    reserved: int = 0
    incoming: int = 0
    version: int = 0
    recent: list[tuple[int, int, int]] = []
    base: int = 0
    short: int = 0


class Early(msgspec.Struct, array_like=True, gc=False):
    """A step that came before its reserve."""

    type: str
    arrived_at: int
    quantity: int | None
    location: str | None


class Reservation(msgspec.Struct, array_like=True, gc=False):
    """A reservation, or the steps of one whose reserve has not come."""

    status: int = EARLY
    location: str | None = None
    expires: int | None = None
    correlation_id: str | None = None
    confirmed: bool = False
    left: int = 0
    expired: int = 0
    fulfilled_since: int = 0
    ended_at: int = NEVER
    early: list[Early] = []


class Sku(msgspec.Struct, array_like=True, gc=False):
    """All that is known of a SKU.

    `after`, `told` and `versions` go by channel: what its buffer leaves of all locations, what the
    channel was told last, and how often. `cause` is the source, id and correlation of what changed
    it last; None before anything was applied.
    """

    places: dict[str, Place] = {}
    reservations: dict[str, Reservation] = {}
    base: int = 0
    short: int = 0
    claims: int = 0
    after: list[int] = field(default_factory=lambda: [0, 0, 0])
    told: list[int] = field(default_factory=lambda: [UNTOLD, UNTOLD, UNTOLD])
    versions: list[int] = field(default_factory=lambda: [0, 0, 0])
    cause: tuple[str, str, str | None] | None = None


class Kept(msgspec.Struct, array_like=True):
    """Everything that a shard has to remember; `seen` goes by bucket of time and identity."""

    skus: dict[str, Sku] = {}
    seen: dict[int, dict[bytes, bytes]] = {}
    expiries: list[tuple[int, str, str]] = []
    changed: dict[str, None] = {}
    next_tick: int = FOREVER
    clock: int = NEVER
    forget_at: int = NEVER
