"""What always holds, however the engine is treated: one function per invariant.

Each is given the onlooker after a commit and yields one sentence per violation, nothing where all
is well. `AFTER_EVERY_STEP` are asked after every commit, `AT_THE_END` when the story has ended.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from engine.contracts import records
from engine.core.step import Outcome
from engine.embedded.runtime import RUN
from tests.oracle.instants import parse_instant
from tests.simulation.monitor import ChannelKey, Monitor
from tests.simulation.story import CALM

DISPOSITIONS = ("sellable", "inspecting", "damaged")
OUTCOMES = ("applied", "duplicate", "absorbed", "rejected", "refused")

# Reservations that nobody needs to remember go sooner or later; it changes no result.
FORGOTTEN = (records.RESERVATION, records.FORGET)
FORGOTTEN_UNTIL = "forgotten_until"

Invariant = Callable[[Monitor], Iterator[str]]


def conservation(monitor: Monitor) -> Iterator[str]:
    """What was posted, and what the open window will post, adds up to what is there."""
    booked = Counter(monitor.booked)
    monitor.probe.close_windows()
    for posting in monitor.probe.collect().outputs.get("erp.postings", ()):
        for line in msgspec.to_builtins(posting)["lines"]:
            booked[line["sku"], line["location"], line["disposition"]] += line["quantity"]
    for (sku, location), row in monitor.now.stock.items():
        for disposition in DISPOSITIONS:
            posted = booked.pop((sku, location, disposition), 0)
            there = getattr(row, disposition)
            if posted != there:
                yield f"{posted} {disposition} posted of {sku} at {location}, {there} there"
    for key, quantity in booked.items():
        if quantity:
            yield f"{quantity} posted of {key}, nothing there"


def no_oversell(monitor: Monitor) -> Iterator[str]:
    """Nothing is promised that is not there, as long as nothing adverse came in."""
    if monitor.scene.story.kind != CALM:
        return
    for (sku, location), row in monitor.now.stock.items():
        if row.reserved > row.sellable:
            yield f"{row.reserved} of {sku} reserved at {location}, {row.sellable} there"
    for sku, ground in monitor.now.grounds.items():
        free = sum(line.sellable - line.reserved for line in ground.lines.values())
        claimed = sum(quantity for _, quantity in ground.claims)
        if claimed > free:
            yield f"{claimed} of {sku} claimed, {free} free"


def publication_equals_computation(monitor: Monitor) -> Iterator[str]:
    """Whatever is not pending was told as the oracle computes it; what differs is pending."""
    if monitor.now.sweeps or monitor.now.clock is None:
        return
    differ = list(different(monitor))
    pending = monitor.probe.pending()
    if not len(differ) <= pending <= len(differ) + monitor.keys_out_of_sight():
        yield f"{pending} keys are pending, these differ: {differ}"


def versions_increase(monitor: Monitor) -> Iterator[str]:
    """From publication to publication of a key; and each tells something new."""
    for before, record in monitor.followed:
        if before is None:
            continue
        if record["version"] <= before["version"]:
            yield f"version {record['version']} follows {before['version']}: {record}"
        if parse_instant(record["computed_at"]) < parse_instant(before["computed_at"]):
            yield f"told as of {record['computed_at']} after {before['computed_at']}: {record}"
        if (record["available"], record["status"]) == (before["available"], before["status"]):
            yield f"nothing new in {record}"


def a_reservation_resolves_once(monitor: Monitor) -> Iterator[str]:
    """What was taken is held, or was given back, fulfilled or expired, once."""
    left = dict.fromkeys(monitor.promises, 0)
    for sku, name in monitor.now.reservations:
        held = monitor.probe.reservation(sku, name)
        if held is not None and held.status == records.OPEN:
            left[sku, name] = held.left
    for place, promise in monitor.promises.items():
        early = promise.ended + left.get(place, 0) - promise.taken
        if not promise.early_least <= early <= promise.early_most:
            yield f"{place}: {left.get(place, 0)} left of {promise}"
    for place in left.keys() - monitor.promises.keys():
        yield f"{place} is open without a decision"


def reserved_is_the_sum_of_open_reservations(monitor: Monitor) -> Iterator[str]:
    """At every location, and of every claim."""
    held: Counter[tuple[str, str]] = Counter()
    claimed: Counter[str] = Counter()
    for sku, name in monitor.now.reservations:
        reservation = monitor.probe.reservation(sku, name)
        if reservation is None or reservation.status != records.OPEN:
            continue
        if reservation.location is None:
            claimed[sku] += reservation.left
        else:
            held[sku, reservation.location] += reservation.left
    for place, row in monitor.now.stock.items():
        if row.reserved != held.pop(place, 0):
            yield f"{row.reserved} reserved at {place}, not the sum of the open reservations"
    for sku, ground in monitor.now.grounds.items():
        if sum(quantity for _, quantity in ground.claims) != claimed.pop(sku, 0):
            yield f"{ground.claims} claimed of {sku}, not the sum of the open reservations"
    yield from (f"reservations without a key: {place}" for place in [*held, *claimed])


def replay_changes_nothing(monitor: Monitor) -> Iterator[str]:
    """The lines of this step told once more are dropped, whatever became of them."""
    again = [line for line, told in monitor.lines_taken() if told.outcome != "refused"]
    if not again:
        return
    batch = monitor.probe.prepare(again, lambda index: f"again:{index}")
    told: list[Outcome] = []
    monitor.probe.take(batch, 0, told)
    for line, outcome in zip(again, told, strict=False):
        # Who has jumped ahead by more than it remembers cannot tell any more: that is refused.
        if outcome.outcome not in ("duplicate", "refused"):
            yield f"{line!r} was {outcome.outcome} again"
    changes = monitor.probe.collect()
    if set(changes.outputs) - {"exceptions"}:
        yield f"lines told again were told on: {sorted(changes.outputs)}"
    if any(name[:1] in (records.KEY, records.RESERVATION) for name in changes.puts):
        yield "lines told again have changed the stock"


def rebuild_gives_the_same_bytes(monitor: Monitor) -> Iterator[str]:
    """An engine that never stopped tells the same from the same log, and stores the same."""
    twin = monitor.twin
    if twin.disagreement is not None:
        yield twin.disagreement
    expected = {topic: bytes(data) for topic, data in twin.told.items() if data}
    twin.told.clear()
    for topic in sorted({*expected, *monitor.fresh}):
        if expected.get(topic) != monitor.fresh.get(topic):
            yield f"{topic}: {monitor.fresh.get(topic)!r} instead of {expected.get(topic)!r}"
    ours = dict(monitor.scene.store.kept.scan(b""))
    ours.pop(RUN, None)
    its = dict(twin.store.scan(b""))
    for key in sorted({*ours, *its}):
        if ours.get(key) == its.get(key):
            continue
        if key[:1] in FORGOTTEN and (key not in ours or key not in its):
            continue
        one, other = _content(ours.get(key)), _content(its.get(key))
        if one != other:
            yield f"stored {key!r}: {one} instead of {other}"


def _content(stored: bytes | None) -> object:
    """Return a record as data."""
    try:
        return None if stored is None else _meaning(msgspec.msgpack.decode(stored))
    except ValueError:  # no MessagePack
        return stored


def _meaning(value: object) -> object:
    """Leave out what says nothing: in which order a map holds its keys, and sums of 0."""
    if isinstance(value, dict):
        return {
            key: _meaning(held)
            for key, held in value.items()
            if held != 0 and key != FORGOTTEN_UNTIL
        }
    if isinstance(value, list):
        return [_meaning(held) for held in value]
    return value


def every_movement_has_one_outcome(monitor: Monitor) -> Iterator[str]:
    """Received is the sum of the outcomes; what was told is what was counted."""
    figures = monitor.probe.standing.figures
    counted = {name: getattr(figures, name) for name in OUTCOMES}
    if figures.received != sum(counted.values()):
        yield f"received {figures.received}: {counted}"
    told = {
        "exceptions": sum(figures.exceptions.values()),
        "reservations.decisions": figures.decisions,
        "erp.postings": figures.postings,
        **{f"availability.{name}": count for name, count in figures.publications.items()},
    }
    for topic, count in told.items():
        if count != len(monitor.told[topic]):
            yield f"{count} counted of {topic}, {len(monitor.told[topic])} told"


def postings_have_no_gaps(monitor: Monitor) -> Iterator[str]:
    """Documents are numbered from 1 on, one after the other."""
    fresh = monitor.fresh_records.get("erp.postings", [])
    first = len(monitor.told["erp.postings"]) - len(fresh) + 1
    for number, document in enumerate(fresh, start=first):
        if document["sequence"] != number:
            yield f"document {number} has the number {document['sequence']}"


def snapshots_are_whole(monitor: Monitor) -> Iterator[str]:
    """Header, rows and trailer agree, and the digest is the rows'."""
    rows: list[bytes] = []
    header = None
    for line in monitor.fresh.get("reconciliation.snapshots", b"").splitlines(keepends=True):
        record = msgspec.json.decode(line)
        kind = record.get("kind")
        if kind == "header":
            rows, header = [], record
        elif kind != "trailer":
            rows.append(line)
        elif (
            header is None
            or not len(rows) == record["rows"] == header["rows"]
            or hashlib.sha256(b"".join(rows)).hexdigest() != record["sha256"]
        ):
            yield f"{len(rows)} rows before {record}"
        else:
            header = None
    if header is not None:
        yield f"no trailer after {header}"


