"""What holds for every run, however often it crashed: one function per invariant.

Each gives one sentence per violation, and nothing where all is well.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine.contracts import records
from engine.contracts.records import KeyRecord, ReservationRecord, SkuRecord
from engine.core.figures import Standing
from engine.embedded.view import View
from engine.rules.loader import load_rules
from engine.stores.memory import MemoryStore
from tests.simulation.runs import Machine

DISPOSITIONS = ("sellable", "inspecting", "damaged")

Told = list[dict[str, Any]]


def conservation(machine: Machine) -> Iterator[str]:
    """The lines posted add up to what is there, for every key and disposition."""
    booked: Counter[tuple[str, str, str]] = Counter()
    for document in told(machine, "erp.postings"):
        for line in document["lines"]:
            booked[line["sku"], line["location"], line["disposition"]] += line["quantity"]
    there: Counter[tuple[str, str, str]] = Counter()
    for (sku, location), key in keys(machine.store).items():
        for disposition in DISPOSITIONS:
            there[sku, location, disposition] = getattr(key, disposition)
    for each in sorted({*booked, *there}):
        if booked[each] != there[each]:
            yield f"conservation: {booked[each]} posted of {each}, {there[each]} there"


def postings_without_gaps(machine: Machine) -> Iterator[str]:
    """Documents are numbered from 1 on, one after the other."""
    numbers = [document["sequence"] for document in told(machine, "erp.postings")]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"postings: numbered {numbers}"


def reserved_is_the_sum_of_open_reservations(machine: Machine) -> Iterator[str]:
    """At every location, and for every claim."""
    held: Counter[tuple[str, str]] = Counter()
    claimed: Counter[str] = Counter()
    for name, stored in machine.store.scan(records.RESERVATION):
        sku = name[1:].decode().partition("|")[0]
        reservation = msgspec.msgpack.decode(stored, type=ReservationRecord)
        if reservation.status != records.OPEN:
            continue
        if reservation.location is None:
            claimed[sku] += reservation.left
        else:
            held[sku, reservation.location] += reservation.left
    for place, key in keys(machine.store).items():
        if key.reserved != held[place]:
            yield f"reserved: {key.reserved} at {place}, open reservations hold {held[place]}"
    for sku, record in skus(machine.store).items():
        if sum(record.claims.values()) != claimed[sku]:
            yield f"claims: {record.claims} of {sku}, open reservations hold {claimed[sku]}"


def nothing_is_oversold(machine: Machine) -> Iterator[str]:
    """Nothing is promised that is not there, as long as nothing adverse came in."""
    free: Counter[str] = Counter()
    for (sku, location), key in keys(machine.store).items():
        if key.reserved > key.sellable:
            yield f"oversold: {sku} at {location}: {key.reserved} reserved of {key.sellable}"
        free[sku] += key.sellable - key.reserved
    for sku, record in skus(machine.store).items():
        claims = sum(record.claims.values())
        if claims > free[sku]:
            yield f"oversold: {claims} of {sku} are claimed, {free[sku]} are free"


def what_rests_is_published(machine: Machine) -> Iterator[str]:
    """At the end every key's last publication is its value, computed anew from the stock."""
    last: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    rules = load_rules(machine.rules)
    for channel in rules.channels:
        for record in told(machine, f"availability.{channel.name}"):
            last[channel.name, record["sku"], record["location"]] = record
    view = View(machine.store)
    for sku, stored in skus(machine.store).items():
        if not stored.trail:
            continue
        for key in view.availability(rules, sku):
            published = last.pop((key.channel, sku, key.location), None)
            if published is None:
                yield f"rest: {sku} at {key.location} was never told to {key.channel}"
            elif (published["available"], published["status"]) != (key.computed, key.status):
                yield f"rest: {key} was told as {published}"
    for key_told in last:
        yield f"rest: {key_told} was told and is not there"


def versions_increase(machine: Machine) -> Iterator[str]:
    """From publication to publication of a key, and each tells something new."""
    for path in sorted(machine.out.glob("availability.*.ndjson")):
        before: dict[tuple[str, str | None], dict[str, Any]] = {}
        for record in told(machine, path.name.removesuffix(".ndjson")):
            key = (record["sku"], record["location"])
            earlier = before.get(key)
            before[key] = record
            if earlier is None:
                continue
            if record["version"] <= earlier["version"]:
                yield f"versions: {record} follows {earlier}"
            if (record["available"], record["status"]) == (earlier["available"], earlier["status"]):
                yield f"versions: nothing new in {record}"


def snapshots_are_whole(machine: Machine) -> Iterator[str]:
    """Every header is followed by its rows and its trailer."""
    rows, header = 0, None
    for record in told(machine, "reconciliation.snapshots"):
        kind = record.get("kind")
        if kind == "header":
            rows, header = 0, record
        elif kind != "trailer":
            rows += 1
        elif header is None or not rows == record["rows"] == header["rows"]:
            yield f"snapshots: {rows} rows before {record}"


def outcomes_add_up(machine: Machine) -> Iterator[str]:
    """Every movement received has one outcome, every exception and decision is counted."""
    figures = standing(machine.store).figures
    kinds = (figures.applied, figures.duplicate, figures.absorbed, figures.rejected)
    if figures.received != sum(kinds) + figures.refused:
        yield f"outcomes: {figures}"
    counted = {
        "exceptions": sum(figures.exceptions.values()),
        "reservations.decisions": figures.decisions,
        "erp.postings": figures.postings,
        **{f"availability.{name}": count for name, count in figures.publications.items()},
    }
    for topic, count in counted.items():
        if count != len(told(machine, topic)):
            yield f"counts: {count} of {topic}, {len(told(machine, topic))} in the file"


AT_THE_END = (
    conservation,
    postings_without_gaps,
    reserved_is_the_sum_of_open_reservations,
    versions_increase,
    snapshots_are_whole,
    outcomes_add_up,
)
AT_ANY_TIME = (reserved_is_the_sum_of_open_reservations,)
WHEN_CALM = (nothing_is_oversold,)


# --- what they look at -------------------------------------------------------------------------


def told(machine: Machine, topic: str) -> Told:
    """The records of a topic's file."""
    path = machine.out / f"{topic}.ndjson"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def keys(store: MemoryStore) -> dict[tuple[str, str], KeyRecord]:
    """Every key of the ledger."""
    found = {}
    for name, stored in store.scan(records.KEY):
        sku, _, location = name[1:].decode().partition("|")
        found[sku, location] = msgspec.msgpack.decode(stored, type=KeyRecord)
    return found


def skus(store: MemoryStore) -> dict[str, SkuRecord]:
    """Every SKU of the ledger."""
    return {
        name[1:].decode(): msgspec.msgpack.decode(stored, type=SkuRecord)
        for name, stored in store.scan(records.SKU)
    }


def standing(store: MemoryStore) -> Standing:
    """The engine's own record."""
    stored = store.get(records.META)
    return Standing() if stored is None else msgspec.msgpack.decode(stored, type=Standing)


def stock(store: MemoryStore) -> Mapping[tuple[str, str], tuple[int, ...]]:
    """The quantities and versions of every key."""
    found: dict[tuple[str, str], tuple[int, ...]] = defaultdict(tuple)
    for place, key in keys(store).items():
        state = (key.sellable, key.inspecting, key.damaged, key.reserved, key.incoming, key.version)
        found[place] = state
    return found
