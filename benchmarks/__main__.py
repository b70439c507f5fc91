"""One command per question: `python -m benchmarks --help`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.check import DifferentError, check_full, check_small
from benchmarks.http import measure_http, print_http
from benchmarks.inv1 import generate, write_openings
from benchmarks.inv1_lines import CHANNELS, Workload
from benchmarks.kafka_ingest import measure_ingest
from benchmarks.kafka_latency import measure_kafka_latency, print_kafka_latency
from benchmarks.kafka_ledger import measure_ledger
from benchmarks.kafka_publish import measure_publish
from benchmarks.kafka_report import WorkerRow, print_phases, print_worker
from benchmarks.kafka_restore import measure_restore
from benchmarks.latency import measure_latency, print_latency
from benchmarks.peers.command import peers
from benchmarks.process import FailedRunError, Folders, floor_us, machine, run_once
from benchmarks.regression import judge, measure, print_verdict, python_version, read_baseline
from benchmarks.regression import write_baseline as store_baseline
from benchmarks.report import MEGABYTE, Row, print_series, print_speed
from benchmarks.rules import write_rules
from benchmarks.series import run_keys, series_of_keys, series_of_locations, series_of_rules

SERIES_MOVEMENTS = 300_000

Movements = Annotated[int, typer.Option(help="How many movements.")]


def inv1(
    movements: Movements = 1_000_000,
    seed: Annotated[int, typer.Option(help="Another seed, another workload.")] = 1,
    check: Annotated[
        bool, typer.Option(help="Check the results against the oracle before telling the speed.")
    ] = True,
    keep: Annotated[
        Path | None, typer.Option(help="Keep rules, data and outputs in this folder.")
    ] = None,
) -> None:
    """How fast is the embedded engine on INV-1, and how many times the floor is that?

    Nothing is told about speed when the results are not the oracle's.
    """
    workload = Workload(movements=movements, seed=seed)
    made = generate(workload)
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folder = Path(temporary)
        if check:
            _tell("checking a small workload against the oracle")
            _tell(f"  the same: {check_small(folder / 'small')}")
        folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
        _tell(f"running {made.lines:,} movements ({made.size_bytes / MEGABYTE:.0f} MB)")
        cost = run_once(folders, [Path(made.path)])
        if check:
            _tell("checking the full run against the oracle and against its own postings")
            _tell(f"  the same: {check_full(made, folders, cost)}")
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
    _tell("measuring the floor")
    floor = floor_us(Path(made.path))
    print_speed(Row("INV-1", made.lines, cost), floor, Console())


def flat_keys(movements: Movements = SERIES_MOVEMENTS) -> None:
    """Does a movement cost the same with 10,000 and with 1,000,000 keys?"""
    print_series("More keys", series_of_keys(movements, _tell), Console())


def flat_locations(movements: Movements = SERIES_MOVEMENTS) -> None:
    """Does a movement cost the same with 1 and with 500 locations in a channel?"""
    print_series("More locations", series_of_locations(movements, _tell), Console())


def flat_rules(movements: Movements = SERIES_MOVEMENTS) -> None:
    """Does a movement cost the same with 10 and with 10,000 rules?"""
    print_series("More rules", series_of_rules(movements, _tell), Console())


def keys(
    count: Annotated[int, typer.Option(help="How many keys, at ten locations.")] = 1_000_000,
    movements: Movements = SERIES_MOVEMENTS,
) -> None:
    """How much memory do so many keys need, and how long does a start on them take?"""
    workload = Workload(movements=movements, skus=count // 10, locations=10, opened_before=True)
    table = Table(title=f"{count:,} keys", title_justify="left", caption=machine())
    table.add_column("step")
    for name in ("wall of the process", "peak memory"):
        table.add_column(name, justify="right")
    for row in run_keys(workload, _tell):
        memory = f"{row.cost.peak_bytes / MEGABYTE:,.0f} MB"
        table.add_row(row.name, f"{row.cost.wall_s:.2f} s", memory)
    Console().print(table)


def latency(
    rate: Annotated[int, typer.Option(help="Movements a second to offer.")] = 100_000,
    seconds: Annotated[int, typer.Option(help="For how long.")] = 20,
) -> None:
    """How long after its tick is a publication written, with the wall clock and an open loop?"""
    print_latency(measure_latency(rate, seconds, _tell), Console())


def kafka_ingest(movements: Movements = 1_000_000) -> None:
    """How much CPU time does ingest take a movement of INV-1, through a real broker?"""
    made = generate(Workload(movements=movements))
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        cost = measure_ingest(Path(made.path), Path(temporary), _tell)
    floor = floor_us(Path(made.path))
    print_worker(
        "kafka-ingest",
        WorkerRow(cost.movements, "movements", cost.cpu_s, cost.wall_s, cost.peak_bytes),
        f"{cost.movements / cost.envelopes:,.0f} movements an envelope",
        floor,
        Console(),
    )


def kafka_ledger(
    movements: Movements = 1_000_000,
    rate: Annotated[int, typer.Option(help="Movements in a second of the log's time.")] = 10_000,
) -> None:
    """How much CPU time does the ledger worker take a movement of INV-1, through a real broker?"""
    made = generate(Workload(movements=movements, rate=rate))
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        cost = measure_ledger(Path(made.path), rate, Path(temporary), _tell)
    floor = floor_us(Path(made.path))
    print_worker(
        "kafka-ledger",
        WorkerRow(cost.movements, "movements", cost.cpu_s, cost.wall_s, cost.peak_bytes),
        f"{cost.quantities / cost.movements:.2f} quantities a movement",
        floor,
        Console(),
    )


def kafka_publish(
    skus: Annotated[int, typer.Option(help="How many SKUs, on three channels.")] = 100_000,
) -> None:
    """How much CPU time does the publish worker take a changed quantity, through a real broker?"""
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        cost = measure_publish(skus, Path(temporary), _tell)
    floor = floor_us(Path(generate(Workload()).path))
    print_worker(
        "kafka-publish",
        WorkerRow(cost.quantities, "quantities", cost.cpu_s, cost.wall_s, cost.peak_bytes),
        f"{skus * len(CHANNELS):,} keys",
        floor,
        Console(),
    )


def kafka_latency(
    rate: Annotated[int, typer.Option(help="Movements a second to offer.")] = 8_000,
    seconds: Annotated[int, typer.Option(help="For how long.")] = 20,
    partitions: Annotated[int, typer.Option(help="Partitions of the ledger.")] = 4,
) -> None:
    """How long from a movement that is produced to its availability that is consumed?

    A broker, ingest, ledger and publish on this machine, an open loop.
    """
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        measured = measure_kafka_latency(rate, seconds, partitions, Path(temporary), _tell)
    print_kafka_latency(measured, Console())


def kafka_restore(
    count: Annotated[int, typer.Option(help="How many keys, at ten locations.")] = 1_000_000,
    movements: Movements = SERIES_MOVEMENTS,
) -> None:
    """How long does a killed ledger worker take to serve so many keys again, in which memory?"""
    workload = Workload(movements=movements, skus=count // 10, locations=10, opened_before=True)
    openings, stream = write_openings(workload), Path(generate(workload).path)
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        phases = measure_restore(openings, stream, workload.rate, Path(temporary), _tell)
        print_phases(f"kafka-restore, {count:,} keys", list(phases), Console())


def http(
    seconds: Annotated[float, typer.Option(help="For how long, each kind of call.")] = 10.0,
) -> None:
    """How many lookups, reservations and movements a second does the HTTP service answer?"""
    print_http(measure_http(seconds, _tell), Console())


def regression(
    store: Annotated[
        bool, typer.Option("--store", help="Store what was measured as the baseline.")
    ] = False,
) -> None:
    """Is this commit slower than the last ones, or is only the machine busy? Some seconds.

    Ends with 1 when the core is far slower beside a fixed piece of work than it was.
    """
    measured = measure()
    verdict = judge(measured, read_baseline(), python_version())
    print_verdict(verdict)
    if store:
        store_baseline(measured)
    elif verdict.fails:
        raise SystemExit(1)


def _tell(step: str) -> None:
    Console(stderr=True).print(step, highlight=False)


def main() -> None:
    """Runs one command; ends with 1 when something differs or fails."""
    app = typer.Typer(
        help="Will it hold on the busiest day of the year? One command per question.",
        add_completion=False,
        no_args_is_help=True,
    )
    for function in (
        inv1,
        regression,
        flat_keys,
        flat_locations,
        flat_rules,
        keys,
        latency,
        http,
        kafka_ingest,
        kafka_latency,
        kafka_ledger,
        kafka_publish,
        kafka_restore,
        peers,
    ):
        app.command()(function)
    try:
        app()
    except (DifferentError, FailedRunError) as error:
        _tell(str(error))
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
