"""The HTTP service under load: lookups, bulk lookups, reservations, movements, each by its floor.

The server runs on a core of its own; the load comes from this process, on the others.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.http_client import Calls, Load, call, closed_loop, open_loop
from benchmarks.inv1_lines import CHANNELS, Workload, draw_keys, location_name, sku_name
from benchmarks.process import ROOT, FailedRunError, Folders, command, machine, on_one_core
from benchmarks.rules import write_rules

SKUS = 20_000
LOCATIONS = 10
STOCK = 1_000_000
ARRAY = 500
BULK = 100
KEYS_DRAWN = 2_000_000
WARM_UP_SECONDS = 1.0
START_SECONDS = 60.0
SETTLE_SECONDS = 2.0
CHANNEL = CHANNELS[1]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Question:
    """One kind of call: how many at once in a closed loop, and what is to be reached.

    `rate` is of calls in the open loop; `each` is how many things one call holds.
    """

    name: str
    calls: Calls
    connections: int
    rate: float
    to_reach: str
    each: int = 1


@dataclass(frozen=True)
class Figures:
    """What was measured of one kind of call; CPU seconds of the server a call."""

    question: Question
    capacity: Load
    cpu_s: float
    steady: Load
    floor: Load


def measure_http(seconds: float, tell: Callable[[str], None]) -> list[Figures]:
    """Measures every kind of call for so many seconds.

    Raises:
        FailedRunError: the server ended, or what it holds is not what it answered.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folder = Path(temporary)
        with _engine(folder) as (port, pid), _floor(folder) as floor:
            _leave_the_core()
            tell("receiving stock")
            _stock(port)
            for question in _questions():
                tell(question.name)
                found.append(_measure(question, port, pid, floor, folder, seconds))
            tell("comparing what was answered with what is there")
            _check(port, found)
    return found


def _measure(
    question: Question, port: int, pid: int, floor: int, folder: Path, seconds: float
) -> Figures:
    taken = iter(range(1 << 60))

    def calls(_: int) -> bytes:
        return question.calls(next(taken))

    closed_loop(port, calls, question.connections, WARM_UP_SECONDS)
    before = _cpu_s(pid)
    capacity = closed_loop(port, calls, question.connections, seconds)
    cpu = (_cpu_s(pid) - before) / len(capacity.answers)
    time.sleep(SETTLE_SECONDS)
    steady = open_loop(port, calls, question.connections, question.rate, seconds)
    _answer_with(floor, folder, capacity.sample)
    constant = closed_loop(floor, question.calls, question.connections, seconds / 2)
    return Figures(question, capacity, cpu, steady, constant)


# --- the calls ---------------------------------------------------------------------------------


