"""The demo as a command: derive, run, show."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine.contracts.errors import UsageError
from engine.demo.derive import Derivation, derive
from engine.demo.rules import write_rules
from engine.demo.summary import Figures, collect, show

MARK = ".sellable-demo"  # says that a folder may be emptied by the next demo


@dataclass(frozen=True)
class Paths:
    """Where the demo keeps what, all in one folder."""

    root: Path

    @property
    def movements(self) -> Path:
        return self.root / "movements.ndjson.zst"

    @property
    def rules(self) -> Path:
        return self.root / "rules"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def out(self) -> Path:
        return self.root / "out"


Run = Callable[[Paths], Mapping[str, Any]]
"""Runs the engine once, by the event clock, over the movements; returns the run's summary."""


def run_demo(
    root: Path, run: Run, console: Console, days: int | None = None, stores: int | None = None
) -> None:
    """Derives movements and rules into the folder, runs the engine, and shows what happened.

    `days` and `stores` take the first days and the largest stores alone. What an earlier demo left
    in the folder is removed.

    Raises:
        UsageError: the package with the data is missing, the part is empty, or the folder holds
            something else.
    """
    paths = prepare(root)
    with _progress(console) as tell:
        derivation = derive(paths.movements, days, stores, tell)
        write_rules(paths.rules, derivation.lines, derivation.products, derivation.roles)
    _introduce(derivation, console)
    totals = run(paths)
    with console.status("Reading what the engine wrote"):
        figures = collect(paths.out, totals, derivation)
    show(figures, derivation, console)
    _suggest(paths, figures, console)


def prepare(root: Path) -> Paths:
    """Makes the folder, empty but for the mark of the demo.

    Raises:
        UsageError: the folder holds something that no demo left there.
    """
    paths = Paths(root)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is no folder.", "Name a folder that the demo may fill.")
    if root.exists() and any(root.iterdir()):
        if not (root / MARK).exists():
            raise UsageError(
                f"{root} holds files that are not a demo's.", "Name an empty or a new folder."
            )
        for folder in (paths.rules, paths.data, paths.out):
            shutil.rmtree(folder, ignore_errors=True)
        paths.movements.unlink(missing_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    (root / MARK).touch()
    return paths


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, float], None]]:
    columns = (TextColumn("{task.description:<48}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0)

        def tell(step: str, done: float) -> None:
            progress.update(task, description=step, completed=done)

        yield tell


def _introduce(derivation: Derivation, console: Console) -> None:
    lines = derivation.lines
    console.print(
        f"{len(lines):,} sales of {len(lines.products):,} products in {len(lines.stores):,} stores "
        f"became {derivation.movements:,} movements "
        f"({derivation.path.stat().st_size / 1e6:.0f} MB, {derivation.path})"
    )


def _suggest(paths: Paths, figures: Figures, console: Console) -> None:
    data = paths.data
    console.print("\nWorth trying next:")
    for command in (
        f"sellable explain {figures.busiest_sku} --channel web-shop --data {data}",
        f"sellable exceptions list --data {data}",
        f"sellable stock {figures.busiest_sku} --data {data}",
    ):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)
