"""`sellable rehearse`: will it hold on the busiest day?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from engine.cli.examples import epilog
from engine.cli.kafka_settings import with_kafka_settings
from engine.cli.options import AsJson
from engine.cli.printing import console, print_json, print_table, say, styled
from engine.cli.settings import with_settings
from engine.contracts.errors import EXIT_FAILED, UsageError
from engine.contracts.instants import parse_duration
from engine.kafka.settings import KafkaSettings
from engine.rehearsal import wording
from engine.rehearsal.faults import parse_fault
from engine.rehearsal.limits import parse_limits
from engine.rehearsal.plan import Plan
from engine.rehearsal.playing import Tell
from engine.rehearsal.rehearse import rehearse as carry_out
from engine.rehearsal.report import write_report
from engine.rehearsal.result import Result
from engine.telemetry.logs import set_up_logs

OF_ITS_OWN: Final = (
    "rules",
    "data",
    "sources",
    "instance_id",
    "metrics_listen",
    "redis_url",
    "redis_prefix",
)
"""Settings of workers that a rehearsal chooses itself, or has no use for."""
SHORTEST: Final = 1_000_000  # microseconds
VERDICT_STYLES: Final = {"holds": "green", "MISSED": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rehearse", epilog=epilog("rehearse"))(
        with_kafka_settings(with_settings(rehearse), OF_ITS_OWN)
    )


def rehearse(
    rules: Annotated[
        Path, typer.Option("--rules", metavar="DIR", help="The rules folder; it is not changed.")
    ],
    movements: Annotated[
        list[str] | None,
        typer.Option(
            "--movements",
            metavar="FILE",
            help="A recording, as `run --input` takes it; repeatable. Left out: generated.",
        ),
    ] = None,
    factor: Annotated[
        float, typer.Option("--factor", min=0.001, help="So many times the recorded rate.")
    ] = 1.0,
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="How long the load lasts.")
    ] = "60s",
    rate: Annotated[
        float,
        typer.Option("--rate", min=0.1, help="Generated movements a second, at factor 1."),
    ] = 200.0,
    skus: Annotated[int, typer.Option("--skus", min=1, help="Generated SKUs.")] = 2_000,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND[=WHAT][@START[+LENGTH]]",
            help="till-chain, marketplace, worker or erp; repeatable.",
        ),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="NAME=VALUE",
            help="What it must keep to, such as urgent-p99=2s or oversells=0; repeatable.",
        ),
    ] = None,
    headroom: Annotated[
        bool,
        typer.Option(
            "--headroom/--no-headroom", help="Search how many times the load still holds."
        ),
    ] = True,
    report: Annotated[
        Path, typer.Option("--report", metavar="FILE", help="The report, as HTML.")
    ] = Path("rehearsal.html"),
    erp_rate: Annotated[
        float, typer.Option("--erp-rate", min=0.001, help="Documents the ERP takes a second.")
    ] = 10.0,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other movements.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the engine's data and outputs there."),
    ] = None,
    kafka: Annotated[
        bool,
        typer.Option(
            "--kafka",
            help="Rehearse the workers on Kafka, at --brokers, in topics that are removed "
            "afterwards.",
        ),
    ] = False,
    as_json: AsJson = False,
    *,
    settings: KafkaSettings,
    overrides: dict[str, str] | None = None,
) -> None:
    """Rehearse a peak: will it hold?

    Plays the busiest stretch of a recording ("last Black Friday, times 3"), or generated movements,
    against an engine of its own, by the time of day: each movement is offered when it is due,
    whether the engine keeps up or not. Faults on request: tills offline and then all at once, a
    marketplace that throttles, the engine killed, the ERP away. Then searches how many times the
    load would still hold. With --kafka the workers are rehearsed, one of each kind.

    Prints a verdict against limits and writes a report for whoever decides. The exit status is 0
    when it holds, 1 when a limit is missed.
    """
    set_up_logs()
    length = _duration(duration)
    plan = Plan(
        rules=rules,
        movements=tuple(movements or ()),
        factor=factor,
        duration=length,
        rate=rate,
        skus=skus,
        seed=seed,
        faults=tuple(parse_fault(text, length) for text in faults or ()),
        limits=parse_limits(limits or []),
        erp_rate=erp_rate,
        seeks_headroom=headroom,
        overrides=overrides or {},
        kafka=settings if kafka else None,
    )
    _check_report(report)
    with _progress() as tell:
        result = carry_out(plan, keep, tell)
    report.write_text(write_report(result), encoding="utf-8")
    if as_json:
        print_json(result)
    else:
        _show(result, report)
    if not result.holds:
        raise typer.Exit(EXIT_FAILED)


def _duration(text: str) -> int:
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise UsageError(
            f"--duration {text}: {error}", "Give a time such as 60s or 10m."
        ) from error
    if found < SHORTEST:
        raise UsageError(f"--duration {text} is too short", "Give a second or more.")
    return found


def _check_report(report: Path) -> None:
    """Learn before the rehearsal, and not after it, that its report cannot be written."""
    if report.is_dir() or not report.absolute().parent.is_dir():
        raise UsageError(
            f"the report cannot be written to {report}",
            "Name a file in a folder that is there with --report.",
        )


@contextmanager
def _progress() -> Iterator[Tell]:
    """What is done, and how far it is, on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(to_stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)


def _show(result: Result, report: Path) -> None:
    say(f"{wording.load(result)}")
    for fault in result.faults:
        say(f"  {fault.says}")
    say("")
    print_table(
        ("figure", "measured", "limit", ""),
        (
            (
                each.says,
                wording.value(each.unit, each.measured),
                wording.limit(each),
                styled(wording.holds(each), VERDICT_STYLES),
            )
            for each in result.judgements
        ),
        ("measured", "limit"),
    )
    say("")
    for note in result.notes:
        say(f"Note: {note}")
    say(f"The engine took {wording.engine(result)}.")
    if result.headroom is not None:
        say(wording.headroom(result.headroom))
    style = "bold green" if result.holds else "bold red"
    say((wording.verdict(result), style))
    say(f"The report is in {report}")