def _questions() -> list[Question]:
    workload = Workload(movements=KEYS_DRAWN, skus=SKUS, locations=LOCATIONS)
    keys = draw_keys(workload, np.random.default_rng(workload.seed)).tolist()
    run = f"{time.time():.0f}"

    def sku(number: int) -> str:
        return sku_name(keys[number % KEYS_DRAWN] // LOCATIONS)

    def lookup(number: int) -> bytes:
        return call("GET", f"/v1/availability?sku={sku(number)}&channel={CHANNEL}")

    def bulk(number: int) -> bytes:
        wanted = [{"sku": sku(number * BULK + place), "channel": CHANNEL} for place in range(BULK)]
        return call("POST", "/v1/availability/lookup", json.dumps({"keys": wanted}).encode())

    def reserve(number: int) -> bytes:
        body = (
            f'{{"reservation":"b-{run}-{number}","sku":"{sku(number)}","quantity":1,'
            f'"channel":"{CHANNEL}"}}'
        )
        key = f"Idempotency-Key: {run}-{number}\r\n"
        return call("POST", "/v1/reservations", body.encode(), key)

    def movements(number: int) -> bytes:
        now = _now()
        lines = []
        for place in range(number * ARRAY, (number + 1) * ARRAY):
            item, location = divmod(keys[place % KEYS_DRAWN], LOCATIONS)
            lines.append(
                f'{{"id":"t-{run}-{place}","source":"pos-{location:04d}","type":"sale",'
                f'"sku":"{sku_name(item)}","location":"{location_name(location)}",'
                f'"quantity":1,"occurred_at":"{now}"}}'
            )
        return call("POST", "/v1/movements", f"[{','.join(lines)}]".encode())

    return [
        Question("lookup of one key", lookup, 16, 4_000, "4,000/s, p99 5 ms"),
        Question(f"lookup of {BULK} keys", bulk, 8, 500, "500/s"),
        Question("reservation, durable", reserve, 64, 2_000, "2,000/s, p99 20 ms"),
        Question(f"movements, arrays of {ARRAY}", movements, 8, 60, "60,000 movements/s", ARRAY),
    ]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


# --- the processes -----------------------------------------------------------------------------


@contextmanager
def _engine(folder: Path) -> Iterator[tuple[int, int]]:
    """An engine that listens, on a core of its own: its port and its process."""
    folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
    options = ("--listen", "127.0.0.1:0", "--snapshot-every", "off")
    log = folder / "log"
    with log.open("w") as complaints, on_one_core():
        process = subprocess.Popen(
            command(folders, [], options), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=complaints
        )
    try:
        yield _port_in(log, process), process.pid
        if process.poll() is not None:
            raise FailedRunError(log.read_text())
    finally:
        process.terminate()
        process.wait()


def _port_in(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        told = re.search(r"http://127\.0\.0\.1:([0-9]+)", log.read_text())
        if told is not None:
            return int(told[1])
        time.sleep(0.05)
    raise FailedRunError(log.read_text() or "the engine did not start")


@contextmanager
def _floor(folder: Path) -> Iterator[int]:
    """The floor, on the same core; it rests while the engine is measured."""
    (folder / "answer").write_bytes(b"{}")
    words = [sys.executable, "-m", "benchmarks.http_floor", str(folder / "answer")]
    with on_one_core():
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def _answer_with(floor: int, folder: Path, sample: bytes) -> None:
    (folder / "answer").write_bytes(sample.partition(b"\r\n\r\n")[2])
    closed_loop(floor, lambda _: call("GET", "/reload"), 1, 0.0)


def _leave_the_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            os.sched_setaffinity(0, cores - {max(cores)})


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


# --- before and after --------------------------------------------------------------------------


def _stock(port: int) -> None:
    """Receives stock of every key, so that no reservation is rejected."""
    pairs = [(sku, place) for sku in range(SKUS) for place in range(LOCATIONS)]

    def receipts(number: int) -> bytes:
        lines = [
            f'{{"id":"open-{sku}-{place}","source":"wms","type":"receipt","sku":"{sku_name(sku)}",'
            f'"location":"{location_name(place)}","quantity":{STOCK},"occurred_at":"{_now()}"}}'
            for sku, place in pairs[number * 1_000 : (number + 1) * 1_000]
        ]
        return call("POST", "/v1/movements", f"[{','.join(lines)}]".encode())

    for number in range(len(pairs) // 1_000):
        closed_loop(port, lambda _, number=number: receipts(number), 1, 0.0)  # type: ignore[misc]
    time.sleep(SETTLE_SECONDS)


def _check(port: int, found: list[Figures]) -> None:
    """Checks that the engine has taken what it answered, each once."""
    text = closed_loop(port, lambda _: call("GET", "/metrics"), 1, 0.1).sample.decode()
    told = {
        name: float(value)
        for name, value in re.findall(
            r'^sellable_movements_total\{outcome="(\w+)"\} (\S+)$', text, re.MULTILINE
        )
    }
    answered = re.search(
        r'sellable_http_answers_total\{operation="postReservation",status="201"\} (\S+)', text
    )
    arrays = re.search(
        r'sellable_http_answers_total\{operation="postMovements",status="200"\} (\S+)', text
    )
    assert answered is not None
    assert arrays is not None
    opening = SKUS * LOCATIONS // 1_000
    expected = float(answered[1]) + SKUS * LOCATIONS + (float(arrays[1]) - opening) * ARRAY
    wrong = {name: count for name, count in told.items() if name != "applied" and count}
    if wrong or told["applied"] != expected:
        raise FailedRunError(f"{expected:.0f} were answered, the engine tells {told}")


def print_http(found: list[Figures], console: Console) -> None:
    """Prints what was measured."""
    table = Table(title="http: one core for the server", title_justify="left", caption=machine())
    table.add_column("call")
    for name in ("calls/s", "CPU", "floor", "offered", "p50", "p99", "p99.9", "to reach"):
        table.add_column(name, justify="right")
    for one in found:
        question, steady = one.question, one.steady
        held = one.capacity.rate * question.each
        table.add_row(
            question.name,
            f"{one.capacity.rate:,.0f}" + (f" ({held:,.0f})" if question.each > 1 else ""),
            f"{one.cpu_s * 1e6:,.0f} us",
            f"{one.floor.rate:,.0f}/s",
            f"{question.rate:,.0f}/s",
            f"{steady.quantile_ms(0.5):.1f} ms",
            f"{steady.quantile_ms(0.99):.1f} ms",
            f"{steady.quantile_ms(0.999):.1f} ms",
            question.to_reach,
        )
    console.print(table)
