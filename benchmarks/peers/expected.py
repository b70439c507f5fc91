"""What must come out: the state of every SKU, and the last number of every channel.

Of a small workload the oracle says all of it, every publication included. The oracle is too slow
for the whole of INV-1: there it is a run of the embedded engine, after this was checked against the
oracle on samples, as `python -m benchmarks inv1` does. What was checked once is kept beside the
workload, until the workload or the oracle changes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from benchmarks.check import DifferentError, check_full, oracle_version
from benchmarks.inv1 import Lines
from benchmarks.inv1_lines import CHANNELS, START_MS
from benchmarks.peers.jobs import Clock
from benchmarks.process import FailedRunError, Folders, command, run_once
from benchmarks.rules import write_rules
from engine.contracts.movement import Movement
from engine.contracts.movements import MovementDecoder
from engine.embedded.folder import open_for_reading
from engine.embedded.view import View
from tests.oracle import Oracle
from tests.oracle.instants import parse_instant

DISPOSITIONS = ("sellable", "inspecting", "damaged")
SHOWN_DIFFERENCES = 5
SAMPLED_SKUS = 100
MOST_MOVEMENTS = 1_000  # of a sampled SKU: the oracle looks at all of them for each
FAR = "87600h"  # ten years: movements may lie so far from the wall clock, on either side
WALL_SETTINGS = {
    "max_future": FAR,
    "dedupe_window": FAR,
    "count_window": FAR,
    "reservation_window": FAR,
}

Keys = dict[str, list[int | None]]
Skus = dict[str, list[int]]


class Expected(msgspec.Struct):
    """The final state, and the publications.

    `keys` hold, by `sku|location`: sellable, inspecting, damaged, reserved, incoming, version, and
    the instants of the newest counts. `skus` hold what is reserved without a location, and what
    each channel was told last. `told`, of a small workload by the event clock, are all publications
    once a second; None otherwise.
    """

    keys: Keys
    skus: Skus
    refused: int
    told: list[list[Any]] | None = None


def expected_of(made: Lines, clock: Clock, small: bool = False) -> Expected:
    """What must come out of a workload.

    Raises:
        DifferentError: the engine itself does not do as the oracle.
    """
    if small:
        return _of_oracle(made, clock)
    workload = Path(made.path)
    name = clock.value
    if clock is Clock.WALL:
        name += "-before" if time.time() * 1_000 < START_MS else "-after"
    kept = workload.with_name(f"{workload.stem}-peers-{name}-{oracle_version()}.json")
    if not kept.exists():
        find = _of_engine if clock is Clock.EVENT else _of_engine_by_the_wall
        kept.write_bytes(msgspec.json.encode(find(made)))
    return msgspec.json.decode(kept.read_bytes(), type=Expected)


def write_peer_rules(folder: Path, clock: Clock, more: Mapping[str, str] | None = None) -> Path:
    """Write the rules of INV-1, with the settings that a clock needs."""
    settings = {**(WALL_SETTINGS if clock is Clock.WALL else {}), **(more or {})}
    write_rules(folder)
    if settings:
        lines = [f"{name}: {value}\n" for name, value in settings.items()]
        (folder / "engine.yaml").write_text("".join(lines), encoding="utf-8")
    return folder


def read_dump(path: Path) -> tuple[Keys, Skus]:
    """The final state that a peer wrote: keys and SKUs as `Expected` has them."""
    keys: Keys = {}
    skus: Skus = {}
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        for line in file:
            kind, sku, *rest = decode(line)
            if kind == "key":
                keys[f"{sku}|{rest[0]}"] = rest[1:]
            else:
                skus[sku] = rest
    return keys, skus


def write_dump(path: Path, keys: Keys, skus: Skus) -> None:
    """Write a final state as peers do."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for name, key in keys.items():
            file.write(encode(["key", *name.split("|"), *key]) + b"\n")
        for name, sku in skus.items():
            file.write(encode(["sku", name, *sku]) + b"\n")


def read_view(view: View, last: Mapping[str, Mapping[str, int]]) -> tuple[Keys, Skus]:
    """The state of an engine's store; `last` are the numbers told last, by SKU and channel."""
    keys: Keys = {}
    skus: Skus = {}
    for sku, told in last.items():
        claims, rows = view.stock(sku)
        skus[sku] = [claims, *(told[channel] for channel in CHANNELS)]
        for row in rows:
            state = msgspec.to_builtins(row)
            keys[f"{sku}|{state['location']}"] = _key(state)
    return keys, skus


