"""`sellable snapshot`: one consistent cut of everything, now."""

from __future__ import annotations

import typer

from engine.cli.examples import epilog
from engine.cli.options import AsJson, Data
from engine.cli.ordering import order
from engine.cli.printing import counted, print_json, say


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("snapshot", epilog=epilog("snapshot"))(snapshot)


def snapshot(data: Data, as_json: AsJson = False) -> None:
    """Take a snapshot of everything, now.

    A consistent cut on the next tick, one for each channel and one for the ledger, appended to
    reconciliation.snapshots.ndjson. A running engine takes it; else it is taken here.
    """
    answer = order(data, {"order": "snapshot"}).answer
    if as_json:
        print_json(answer)
    else:
        say(f"{counted(int(answer['snapshots']), 'snapshot')} written to {answer['file']}")
