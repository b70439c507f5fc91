"""Series: the same workload with one thing growing, which should cost the same a movement."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.inv1 import generate, write_openings
from benchmarks.inv1_lines import Workload
from benchmarks.process import Folders, run_once
from benchmarks.report import Row
from benchmarks.rules import write_rules

KEYS = (10_000, 100_000, 1_000_000)
LOCATIONS = (1, 10, 100, 500)
RULES = (10, 100, 1_000, 10_000)
KEYS_OF_LOCATIONS = 100_000
LOCATIONS_OF_KEYS = 10

Tell = Callable[[str], None]


def series_of_keys(movements: int, tell: Tell) -> list[Row]:
    """More SKUs at the same ten locations."""
    return [
        _run(
            f"{keys:,} keys",
            Workload(
                movements=movements,
                skus=keys // LOCATIONS_OF_KEYS,
                locations=LOCATIONS_OF_KEYS,
                opened_before=True,
            ),
            0,
            tell,
        )
        for keys in KEYS
    ]


def series_of_locations(movements: int, tell: Tell) -> list[Row]:
    """The same number of keys at more locations, all in channels of granularity sku.

    The keys stay the same in number, so that what is measured is the locations of a SKU; what more
    keys cost is the other series.
    """
    return [
        _run(
            f"{locations} locations",
            Workload(
                movements=movements,
                skus=KEYS_OF_LOCATIONS // locations,
                locations=locations,
                opened_before=True,
            ),
            0,
            tell,
        )
        for locations in LOCATIONS
    ]


def series_of_rules(movements: int, tell: Tell) -> list[Row]:
    """More rules beside the three buffers."""
    workload = Workload(movements=movements, opened_before=True)
    return [_run(f"{rules:,} rules", workload, rules, tell) for rules in RULES]


def _run(name: str, workload: Workload, rules: int, tell: Tell) -> Row:
    tell(f"{name}: making the workload")
    opening = write_openings(workload)
    stream = Path(generate(workload).path)
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folder = Path(temporary)
        folders = Folders(write_rules(folder / "rules", rules), folder / "data", folder / "out")
        tell(f"{name}: opening every key")
        before = run_once(folders, [opening]).publications
        tell(f"{name}: measuring")
        cost = run_once(folders, [opening, stream])
    return Row(name, workload.movements, cost, before)


def run_keys(workload: Workload, tell: Tell) -> Sequence[Row]:
    """Every key opened, a start on what is there, and a stream over all of it: for the memory."""
    opening = write_openings(workload)
    stream = Path(generate(workload).path)
    with tempfile.TemporaryDirectory(prefix="sellable-bench-") as temporary:
        folder = Path(temporary)
        folders = Folders(write_rules(folder / "rules"), folder / "data", folder / "out")
        rows = []
        for name, inputs, movements in (
            ("opening every key", [opening], workload.keys),
            ("start and stop", [opening], 1),
            ("a stream over all keys", [opening, stream], workload.movements),
        ):
            tell(name)
            rows.append(Row(name, movements, run_once(folders, inputs)))
    return rows