def the_clock_never_goes_back(monitor: Monitor) -> Iterator[str]:
    """Whatever the wall clock does."""
    before, now = monitor.clock_before, monitor.now.clock
    if before is not None and (now is None or now < before):
        yield f"from {before} to {now}"


def different(monitor: Monitor) -> Iterator[ChannelKey]:
    """Yield the keys whose last publication is not what the oracle computes."""
    for key, value in monitor.computed().items():
        last = monitor.last.get(key)
        status = monitor.values.status(key[0], value)
        if last is None or (last["available"], last["status"]) != (value, status):
            yield key


# The last ones use up the probe: they let it take lines and close its window.
AFTER_EVERY_STEP: Final[Mapping[str, Invariant]] = MappingProxyType(
    {
        "rebuild from the log gives the same bytes": rebuild_gives_the_same_bytes,
        "versions increase": versions_increase,
        "no oversell among strict reservations": no_oversell,
        "reserved is the sum of the open reservations": reserved_is_the_sum_of_open_reservations,
        "a reservation resolves once": a_reservation_resolves_once,
        "every movement has one outcome": every_movement_has_one_outcome,
        "postings have no gaps": postings_have_no_gaps,
        "snapshots are whole": snapshots_are_whole,
        "the clock never goes back": the_clock_never_goes_back,
        "publication equals computation": publication_equals_computation,
        "replay changes nothing": replay_changes_nothing,
        "conservation": conservation,
    }
)

# What a commit can break in which nothing was stored but the engine's own figures.
WHEN_TIME_PASSES: Final = frozenset(
    {
        "rebuild from the log gives the same bytes",
        "versions increase",
        "postings have no gaps",
        "snapshots are whole",
        "the clock never goes back",
    }
)
