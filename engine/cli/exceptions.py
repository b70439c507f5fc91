"""`sellable exceptions`: list, show, mend, replay and dismiss."""

from __future__ import annotations

import typer

from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.exceptions_look import list_them, show
from engine.cli.exceptions_work import dismiss, replay

SUMMARY = """\
List, show, mend, replay and dismiss exceptions.

A refused movement changed nothing: it waits here, as it came, until somebody mends and replays it
or dismisses it. A warning is about a movement that was applied.
"""


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = new_app(SUMMARY, ("exceptions",))
    group.command("list", epilog=epilog("exceptions list"))(list_them)
    group.command("show", epilog=epilog("exceptions show"))(show)
    group.command("replay", epilog=epilog("exceptions replay"))(replay)
    group.command("dismiss", epilog=epilog("exceptions dismiss"))(dismiss)
    app.add_typer(group, name="exceptions")
