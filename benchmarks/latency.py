"""From a movement that is offered to the publication that it causes, with the wall clock.

Open loop: movements are offered at a fixed rate whatever the engine does, so that a stall counts
for all that should have been taken meanwhile. The engine reads its standard input on a core of its
own. What is measured of each publication is how long after the first tick that follows its cause
it stands in the output file.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inv1_lines import (
    CHANNELS,
    InstantText,
    Workload,
    draw_keys,
    location_name,
    sku_name,
)
from benchmarks.process import ROOT, FailedRunError, Folders, command, machine, on_one_core
from benchmarks.rules import write_rules

SKUS = 20_000
LOCATIONS = 10
STOCK = 1_000_000
CHUNK_SECONDS = 0.01
POLL_SECONDS = 0.002
WARM_UP_SECONDS = 3
SETTLE_SECONDS = 5.0
START_SECONDS = 60.0
TICK_SECONDS = 1.0
MS = 1_000
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Cause(msgspec.Struct):
    """The movement that a publication names."""

    id: str


class Publication(msgspec.Struct):
    """What is needed of a publication."""

    cause: Cause


@dataclass(frozen=True)
class Latency:
    """Seconds after the tick, one for each publication, at an offered rate of movements."""

    rate: int
    offered: int
    after_tick: list[float]


class Watcher(threading.Thread):
    """Notes how long a file is, and when."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.seen: list[tuple[float, int]] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Looks every `POLL_SECONDS` until `done`."""
        length = 0
        while not self.done.wait(POLL_SECONDS):
            size = self.path.stat().st_size if self.path.exists() else 0
            if size > length:
                length = size
                self.seen.append((time.time(), size))


def measure_latency(rate: int, seconds: int, tell: Callable[[str], None]) -> Latency:
    """Offers `rate` movements a second for `seconds`, after a warm-up, and measures.

    Raises:
        FailedRunError: the engine ended, or did not begin.
    """
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folder = Path(temporary)
        folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
        with on_one_core():
            process = subprocess.Popen(
                command(folders, ["-"], ("--clock", "wall")), cwd=ROOT, stdin=subprocess.PIPE
            )
        assert process.stdin is not None
        try:
            tell("opening every key")
            _open_keys(process.stdin, folders)
            watchers = [Watcher(_file(folders, channel)) for channel in CHANNELS]
            for watcher in watchers:
                watcher.start()
            tell(f"offering {rate:,} movements a second for {WARM_UP_SECONDS + seconds} s")
            offered_at = _offer(process.stdin, rate, WARM_UP_SECONDS + seconds)
            time.sleep(SETTLE_SECONDS)
            for watcher in watchers:
                watcher.done.set()
                watcher.join()
            if process.poll() is not None:
                raise FailedRunError("the engine ended before its inputs did")
        finally:
            process.stdin.close()
            process.terminate()
            process.wait()
        first = WARM_UP_SECONDS * rate
        late = [one for watcher in watchers for one in _after_tick(watcher, offered_at, first)]
    return Latency(rate, seconds * rate, late)


def _file(folders: Folders, channel: str) -> Path:
    return folders.out / f"availability.{channel}.ndjson"


def opening_lines() -> Iterator[bytes]:
    """One receipt for each key, in an order that opens the SKUs one after the other, as of now."""
    now = InstantText()(int(time.time() * MS))
    for sku in range(SKUS):
        for location in range(LOCATIONS):
            yield (
                f'{{"id":"open-{sku}-{location}","source":"wms","type":"receipt",'
                f'"sku":"{sku_name(sku)}","location":"{location_name(location)}",'
                f'"quantity":{STOCK},"occurred_at":"{now}"}}\n'
            ).encode()


def sales(rate: int, seconds: int, begin: float) -> Iterator[tuple[float, list[bytes]]]:
    """Sales of Zipf-drawn keys in chunks, each with the time at which it is due to be offered.

    Their ids count from 0.
    """
    instant = InstantText()
    each = max(1, round(rate * CHUNK_SECONDS))
    chunks = round(seconds / CHUNK_SECONDS)
    workload = Workload(movements=chunks * each, skus=SKUS, locations=LOCATIONS)
    keys = iter(draw_keys(workload, np.random.default_rng(workload.seed)).tolist())
    number = 0
    for chunk in range(chunks):
        due = begin + chunk * CHUNK_SECONDS
        at = instant(int(due * MS))
        lines = []
        for _ in range(each):
            sku, location = divmod(next(keys), LOCATIONS)
            lines.append(
                f'{{"id":"{number}","source":"pos-{location:04d}","type":"sale",'
                f'"sku":"SKU-{sku:07d}","location":"L-{location:03d}","quantity":1,'
                f'"occurred_at":"{at}"}}\n'.encode()
            )
            number += 1
        yield due, lines


def _open_keys(stdin: IO[bytes], folders: Folders) -> None:
    stdin.writelines(opening_lines())
    stdin.flush()
    deadline = time.time() + START_SECONDS
    while not all(_has_lines(_file(folders, channel), SKUS) for channel in CHANNELS):
        if time.time() > deadline:
            raise FailedRunError("the engine did not publish every key in time")
        time.sleep(POLL_SECONDS * 100)


def _has_lines(path: Path, count: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= count


def _offer(stdin: IO[bytes], rate: int, seconds: int) -> list[float]:
    """Offers sales at the rate; returns when each was due to be offered."""
    offered_at: list[float] = []
    for due, lines in sales(rate, seconds, time.time()):
        wait = due - time.time()
        if wait > 0:
            time.sleep(wait)
        offered_at.extend([due] * len(lines))
        stdin.write(b"".join(lines))
        stdin.flush()
    return offered_at


def _after_tick(watcher: Watcher, offered_at: list[float], first: int) -> list[float]:
    """How long after the tick that follows its cause each publication was seen."""
    decode = msgspec.json.Decoder(Publication).decode
    found = []
    ends = np.array([length for _, length in watcher.seen])
    times = [seen for seen, _ in watcher.seen]
    offset = 0
    with watcher.path.open("rb") as file:
        for line in file:
            offset += len(line)
            cause = decode(line).cause.id
            if not cause.isdigit() or int(cause) < first:
                continue
            place = int(np.searchsorted(ends, offset))
            if place < len(times):
                tick = math.ceil(offered_at[int(cause)] / TICK_SECONDS) * TICK_SECONDS
                found.append(times[place] - tick)
    return found


def print_latency(latency: Latency, console: Console) -> None:
    """Prints the quantiles."""
    title = f"Publication after its tick, {latency.rate:,} movements a second offered"
    print_quantiles(title, {"after the tick": latency.after_tick}, console)


def print_quantiles(title: str, measured: Mapping[str, Sequence[float]], console: Console) -> None:
    """Prints quantiles of seconds in milliseconds, a column for each thing that was measured."""
    table = Table(title=title, title_justify="left", caption=machine())
    table.add_column("quantile")
    for name in measured:
        table.add_column(name, justify="right")
    columns = [np.array(values) * MS for values in measured.values()]
    for name, share in QUANTILES.items():
        table.add_row(name, *(f"{np.quantile(values, share):.1f} ms" for values in columns))
    table.add_row("publications", *(f"{len(values):,}" for values in columns))
    console.print(table)
