"""`sellable run`: the embedded engine, one process, no server needed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.examples import epilog
from engine.cli.printing import print_json
from engine.cli.running import Plan, run_engine
from engine.cli.settings import with_settings
from engine.core.parts import EVENT, WALL
from engine.telemetry.logs import set_up_logs


class Clock(StrEnum):
    """What the engine's clock follows."""

    wall = WALL
    event = EVENT


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=epilog("run"))(with_settings(run))


def run(
    rules: Annotated[
        Path, typer.Option("--rules", metavar="DIR", help="The rules folder; watched for changes.")
    ],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="The engine's state; made when not there."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE|-",
            help="Movements: .ndjson or .csv, also .gz or .zst of it; - is stdin; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the outputs go; left out: where they went last, at first DATA/out.",
        ),
    ] = None,
    clock: Annotated[
        Clock,
        typer.Option("--clock", help="wall: the time of day; event: the movements' own time."),
    ] = Clock.wall,
    once: Annotated[
        bool,
        typer.Option("--once", help="Stop when the inputs end and nothing is pending."),
    ] = False,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Take several inputs by the times of their movements, not in turn."
        ),
    ] = False,
    json_errors: Annotated[
        bool,
        typer.Option("--json", help="Tell errors as JSON; the summary is JSON in any case."),
    ] = False,
    overrides: dict[str, str] | None = None,
) -> None:
    """Run the engine: movements in, availability out.

    Without --once it follows its inputs until SIGINT or SIGTERM. Killed at any point and started
    again with the same arguments, it goes on where it was. The last line of standard output is
    one line of JSON with what was done.

    A setting is taken from its option, else from its environment variable, else from engine.yaml.

    Bad input never stops the engine: a movement that cannot be applied becomes an exception, and
    a file that is damaged (a truncated gzip, say) is read as far as it goes. That is told on
    stderr, and the exit status is 0.
    """
    set_up_logs()
    plan = Plan(
        rules=rules,
        data=data,
        inputs=inputs or (),
        out=out,
        clock=clock.value,
        once=once,
        merge=merge,
        overrides=overrides or {},
    )
    del json_errors  # Errors are told where all commands end.
    print_json(run_engine(plan))
