"""Is what was measured right? Three checks, before any speed is told.

1. A workload of the same make but small enough for the oracle: every count, the whole state and
   every publication must be the oracle's.
2. The full workload: SKUs chosen by their hash; their final stock, and the last publication of
   each, its version included, must be the oracle's. SKUs do not depend on each other, so an oracle
   that is fed one SKU's movements, and told the time of all others', knows all there is to know.
3. The full workload: every line has one outcome, and the sum of all posted lines of a key and
   disposition is that key's state.

The oracle is slow: what it says of a workload is kept beside the workload, under the name of the
workload and of its own sources.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from benchmarks.inv1 import Lines, generate
from benchmarks.inv1_lines import CHANNELS, Workload
from benchmarks.process import ROOT, Cost, Folders, run_once
from benchmarks.rules import write_rules
from engine.contracts.errors import NotFoundError
from engine.contracts.movement import Movement
from engine.contracts.movements import MovementDecoder
from engine.embedded.folder import open_for_reading
from engine.embedded.view import View
from tests.oracle import Oracle

SMALL = Workload(movements=8_000, skus=150, locations=10, rate=160, seed=7)
SAMPLED_SKUS = 150
MOST_MOVEMENTS = 1_500  # of a sampled SKU: the oracle looks at all of them for each
OUTCOMES = ("applied", "duplicate", "absorbed", "rejected", "refused")
SHOWN_DIFFERENCES = 5


class Verdict(msgspec.Struct):
    """What the oracle says of some SKUs: their stock, and their last publications."""

    stock: dict[str, Any]
    published: dict[str, Any]
    counters: dict[str, Any] = {}


class DifferentError(Exception):
    """The engine and the oracle, or the engine and itself, disagree."""


def check_small(folder: Path) -> str:
    """Runs the small workload and compares everything; says what was compared.

    Raises:
        DifferentError: something differs.
    """
    folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
    made = generate(SMALL)
    cost = run_once(folders, [Path(made.path)])
    expected = _kept("small", made, lambda: _whole_verdict(made, folders.rules))
    counters = {key: cost.summary[key] for key in expected.counters}
    _same("count", expected.counters, counters)
    _same("stock", expected.stock, _stock_of(folders.data, expected.stock))
    _same("publications", expected.published, _all_publications(folders.out))
    told = sum(len(records) for records in expected.published.values())
    return f"{made.lines:,} movements, {len(expected.stock):,} SKUs and {told:,} publications"


def check_full(made: Lines, folders: Folders, cost: Cost) -> str:
    """Checks the outputs of a full run; says what was compared.

    Raises:
        DifferentError: something differs.
    """
    summary = cost.summary
    outcomes = sum(summary[outcome] for outcome in OUTCOMES)
    _same("received", {"lines": made.lines, "outcomes": made.lines}, {
        "lines": summary["received"], "outcomes": outcomes,
    })  # fmt: skip
    expected = _kept("sample", made, lambda: _sample_verdict(made, folders.rules))
    _same("stock", expected.stock, _stock_of(folders.data, expected.stock))
    published = _last_publications(folders.out, set(expected.stock))
    _same("publications", expected.published, published)
    keys = _check_postings(folders)
    return f"{len(expected.stock)} SKUs of the full run, and the postings of {keys:,} keys"


def _kept(name: str, made: Lines, ask: Callable[[], Verdict]) -> Verdict:
    workload = Path(made.path)
    path = workload.with_name(f"{workload.stem}-{name}-{oracle_version()}.json")
    if not path.exists():
        path.write_bytes(msgspec.json.encode(ask()))
    return msgspec.json.decode(path.read_bytes(), type=Verdict)


def oracle_version() -> str:
    """Names the oracle, and this check, by their sources."""
    digest = hashlib.sha256()
    for source in [*sorted((ROOT / "tests" / "oracle").glob("*.py")), Path(__file__)]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _whole_verdict(made: Lines, rules: Path) -> Verdict:
    oracle = Oracle(rules)
    for line in Path(made.path).read_bytes().splitlines():
        oracle.feed(line)
    oracle.finish()
    skus = sorted({key.partition("|")[0] for key in oracle.fingerprint_state()["keys"]})
    return Verdict(
        stock={sku: _told_stock(oracle, sku) for sku in skus},
        published={
            channel: sorted(_essence(record) for record in records)
            for channel, records in oracle.publications.items()
        },
        counters=oracle.counters(),
    )


def _sample_verdict(made: Lines, rules: Path) -> Verdict:
    lines_of, clock = _lines_by_sku(Path(made.path))
    few = [sku for sku, lines in lines_of.items() if len(lines) <= MOST_MOVEMENTS]
    sample = sorted(few, key=lambda sku: crc32(sku.encode()))[:SAMPLED_SKUS]
    verdict = Verdict({}, {})
    for sku in sample:
        oracle = Oracle(rules)
        for now, line in lines_of[sku]:
            if oracle.clock is not None:
                oracle.advance(now)
            oracle.feed(line)
        oracle.advance(clock)
        oracle.finish()
        verdict.stock[sku] = _told_stock(oracle, sku)
        for channel, records in oracle.publications.items():
            verdict.published[f"{sku}|{channel}"] = _essence(records[-1])
    return verdict


def _told_stock(oracle: Oracle, sku: str) -> dict[str, Any]:
    stock = oracle.stock(sku)
    for row in stock["locations"]:
        del row["on_hand"]  # the sum of the dispositions beside it
    return stock


def _lines_by_sku(path: Path) -> tuple[dict[str, list[tuple[int, bytes]]], int]:
    """The well-formed lines of each SKU, each with the clock before it, and the last clock."""
    decode = MovementDecoder(CHANNELS).decode
    found: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    clock = 0
    with path.open("rb") as file:
        for line in file:
            movement = decode(line.rstrip(b"\n"))
            if isinstance(movement, Movement):
                found[movement.sku].append((clock, line))
                clock = max(clock, movement.at)
    return found, clock


def _stock_of(data: Path, skus: Iterable[str]) -> dict[str, Any]:
    store = open_for_reading(data)
    try:
        view = View(store)
        return {sku: _stock(view, sku) for sku in skus}
    finally:
        store.close()


def _stock(view: View, sku: str) -> dict[str, Any]:
    unallocated, rows = view.stock(sku)
    locations = msgspec.to_builtins(rows)
    for row in locations:
        del row["sku"]
    return {"sku": sku, "unallocated_reserved": unallocated, "locations": locations}


def _all_publications(out: Path) -> dict[str, Any]:
    return {
        channel: sorted(_essence(record) for record in _records(out, channel))
        for channel in CHANNELS
    }


def _last_publications(out: Path, skus: set[str]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for channel in CHANNELS:
        for record in _records(out, channel):
            if record["sku"] in skus:
                last[f"{record['sku']}|{channel}"] = _essence(record)
    return last


def _records(out: Path, channel: str) -> Iterable[dict[str, Any]]:
    decode = msgspec.json.Decoder().decode
    with (out / f"availability.{channel}.ndjson").open("rb") as file:
        for line in file:
            yield decode(line)


def _essence(record: dict[str, Any]) -> list[Any]:
    names = ("sku", "location", "version", "available", "status", "computed_at")
    return [record[name] or "" for name in names]


def _check_postings(folders: Folders) -> int:
    posted: Counter[tuple[str, str, str]] = Counter()
    with (folders.out / "erp.postings.ndjson").open("rb") as file:
        for line in file:
            for row in json.loads(line)["lines"]:
                posted[row["sku"], row["location"], row["disposition"]] += row["quantity"]
    booked: Counter[tuple[str, str, str]] = Counter()
    store = open_for_reading(folders.data)
    try:
        view = View(store)
        for sku in {sku for sku, _, _ in posted}:
            for row in _ledger(view, sku):
                for disposition in ("sellable", "inspecting", "damaged"):
                    booked[sku, row["location"], disposition] = row[disposition]
    finally:
        store.close()
    _same(
        "posted",
        {"|".join(key): units for key, units in booked.items() if units},
        {"|".join(key): units for key, units in posted.items() if units},
    )
    return len({key[:2] for key in booked})


def _ledger(view: View, sku: str) -> list[dict[str, Any]]:
    try:
        locations: list[dict[str, Any]] = _stock(view, sku)["locations"]
    except NotFoundError:
        return []
    return locations


def _same(what: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
    different = [
        f"  {what} {key}: expected {expected.get(key)!r}, found {found.get(key)!r}"
        for key in sorted({*expected, *found})
        if expected.get(key) != found.get(key)
    ]
    if different:
        shown = [line[:400] for line in different[:SHOWN_DIFFERENCES]]
        raise DifferentError("\n".join([f"{len(different)} differ:", *shown]))
