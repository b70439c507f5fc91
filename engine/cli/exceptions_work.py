"""`sellable exceptions replay` and `dismiss`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli.exceptions_look import ExceptionId
from engine.cli.options import AsJson, Data
from engine.cli.ordering import Done, order
from engine.cli.printing import print_json, say
from engine.contracts.errors import UsageError


def replay(
    exception: ExceptionId,
    data: Data,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Mend a field; an empty value takes it out; may be repeated.",
        ),
    ] = None,
    accept_old: Annotated[
        bool,
        typer.Option(
            "--accept-old", help="Take it although nobody can tell whether it was seen before."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replay a refused movement, with some of its fields mended.

    A running engine does it at once; else it is done here, and what follows from it is published
    when the engine runs again. A movement that is refused again changes nothing, and the
    exception stays open.
    """
    fields = _fields(changes or ())
    done = order(
        data,
        {"order": "replay", "exception": exception, "set": fields, "accept_old": accept_old},
    )
    _tell(done, f"{exception} was replayed: {done.answer.get('outcome')}", as_json)
    if not as_json and not done.by_engine:
        say(("What follows from it is published when the engine runs again.", "dim"))


def dismiss(
    exception: ExceptionId,
    data: Data,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")],
    as_json: AsJson = False,
) -> None:
    """Close an exception for good, with a reason."""
    done = order(data, {"order": "dismiss", "exception": exception, "reason": reason})
    _tell(done, f"{exception} was dismissed: {reason}", as_json)


def _fields(changes: Sequence[str]) -> dict[str, str]:
    fields = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"--set {change}: a field, = and a value are expected",
                "Write --set location=S-7.",
            )
        fields[name.strip()] = value
    return fields


def _tell(done: Done, message: str, as_json: bool) -> None:
    if as_json:
        print_json(done.answer)
        return
    say(message)
