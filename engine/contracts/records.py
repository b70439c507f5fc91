"""What the engine keeps in its store: one struct per kind of record, and the names of their keys.

Records are MessagePack arrays, so a field may be added at the end with a default and older
records still read. Instants are microseconds since the Unix epoch; quantities are base units.

The first byte of a key tells the kind of record:

| prefix | record | key after the prefix |
|---|---|---|
| `K` | `KeyRecord` | sku, `|`, location |
| `S` | `SkuRecord` | sku |
| `R` | `ReservationRecord` | sku, `|`, reservation |
| `C` | `ChunkRecord`: movements of a key that were recent once | sku, `|`, location, `|`, number |
| `X` | reservation that expires | instant, sku, `|`, reservation |
| `F` | reservations to forget | instant, commit number |
| `P` | key whose publication is held back | channel slot, sku, `|`, location |
| `D` | SKUs touched since the last tick | commit number |
| `W` | lines of the open posting window | commit number |
| `I`, `B`, `J` | remembered identities: pages, blocks, recent | see `ledger.identities` |
| `E` | exception | number |
| `A` | when a key was last adjusted by an observation | sku, `|`, location, `|`, disposition |
| `M` | the engine's own figures | nothing |
"""

from __future__ import annotations

import msgspec

KEY = b"K"
SKU = b"S"
RESERVATION = b"R"
CHUNK = b"C"
EXPIRY = b"X"
FORGET = b"F"
PENDING = b"P"
DIRTY = b"D"
WINDOW = b"W"
IDENTITY_PAGE = b"I"
IDENTITY_BLOCK = b"B"
IDENTITY_RECENT = b"J"
EXCEPTION = b"E"
ADJUSTED = b"A"
META = b"M"

# A trace is (source, id, correlation id, type, location, quantity, occurred at): who touched a key.
Trace = tuple[str, str, str | None, str, str | None, int | None, int]

TRAIL_LENGTH = 4  # traces kept per SKU, newest last
NEVER = -(1 << 62)  # an instant before every other


class PublishedRecord(msgspec.Struct, array_like=True, gc=False):
    """The last publication of one channel key, and since when its value has differed from it.

    `version` 0 means never published; `since` 0 means that the value equals what was published.
    `log` holds the ticks of the publications inside the per-key budget's window. `blamed` is set
    while nothing but a change of rules makes the value differ.
    """

    value: int = 0
    status: int = 0
    version: int = 0
    at: int = 0
    since: int = 0
    cause: tuple[str, str, str | None] | None = None
    log: list[int] | None = None
    blamed: Trace | None = None


class KeyRecord(msgspec.Struct, array_like=True, gc=False):
    """The state of one SKU at one location.

    `incoming` is kept signed. `counted_…` hold the instant of the newest count per disposition.
    `recent` is a flat list of pairs: when a movement occurred, and its signed quantity times 4 plus
    the number of its disposition. With 3 in its place the pair is a note of a count, or of an
    absorbed movement: see `ledger.counts`. Older pairs lie in chunks numbered from `chunk_first` up
    to, not including, `chunk_next`. `base` and `short` are the values that the sums of the SKU
    contain.
    `sales` is an hour of the clock, units sold in it, and in the hour before; empty where no
    channel asks.
    """

    sellable: int = 0
    inspecting: int = 0
    damaged: int = 0
    reserved: int = 0
    incoming: int = 0
    version: int = 0
    counted_sellable: int = NEVER
    counted_inspecting: int = NEVER
    counted_damaged: int = NEVER
    base: int = 0
    short: int = 0
    recent: list[int] = []
    chunk_first: int = 0
    chunk_next: int = 0
    recent_max: int = NEVER
    published: dict[int, PublishedRecord] | None = None
    trace: Trace | None = None
    sales: list[int] = []


class SkuRecord(msgspec.Struct, array_like=True, gc=False):
    """What one SKU's locations add up to, and its publications on channels of granularity sku.

    `pools` has one sum per channel: what its locations offer after their buffers, less what is
    promised there and not there. `bases` sums `base` per coverage mask of the locations. Both are
    valid for the rules of `epoch`. `claims` are open unallocated reservations per channel slot,
    -1 for those without a channel. `published` has one place per channel slot.
    `touched_locations` are those touched since the last tick, and when they were first.
    `everywhere` tells that every location has to be looked at on the next tick: claims have moved,
    or the rules.
    """

    epoch: int = 0
    pools: list[int] = []
    bases: dict[int, int] = {}
    short: int = 0
    claims: dict[int, int] = {}
    published: list[PublishedRecord | None] = []
    trail: list[Trace] = []
    sales: list[int] = []
    touched_at: int = 0
    touched_locations: dict[str, int] = {}
    everywhere: bool = False


class ChunkRecord(msgspec.Struct, array_like=True, gc=False):
    """Movements that were recent once: their span, their sums per disposition, the pairs.

    `newest_so_far` is over this chunk and all before it, so that a reader who goes backwards
    knows when to stop.
    """

    newest_so_far: int
    oldest: int
    sums: tuple[int, int, int]
    pairs: list[int]


EARLY = 0  # steps came, the reserve has not
OPEN = 1
ENDED = 2  # fulfilled, released or rejected
EXPIRED = 3


class EarlyStep(msgspec.Struct, array_like=True, gc=False):
    """A step that came before its reserve; `quantity` None releases whatever is left."""

    type: str
    arrived_at: int
    quantity: int | None = None
    location: str | None = None
    reason: str | None = None
    correlation_id: str | None = None


class ReservationRecord(msgspec.Struct, array_like=True, gc=False):
    """One reservation of one SKU, or the steps that came before it.

    `left` is what is still held. `settled_at` is when it ended, or when the newest early step
    came: what the memory's age is measured from.
    """

    status: int = EARLY
    location: str | None = None
    channel: str | None = None
    left: int = 0
    expires: int | None = None
    confirmed: bool = False
    correlation_id: str | None = None
    expired: int = 0
    fulfilled_since: int = 0
    settled_at: int = 0
    early: list[EarlyStep] = []


def key_name(sku: str, location: str) -> bytes:
    """Return the name of the record of a SKU at a location; identifiers hold no `|`."""
    return f"K{sku}|{location}".encode()


def sku_name(sku: str) -> bytes:
    """Return the name of the record of a SKU."""
    return f"S{sku}".encode()


def reservation_name(sku: str, reservation: str) -> bytes:
    """Return the name of the record of a reservation, which is unique within its SKU."""
    return f"R{sku}|{reservation}".encode()


def numbered(prefix: bytes, number: int) -> bytes:
    """Return the name of a record that is found by its number: 8 bytes, so that order is kept."""
    return prefix + number.to_bytes(8, "big")


def after_all(prefix: bytes) -> bytes:
    """Return the first name that sorts after every name with the prefix."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
