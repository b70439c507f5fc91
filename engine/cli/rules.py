"""`sellable rules`: check, test, explain, try and publish a rules folder."""

from __future__ import annotations

import typer

from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.rules_cases import run_them
from engine.cli.rules_check import check
from engine.cli.rules_explain import explain
from engine.cli.rules_publish import publish
from engine.cli.rules_what_if import show_what_if


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = new_app("Check, test, explain, try and publish a rules folder.", ("rules",))
    group.command("check", epilog=epilog("rules check"))(check)
    group.command("test", epilog=epilog("rules test"))(run_them)
    group.command("explain", epilog=epilog("rules explain"))(explain)
    group.command("what-if", epilog=epilog("rules what-if"))(show_what_if)
    group.command("publish", epilog=epilog("rules publish"))(publish)
    app.add_typer(group, name="rules")
