"""`sellable rules publish`: put the rules of a folder in force on a running engine."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import typer

from engine.cli.options import AsJson, Key, RulesFolder
from engine.cli.printing import counted, print_json, say, some_of
from engine.cli.remote import remote_at
from engine.cli.rules_sending import PATH, read_for_sending
from engine.contracts.answers import PublishedTold
from engine.rules.mistakes import Mistake

NAMES_SHOWN: Final = 5


class InForce(msgspec.Struct):
    """What is asked of the rules in force."""

    fingerprint: str


def publish(
    folder: RulesFolder,
    url: Annotated[
        str,
        typer.Option(
            "--url", metavar="URL", help="The running engine, such as http://127.0.0.1:8080."
        ),
    ],
    key: Key = None,
    replaces: Annotated[
        str | None,
        typer.Option(
            "--replaces",
            metavar="FINGERPRINT",
            help="Only if these rules are in force, the `in_force` of `rules what-if --json`; left "
            "out: those that are when the command begins.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish the rules of a folder: put them in force on a running engine.

    Sends channels, rules and cases. The engine checks them, runs the cases, and replaces what its
    rules folder says, all of it or nothing. Settings and the catalogue (engine.yaml, locations.csv,
    items.csv) stay as the engine has them. Numbers that change are told with the next ticks.
    """
    body = read_for_sending(folder)
    remote = remote_at(url, key)
    before = replaces or remote.get(PATH, {}, InForce).fingerprint
    done = remote.send("PUT", PATH, {}, body, PublishedTold, {"If-Match": f'"{before}"'})
    if as_json:
        print_json(done)
    else:
        _print(done)


def _print(done: PublishedTold) -> None:
    for warning in done.warnings:
        say(("warning: ", "yellow"), str(Mistake(*msgspec.structs.astuple(warning))))
    if done.fingerprint == done.before:
        say(("in force", "green"), f": {done.fingerprint}, as before")
    else:
        say(("in force", "green"), f": {done.fingerprint}, in place of {done.before}")
    say(f"{counted(done.cases, 'test case')} passed; {counted(len(done.files.put), 'file')} put")
    if done.files.removed:
        say(f"taken out: {some_of(done.files.removed, NAMES_SHOWN)}")
