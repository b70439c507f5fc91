"""`sellable exceptions list` and `show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.text import Text

from engine.cli.options import AsJson, Data
from engine.cli.printing import (
    SEVERITY_STYLES,
    counted,
    number,
    print_json,
    print_table,
    say,
    styled,
)
from engine.cli.reading import looking_at
from engine.contracts.errors import UsageError
from engine.contracts.exceptions import ADVICE, CODES, SEVERITIES
from engine.core.dead_letters import DISMISSED, OPEN, REPLAYED, DeadLetter, Wanted
from engine.rules.mistakes import did_you_mean

STATUSES: Final = (OPEN, REPLAYED, DISMISSED)
ROWS_SHOWN: Final = 50
"""Exceptions that a table shows unless told otherwise; JSON has them all."""
PAYLOAD_SHOWN: Final = 4_000
"""Characters of a payload that people are shown; a line may have come that is megabytes long."""

ExceptionId = Annotated[str, typer.Argument(metavar="ID", help="As listed, such as x-00000007.")]


def list_them(
    data: Data,
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help="Only this code; may be repeated."),
    ] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option("--severity", metavar="|".join(SEVERITIES), help="Only this severity."),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="|".join(STATUSES), help="Only this status."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            metavar="N",
            help=f"At most so many, oldest first; left out: {ROWS_SHOWN}, with --json all.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List exceptions, oldest first.

    Reads what the engine has committed, also while it runs.
    """
    wanted = Wanted(
        _among("--code", code, CODES),
        _among("--severity", severity, SEVERITIES),
        _among("--status", status, STATUSES),
    )
    with looking_at(data) as view:
        found = filter(wanted.fits, view.exceptions())
        if as_json:
            print_json([_data(letter) for letter in islice(found, limit)])
        else:
            _print_list(found, limit or ROWS_SHOWN)


def show(exception: ExceptionId, data: Data, as_json: AsJson = False) -> None:
    """Show one exception: what came, what is wrong with it, and what to do."""
    with looking_at(data) as view:
        letter = view.exception(exception)
    if as_json:
        print_json({**_data(letter), "advice": ADVICE.get(letter.record.code, "")})
    else:
        _print_one(letter)


def _among(option: str, given: Sequence[str] | None, known: Sequence[str]) -> frozenset[str]:
    """The values that are asked for; none: any."""
    for value in given or ():
        if value not in known:
            raise UsageError(
                f"{option} {value}: there is no such value", did_you_mean(value, known)
            )
    return frozenset(given or ())


def _data(letter: DeadLetter) -> dict[str, Any]:
    """The record of the topic, and what became of it."""
    record: dict[str, Any] = msgspec.to_builtins(letter.record)
    return {
        **record,
        "status": letter.status,
        "changed_at": letter.changed_at,
        "note": letter.note,
    }


def _print_list(found: Iterator[DeadLetter], limit: int) -> None:
    rows = [_row(letter) for letter in islice(found, limit)]
    more = sum(1 for _ in found)
    if not rows:
        say("There are no such exceptions.")
        return
    columns = ("exception", "severity", "code", "status", "first seen", "origin", "message")
    print_table(columns, rows)
    if more:
        left = f"{counted(more, 'exception')} more; --limit {len(rows) + more} shows all"
        say((left, "dim"))


def _row(letter: DeadLetter) -> list[str | Text]:
    record = letter.record
    return [
        record.exception,
        styled(record.severity, SEVERITY_STYLES),
        record.code,
        letter.status,
        record.first_seen or "",
        record.origin,
        record.message,
    ]


def _print_one(letter: DeadLetter) -> None:
    record = letter.record
    refused = record.outcome == "refused"
    say(
        (record.exception, "bold"), " ", styled(record.severity, SEVERITY_STYLES), f" {record.code}"
    )
    say(f"  {record.message}")
    say()
    became = "refused: nothing was changed" if refused else f"a warning: it was {record.outcome}"
    _pair("movement", became)
    _pair("status", _status(letter))
    _pair("origin", record.origin)
    _pair("first seen", record.first_seen or "before the clock ran")
    if record.correlation_id:
        _pair("correlation", record.correlation_id)
    text = isinstance(record.payload, str)
    payload = record.payload if text else record.payload_base64
    say()
    size = number(len(str(payload)))
    kind = "text" if text else "base64, since it is not UTF-8"
    say(("Payload", "bold"), (f" ({size} characters, {kind})", "dim"))
    say(f"  {str(payload)[:PAYLOAD_SHOWN]}")
    if len(str(payload)) > PAYLOAD_SHOWN:
        say((f"  and so on; --json shows all {size} characters", "dim"))
    if letter.status == OPEN:
        say()
        say(("What to do", "bold"))
        say(f"  {ADVICE.get(record.code, '')}")


def _status(letter: DeadLetter) -> str:
    note = f": {letter.note}" if letter.note else ""
    when = f" at {letter.changed_at}" if letter.changed_at else ""
    return f"{letter.status}{when}{note}"


def _pair(name: str, value: str) -> None:
    say((f"  {name:<12}", "dim"), value)
