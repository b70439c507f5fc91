"""`sellable rules what-if`: what would change on live stock if these rules were published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from engine.cli.options import AsJson, Data, OneChannel, RulesFolder
from engine.cli.printing import (
    STATUS_STYLES,
    counted,
    number,
    print_json,
    print_table,
    say,
    signed,
    styled,
)
from engine.cli.reading import looking_at, rules_of
from engine.contracts.instants import format_instant
from engine.embedded.runtime import read_run_record
from engine.embedded.view import Number, View
from engine.embedded.what_if import Compared, rules_in_force, what_if
from engine.rules.mistakes import RulesError
from engine.rules.ruleset import RuleSet

SHOWN: Final = 50
"""Changes that people are shown when they do not say how many."""

_SUMS: Final = ("channel", "keys", "change", "more", "less", "sold out", "back", "now", "then")
_CHANGES: Final = ("sku", "channel", "location", "now", "then", "difference", "status")
_NUMBERS: Final = frozenset({*_SUMS[1:], "difference"})


def show_what_if(
    folder: RulesFolder,
    data: Data,
    channel: OneChannel = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            metavar="N",
            help=f"Show so many changes, the largest first; left out: {SHOWN}, with --json all.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would change on live stock if these rules were published.

    Compares what every key of every channel is under the rules in force with what it would be
    under those of DIR, at the engine's clock and for the stock as it is. Nothing is changed, and
    the engine may run meanwhile. Where the folder of the last run does not say any more what the
    engine took up, what was published last is compared.
    """
    with looking_at(data) as view:
        then = rules_of(view, folder)
        now = rules_in_force(view, _last_run(view))
        if channel is not None:
            view.channel(now if now is not None and now.channel(channel) else then, channel)
        compared = [
            each for each in what_if(view, now, then) if channel is None or each.channel == channel
        ]
        clock = view.standing.clock
    changes = sorted((each for each in compared if each.changed), key=_by_size)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "fingerprint": then.fingerprint,
                "instant": None if clock is None else format_instant(clock),
                "compared_with": "published" if now is None else "rules",
                "keys": len(compared),
                "changed": len(changes),
                "channels": [_sums(name, compared) for name in _channels(compared)],
                "changes": [_change(each) for each in changes[:limit]],
            }
        )
        return
    _print(compared, changes[: SHOWN if limit is None else limit], len(changes), now is None)


def _last_run(view: View) -> RuleSet | None:
    """The rules in the folder of the last run; None where it cannot be read any more."""
    if not read_run_record(view.store).rules:
        return None
    try:
        return rules_of(view, None)
    except RulesError:
        return None


def _by_size(each: Compared) -> tuple[int, str, str, str]:
    return -abs(_difference(each)), each.sku, each.channel, each.location or ""


def _difference(each: Compared) -> int:
    return _quantity(each.then) - _quantity(each.now)


def _quantity(told: Number | None) -> int:
    return 0 if told is None else told[0]


def _channels(compared: Sequence[Compared]) -> list[str]:
    return sorted({each.channel for each in compared})


def _sums(channel: str, compared: Sequence[Compared]) -> dict[str, Any]:
    keys = [each for each in compared if each.channel == channel]
    differences = [_difference(each) for each in keys]
    return {
        "channel": channel,
        "keys": len(keys),
        "changed": sum(each.changed for each in keys),
        "more": sum(difference > 0 for difference in differences),
        "less": sum(difference < 0 for difference in differences),
        "sold_out": sum(_quantity(each.now) > 0 == _quantity(each.then) for each in keys),
        "back_in_stock": sum(_quantity(each.then) > 0 == _quantity(each.now) for each in keys),
        "available_now": sum(_quantity(each.now) for each in keys),
        "available_then": sum(_quantity(each.then) for each in keys),
    }


def _change(each: Compared) -> dict[str, Any]:
    return {
        "sku": each.sku,
        "channel": each.channel,
        "location": each.location,
        "now": None if each.now is None else each.now[0],
        "status_now": None if each.now is None else each.now[1],
        "then": None if each.then is None else each.then[0],
        "status_then": None if each.then is None else each.then[1],
        "difference": _difference(each),
    }


def _print(
    compared: Sequence[Compared], shown: Sequence[Compared], changed: int, published: bool
) -> None:
    if published:
        say("Compared with what was published last: the rules in force are in no folder any more.")
    rows = [[*map(_cell, _sums(name, compared).values())] for name in _channels(compared)]
    print_table(_SUMS, rows, numbers=_NUMBERS)
    if not changed:
        say(f"{counted(len(compared), 'key')}, ", ("nothing would change", "green"))
        return
    say("")
    print_table(_CHANGES, [_row(each) for each in shown], numbers=_NUMBERS)
    more = changed - len(shown)
    if more:
        say(f"and {counted(more, 'change')} more: --limit shows them, --json all.")
    say(f"{number(changed)} of {counted(len(compared), 'key')} would change")


def _cell(value: str | int) -> str:
    return value if isinstance(value, str) else number(value)


def _row(each: Compared) -> list[str | Text]:
    then = "no key" if each.then is None else each.then[1]
    return [
        each.sku,
        each.channel,
        each.location or "",
        "" if each.now is None else number(each.now[0]),
        "" if each.then is None else number(each.then[0]),
        signed(_difference(each)),
        styled(then, STATUS_STYLES),
    ]