def compare(what: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise DifferentError, with a few examples, unless both are the same."""
    if expected == found:
        return
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    shown = [
        f"  {what} {name}: expected {expected.get(name)!r}, found {found.get(name)!r}"
        for name in names[:SHOWN_DIFFERENCES]
    ]
    raise DifferentError("\n".join([f"{len(names)} of {what} differ:", *shown]))


class Publication(msgspec.Struct, gc=False):
    """What of a publication must be the same for everybody."""

    channel: str
    sku: str
    version: int
    available: int
    computed_at: str


def last_numbers(records: Iterable[Publication]) -> dict[str, dict[str, int]]:
    """By SKU and channel, what was published last."""
    last: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        last[record.sku][record.channel] = record.available
    return dict(last)


def _of_oracle(made: Lines, clock: Clock) -> Expected:
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(write_peer_rules(Path(folder) / "rules", clock), clock.value)
        now = time.time_ns() // 1_000
        for line in Path(made.path).read_bytes().splitlines():
            oracle.feed(line, now)
        oracle.finish()
    book = oracle.fingerprint_state()
    published = book["published"]
    skus = {
        sku: [
            oracle.stock(sku)["unallocated_reserved"],
            *(published[f"{channel}|{sku}|"] for channel in CHANNELS),
        ]
        for sku in oracle.world.skus
    }
    told = [
        msgspec.to_builtins(msgspec.convert(one, Publication))
        for records in oracle.publications.values()
        for one in records
    ]
    return Expected(
        keys={name: _key(state) for name, state in book["keys"].items()},
        skus=skus,
        refused=oracle.counters()["refused"],
        told=[list(one.values()) for one in told] if clock is Clock.EVENT else None,
    )


def _of_engine(made: Lines) -> Expected:
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folders = _folders(Path(temporary), Clock.EVENT)
        cost = run_once(folders, [Path(made.path)])
        check_full(made, folders, cost)
        return _read(folders, cost.summary["refused"])


def _of_engine_by_the_wall(made: Lines) -> Expected:
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folders = _folders(Path(temporary), Clock.WALL)
        words = command(folders, [made.path], ("--clock", "wall", "--once"))
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode != 0:
            raise FailedRunError(done.stderr.decode(errors="replace"))
        summary = msgspec.json.decode(done.stdout.splitlines()[-1])
        expected = _read(folders, summary["refused"])
        _check_sample(made, folders.rules, expected)
        return expected


def _check_sample(made: Lines, rules: Path, expected: Expected) -> None:
    """SKUs do not depend on each other: an oracle that is fed one of them knows all of it."""
    decode = MovementDecoder(CHANNELS).decode
    lines: defaultdict[str, list[bytes]] = defaultdict(list)
    with Path(made.path).open("rb") as file:
        for line in file:
            movement = decode(line.rstrip(b"\n"))
            if isinstance(movement, Movement):
                lines[movement.sku].append(line)
    few = [sku for sku, own in lines.items() if len(own) <= MOST_MOVEMENTS]
    now = time.time_ns() // 1_000
    for sku in sorted(few, key=lambda sku: crc32(sku.encode()))[:SAMPLED_SKUS]:
        oracle = Oracle(rules, "wall")
        for line in lines[sku]:
            oracle.feed(line, now)
        keys = {name: _key(state) for name, state in oracle.fingerprint_state()["keys"].items()}
        compare("keys", keys, {name: expected.keys.get(name) for name in keys})


def _folders(folder: Path, clock: Clock) -> Folders:
    rules = write_peer_rules(folder / "rules", clock)
    return Folders(rules, folder / "data", folder / "out")


def _read(folders: Folders, refused: int) -> Expected:
    store = open_for_reading(folders.data)
    try:
        keys, skus = read_view(View(store), last_numbers(_records(folders.out)))
    finally:
        store.close()
    return Expected(keys, skus, refused)


def _key(state: Mapping[str, Any]) -> list[int | None]:
    counted = state["counted_at"]
    instants = [None if counted[at] is None else parse_instant(counted[at]) for at in DISPOSITIONS]
    names = (*DISPOSITIONS, "reserved", "incoming", "version")
    return [*(state[name] for name in names), *instants]


def _records(out: Path) -> Iterator[Publication]:
    decode = msgspec.json.Decoder(Publication).decode
    for channel in CHANNELS:
        with (out / f"availability.{channel}.ndjson").open("rb") as file:
            for line in file:
                yield decode(line)


__all__ = [
    "DifferentError",
    "Expected",
    "Publication",
    "compare",
    "expected_of",
    "last_numbers",
    "read_dump",
    "read_view",
    "write_dump",
    "write_peer_rules",
]
