"""INV-1, the standard workload: a million movements of a retailer's busiest hour, from a seed.

What it holds, and why:

* keys (SKU and location) drawn by Zipf's law with exponent 1.0, ranks permuted at random, so that a
  few keys take much of the traffic and most are touched now and then;
* all thirteen types in the proportions of `MIX`; reservations live their whole life, so confirms,
  releases, fulfilments and allocations name reservations that were made before;
* the first movement of a key opens its stock (a receipt, or a count for one in ten), and receipts
  bring in about what sales take out, so that most strict reservations find stock;
* 2% exact duplicates, four in five close behind the original, the others anywhere after it;
* 5% arrive up to 30 s late, each on its own, so that steps overtake each other;
* 0.1% malformed lines of the kinds in `REPLACED`.

`occurred_at` starts at 2026-11-27T08:00:00Z and advances at `rate` movements a second.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.inv1_lines import (
    MS_PER_SECOND,
    OPENING_UNITS,
    START_MS,
    InstantText,
    Workload,
    Writer,
    location_name,
    sku_name,
)

DUPLICATE_SHARE = 0.02
NEAR_DUPLICATE_SHARE = 0.8
NEAR_DUPLICATE_LINES = 100
LATE_SHARE = 0.05
LATE_SECONDS = 30.0
MALFORMED_SHARE = 0.001

OPENING_LEAD_SECONDS = 3_600  # openings of a run of their own occur this long before the workload
REPLACED = (  # what a broken source writes in place of what
    (b'"quantity":', b'"quantity":"2","units":'),
    (b'"type":"', b'"type":"x-'),
    (b'"sku":"SKU-', b'"sku":" SKU-'),
    (b'"source":', b'"from_system":'),
    (b'{"id":', b'{"schema":2,"id":'),
    (b'"occurred_at":"2026', b'"occurred_at":"26'),
    (b"SKU-", b"SKU\xff\xfe"),
    (b'"}', b'+25:00"}'),
)
CACHE = Path(__file__).parent / ".cache"


class Lines(msgspec.Struct, frozen=True):
    """A workload on disk, and what it holds."""

    path: str
    lines: int
    size_bytes: int
    duplicates: int
    late: int
    malformed: int
    openings: int
    types: dict[str, int]


def generate(workload: Workload, folder: Path = CACHE) -> Lines:
    """Writes the workload as NDJSON into the folder, once; says where it is and what it holds.

    It is made in a process of its own: on Linux the peak memory of a process is at least that of
    the one that started it, and this one will start a run of the engine.
    """
    path = folder / f"inv1-{fingerprint(workload)}.ndjson"
    report = path.with_suffix(".json")
    if report.exists():
        return msgspec.json.decode(report.read_bytes(), type=Lines)
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        made = other.submit(_write, workload, path).result()
    report.write_bytes(msgspec.json.encode(made))
    return made


def fingerprint(workload: Workload) -> str:
    """Names the workload by its parameters and by the code that writes it."""
    digest = hashlib.sha256(msgspec.json.encode(workload))
    for source in (Path(__file__), Path(__file__).with_name("inv1_lines.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _write(workload: Workload, path: Path) -> Lines:
    random = np.random.default_rng((workload.seed, 1))
    duplicates = int(workload.movements * DUPLICATE_SHARE)
    originals = msgspec.structs.replace(workload, movements=workload.movements - duplicates)
    lines: list[bytes] = []
    opening = np.zeros(originals.movements, dtype=np.bool_)
    for index, (line, opens) in enumerate(Writer(originals).lines()):
        lines.append(line.encode())
        opening[index] = opens
    types = Counter(_type_of(line) for line in lines)

    # Lateness and copies move a line back in the order of arrival; occurred_at stays as it is.
    arrival = np.arange(originals.movements, dtype=np.float64)
    late_share = LATE_SHARE / max(1e-9, 1.0 - opening.mean())  # openings are never late
    late = (random.random(originals.movements) < late_share) & ~opening
    delay = random.random(int(late.sum())) * LATE_SECONDS * workload.rate
    arrival[late] += delay
    copied = random.choice(originals.movements, size=duplicates, replace=False)
    near = random.random(duplicates) < NEAR_DUPLICATE_SHARE
    room = np.where(
        near, NEAR_DUPLICATE_LINES, np.maximum(0, originals.movements - arrival[copied])
    )
    copies = arrival[copied] + 0.5 + random.random(duplicates) * room
    source = np.concatenate([np.arange(originals.movements), copied])
    order = np.argsort(np.concatenate([arrival, copies]), kind="stable")

    wanted = max(1, int(workload.movements * MALFORMED_SHARE))
    broken = np.flatnonzero(~opening)
    broken = random.choice(broken, size=min(wanted, len(broken)), replace=False)
    for kind, index in enumerate(broken.tolist()):
        lines[index] = malform(lines[index], kind)

    size = 0
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for start in range(0, len(order), 50_000):
            chunk = source[order[start : start + 50_000]].tolist()
            data = b"\n".join([lines[index] for index in chunk]) + b"\n"
            size += file.write(data)
    partial.rename(path)
    return Lines(
        path=str(path),
        lines=len(order),
        size_bytes=size,
        duplicates=duplicates,
        late=int(late.sum()),
        malformed=len(broken),
        openings=int(opening.sum()),
        types=dict(types.most_common()),
    )


def _type_of(line: bytes) -> str:
    start = line.index(b'"type":"') + len(b'"type":"')
    return line[start : line.index(b'"', start)].decode()


def malform(line: bytes, kind: int) -> bytes:
    """Breaks a line in one of the ways that sources are known to break them."""
    way = kind % (len(REPLACED) + 2)
    if way == len(REPLACED):
        return line[: len(line) // 2]
    if way == len(REPLACED) + 1:
        return b"[" + line + b"]"
    before, after = REPLACED[way]
    return line.replace(before, after, 1)


def opening_lines(workload: Workload) -> Iterator[bytes]:
    """Yields one receipt for each key, an hour before the workload, in the order of the keys."""
    instant = InstantText()
    start = START_MS - OPENING_LEAD_SECONDS * MS_PER_SECOND
    step_ms = MS_PER_SECOND / workload.rate
    low, high = OPENING_UNITS
    for key in range(workload.keys):
        sku, location = divmod(key, workload.locations)
        quantity = low + key * 7919 % (high - low + 1)
        yield (
            f'{{"id":"opening-{key:08d}","source":"wms-east","type":"receipt",'
            f'"sku":"{sku_name(sku)}","location":"{location_name(location)}",'
            f'"quantity":{quantity},"occurred_at":"{instant(start + int(key * step_ms))}"}}\n'
        ).encode()


def write_openings(workload: Workload, folder: Path = CACHE) -> Path:
    """Writes `opening_lines` into the folder, once."""
    path = folder / f"openings-{fingerprint(workload)}.ndjson"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.writelines(opening_lines(workload))
        partial.rename(path)
    return path
