"""`sellable rules`: check, test and explain a rules folder."""

from __future__ import annotations

import typer

from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.rules_cases import run_them
from engine.cli.rules_check import check
from engine.cli.rules_explain import explain


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = new_app("Check, test and explain a rules folder.", ("rules",))
    group.command("check", epilog=epilog("rules check"))(check)
    group.command("test", epilog=epilog("rules test"))(run_them)
    group.command("explain", epilog=epilog("rules explain"))(explain)
    app.add_typer(group, name="rules")
