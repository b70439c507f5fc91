"""`sellable explain`: the way from physical stock to the published number."""

from __future__ import annotations

from typing import Any

import typer

from engine.cli.availability import KeyShown, key_shown
from engine.cli.examples import epilog
from engine.cli.explanation import explanation_data, print_ledger, print_rules
from engine.cli.options import AsJson, ChannelName, Data, KeyLocation, LastRules, Sku
from engine.cli.printing import STATUS_STYLES, number, print_json, print_table, say, signed, styled
from engine.cli.reading import looking_at, rules_of
from engine.contracts.instants import format_instant
from engine.contracts.records import Trace
from engine.embedded.view import Answer

_TAKES_AWAY = frozenset({"sale", "fulfil", "transfer", "reserve"})
_BRINGS = frozenset({"return", "receipt", "release", "expect", "adjustment"})


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=epilog("explain"))(explain)


def explain(
    sku: Sku,
    channel: ChannelName,
    data: Data,
    location: KeyLocation = None,
    rules: LastRules = None,
    as_json: AsJson = False,
) -> None:
    """Explain a number: from physical stock to published.

    Shows every term with its sign, the rule that won with its file and line, the rules that lost
    and why, the last movements, what was published last, and what is due when. Reads what the
    engine has committed, also while it runs.
    """
    with looking_at(data) as view:
        answer = view.explain(rules_of(view, rules), sku, channel, location)
    key = key_shown(answer.key)
    if as_json:
        print_json(_data(answer, key))
    else:
        _print(answer, key)


def _data(answer: Answer, key: KeyShown) -> dict[str, Any]:
    published = None
    if key.version:
        published = {
            "available": key.available,
            "status": key.status,
            "version": key.version,
            "computed_at": key.computed_at,
            "cause": key.cause,
        }
    return {
        **explanation_data(answer.explanation),
        "published": published,
        "pending": key.pending,
        "due": key.due,
        "last_movements": [_movement(trace) for trace in answer.last_movements],
    }


def _movement(trace: Trace) -> dict[str, Any]:
    source, id, correlation_id, kind, location, quantity, at = trace
    return {
        "source": source,
        "id": id,
        "correlation_id": correlation_id,
        "type": kind,
        "location": location,
        "quantity": quantity,
        "occurred_at": format_instant(at),
    }


def _print(answer: Answer, key: KeyShown) -> None:
    explanation = answer.explanation
    where = f" at {explanation.location}" if explanation.location else ""
    say(
        (f"{explanation.sku} on {explanation.channel}{where}: ", "bold"),
        (f"{number(explanation.available)} available, ", "bold"),
        styled(explanation.status, STATUS_STYLES),
    )
    say((f"as of {format_instant(explanation.instant)}", "dim"))
    say()
    print_ledger(explanation)
    print_rules(explanation)
    _print_movements(answer)
    _print_published(key)


def _print_movements(answer: Answer) -> None:
    if not answer.last_movements:
        return
    say()
    say(("Last movements, newest first", "bold"))
    print_table(
        ("", "occurred", "type", "quantity", "location", "source", "id"),
        [
            [
                "",
                format_instant(at),
                kind,
                _quantity(kind, quantity),
                location or "",
                source,
                id,
            ]
            for source, id, _, kind, location, quantity, at in answer.last_movements
        ],
        numbers=("quantity",),
    )


def _quantity(kind: str, quantity: int | None) -> str:
    """The quantity with the sign it has for what is available; a count sets, and has none."""
    if quantity is None:
        return ""
    if kind in _TAKES_AWAY:
        return signed(-quantity)
    return signed(quantity) if kind in _BRINGS else number(quantity)


def _print_published(key: KeyShown) -> None:
    say()
    say(("Published", "bold"))
    if key.available is None:
        say("  nothing yet")
    else:
        cause = "" if key.cause is None else f", because of {key.cause.source} {key.cause.id}"
        say(
            f"  {number(key.available)} ",
            styled(key.status or "", STATUS_STYLES),
            f" at {key.computed_at} (version {key.version}){cause}",
        )
    if key.pending:
        due = f"due at {key.due}" if key.due else "due when the engine runs on"
        say(
            f"  {number(key.computed)} ",
            styled(key.computed_status, STATUS_STYLES),
            f" is pending, {due}",
        )
    else:
        say("  nothing is pending")
