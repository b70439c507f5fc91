"""`sellable explain`: the way from physical stock to the published number."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from engine.cli.examples import epilog
from engine.cli.explanation import print_ledger, print_rules
from engine.cli.options import AsJson, ChannelName, DataOrUrl, Key, KeyLocation, LastRules, Sku, Url
from engine.cli.printing import STATUS_STYLES, number, print_json, print_table, say, signed, styled
from engine.cli.reading import looking_at, rules_to_explain_with
from engine.cli.remote import folder_of, remote_of
from engine.embedded.shown import MovementShown, NumberExplained, number_explained
from engine.rules.explained import explanation_of

_TAKES_AWAY = frozenset({"sale", "fulfil", "transfer", "reserve"})
_BRINGS = frozenset({"return", "receipt", "release", "expect", "adjustment"})


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=epilog("explain"))(explain)


def explain(
    sku: Sku,
    channel: ChannelName,
    data: DataOrUrl = None,
    url: Url = None,
    key: Key = None,
    location: KeyLocation = None,
    rules: LastRules = None,
    as_json: AsJson = False,
) -> None:
    """Explain a number: from physical stock to published.

    Shows every term with its sign, the rule that won with its file and line, the rules that lost
    and why, the last movements, what was published last, and what is due when. Published is what
    the channel's file or topic has taken and acknowledged. Reads what the engine has committed,
    also while it runs: from its data folder, or from a running engine that listens.
    """
    remote = remote_of(data, url, key, rules)
    if remote is not None:
        asked = {"sku": sku, "channel": channel, "location": location}
        found = remote.get("/v1/explain", asked, NumberExplained)
    else:
        with looking_at(folder_of(data)) as view:
            found = number_explained(
                view.explain(rules_to_explain_with(view, rules), sku, channel, location)
            )
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: NumberExplained) -> None:
    where = f" at {found.location}" if found.location else ""
    say(
        (f"{found.sku} on {found.channel}{where}: ", "bold"),
        (f"{number(found.available)} available, ", "bold"),
        styled(found.status, STATUS_STYLES),
    )
    say((f"as of {found.instant}", "dim"))
    say()
    explanation = explanation_of(found)
    print_ledger(explanation)
    print_rules(explanation)
    _print_movements(found.last_movements)
    _print_published(found)


def _print_movements(movements: Sequence[MovementShown]) -> None:
    if not movements:
        return
    say()
    say(("Last movements, newest first", "bold"))
    print_table(
        ("", "occurred", "type", "quantity", "location", "source", "id"),
        [
            [
                "",
                one.occurred_at,
                one.type,
                _quantity(one.type, one.quantity),
                one.location or "",
                one.source,
                one.id,
            ]
            for one in movements
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


def _print_published(found: NumberExplained) -> None:
    last = found.published
    say()
    say(("Published", "bold"))
    if last is None or last.available is None:
        say("  nothing yet")
    else:
        cause = "" if last.cause is None else f", because of {last.cause.source} {last.cause.id}"
        say(
            f"  {number(last.available)} ",
            styled(last.status or "", STATUS_STYLES),
            f" at {last.computed_at} (version {last.version}){cause}",
        )
    if found.pending:
        due = f"due at {found.due}" if found.due else "due when the engine runs on"
        say(
            f"  {number(found.available)} ",
            styled(found.status, STATUS_STYLES),
            f" is pending, {due}",
        )
    else:
        say("  nothing is pending")
