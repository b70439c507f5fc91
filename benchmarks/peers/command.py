"""`python -m benchmarks peers`: builds, runs, compares and reports."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.peers.brokers import own_broker
from benchmarks.peers.jobs import Mode, Peer
from benchmarks.peers.plot import draw
from benchmarks.peers.report import write_report
from benchmarks.peers.results import Comparison, Described, load, save
from benchmarks.peers.roster import all_peers
from benchmarks.peers.rounds import Bench, Plan, compare_all
from benchmarks.process import processor
from tests.kafka.broker import IMAGE

METHOD = Path(__file__).with_name("method.md")
RESULTS = Path(__file__).parent.parent / "results"
BYTES_PER_GIB = 1 << 30


def peers(
    movements: Annotated[int, typer.Option(help="How many movements.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="How often everybody runs.")] = 5,
    kills: Annotated[int, typer.Option(help="How often everybody is killed.")] = 3,
    kill_movements: Annotated[
        int, typer.Option(help="How many movements those have who are killed.")
    ] = 100_000,
    only: Annotated[
        str, typer.Option(help="These peers alone, by their names with commas; all without it.")
    ] = "",
    mode: Annotated[
        Mode | None, typer.Option(help="Output on every change, or once a second; both without it.")
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Compare a small workload with the oracle record by record before.")
    ] = True,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no other run after so many minutes.")
    ] = None,
    add: Annotated[bool, typer.Option(help="Add to the results that are there.")] = False,
    into: Annotated[Path, typer.Option(help="The folder of the report.")] = RESULTS,
) -> None:
    """Who else does the work of INV-1, how fast, and what do they lose when they are killed?

    Writes peers.json, peers.md and peers.svg; what a person found, in peers.notes.md beside them,
    becomes part of the report. `--rounds 0 --kills 0 --no-check --add` only writes the report anew.
    """
    known = all_peers()
    comparison = load(into / "peers.json") if add else _begin(known)
    chosen = choose(known, only)
    here = [peer for peer in chosen if peer.missing() is None]
    plan = Plan(
        movements=movements,
        rounds=rounds,
        modes=list(Mode) if mode is None else [mode],
        kills=kills,
        kill_movements=kill_movements,
        check=check,
        minutes=minutes,
    )

    def keep() -> None:
        _write(comparison, into)

    if here and (check or rounds or kills):
        _run(here, plan, comparison, keep)
    keep()
    _tell(f"{into / 'peers.md'} is written")


def _run(here: list[Peer], plan: Plan, comparison: Comparison, keep: Callable[[], None]) -> None:
    for peer in here:
        _tell(f"building {peer.title}")
        peer.build()
    with tempfile.TemporaryDirectory(prefix="sellable-peers-") as temporary:
        folder = Path(temporary)
        with own_broker(folder / "broker") as brokers:
            bench = Bench(brokers, folder / "jobs")
            compare_all(bench, here, plan, comparison, keep, _tell)


def _write(comparison: Comparison, into: Path) -> None:
    save(comparison, into / "peers.json")
    notes = into / "peers.notes.md"
    told = notes.read_text(encoding="utf-8") if notes.exists() else ""
    (into / "peers.svg").write_text(draw(comparison), encoding="utf-8")
    method = METHOD.read_text(encoding="utf-8")
    report = write_report(comparison, "peers.svg", method, told)
    (into / "peers.md").write_text(report, encoding="utf-8")


def choose(known: Sequence[Peer], only: str) -> list[Peer]:
    """The peers of the names, which have commas between them; all of them without one.

    Raises:
        BadParameter: a name is none of theirs.
    """
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    names = [peer.name for peer in known]
    unknown = sorted(wanted.difference(names))
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: no such peer. There are {', '.join(names)}.",
            param_hint="--only",
        )
    return [peer for peer in known if not wanted or peer.name in wanted]


def _begin(known: list[Peer]) -> Comparison:
    return Comparison(
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=_machine(),
        software=_software(),
        peers=[_described(peer) for peer in known],
    )


def _described(peer: Peer) -> Described:
    facts = peer.facts
    return Described(
        name=peer.name,
        title=peer.title,
        version=facts.version,
        input=facts.input,
        state=facts.state,
        output=facts.output,
        after_a_crash=facts.after_a_crash,
        uses_kafka=peer.uses_kafka,
        own=peer.name.startswith("sellable-"),
        missing=peer.missing() or "",
    )


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES_PER_GIB
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _software() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"{python}, no Java"
    return f"{python}, {said.stderr.splitlines()[0]}, broker {IMAGE}"


def _tell(step: str) -> None:
    Console(stderr=True).print(step, highlight=False, markup=False)
