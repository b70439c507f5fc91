"""`sellable rules what-if`: what would change on live stock if these rules were published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from engine.cli.options import AsJson, DataOrUrl, Key, OneChannel, RulesFolder, Url
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
from engine.cli.remote import Remote, folder_of, remote_of
from engine.cli.rules_sending import PATH, read_for_sending
from engine.contracts.limits import MAX_CHANGES_SHOWN
from engine.embedded.runtime import read_run_record
from engine.embedded.view import View
from engine.embedded.what_if import (
    PUBLISHED,
    Change,
    WhatIf,
    rules_in_force,
    tally,
    told,
    what_if,
)
from engine.rules.mistakes import RulesError
from engine.rules.ruleset import RuleSet

SHOWN: Final = 50
"""Changes that people are shown when they do not say how many."""

_SUMS: Final = ("channel", "keys", "change", "more", "less", "sold out", "back", "now", "then")
_CHANGES: Final = ("sku", "channel", "location", "now", "then", "difference", "status")
_NUMBERS: Final = frozenset({*_SUMS[1:], "difference"})


def show_what_if(
    folder: RulesFolder,
    data: DataOrUrl = None,
    url: Url = None,
    key: Key = None,
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
    engine took up, what was published last is compared. A running engine is sent what `rules
    publish` would send it.
    """
    shown = limit if as_json or limit is not None else SHOWN
    remote = remote_of(data, url, key)
    if remote is not None:
        found = _asked(remote, folder, channel, shown)
    else:
        found = _looked_up(folder_of(data), folder, channel, shown)
    if as_json:
        print_json({"folder": str(folder), **msgspec.structs.asdict(found)})
    else:
        _print(found)


def _asked(remote: Remote, folder: Path, channel: str | None, limit: int | None) -> WhatIf:
    asked = {"channel": channel, "limit": str(MAX_CHANGES_SHOWN if limit is None else limit)}
    return remote.send("POST", f"{PATH}/what-if", asked, read_for_sending(folder), WhatIf)


def _looked_up(data: Path, folder: Path, channel: str | None, limit: int | None) -> WhatIf:
    with looking_at(data) as view:
        then = rules_of(view, folder)
        now = rules_in_force(view, _last_run(view))
        if channel is not None:
            view.channel(now if now is not None and now.channel(channel) else then, channel)
        found = tally(what_if(view, now, then), channel, limit)
        standing = view.standing
        return told(found, then, standing.fingerprint, standing.clock, now is None)


def _last_run(view: View) -> RuleSet | None:
    """The rules in the folder of the last run; None where it cannot be read any more."""
    if not read_run_record(view.store).rules:
        return None
    try:
        return rules_of(view, None)
    except RulesError:
        return None


def _print(found: WhatIf) -> None:
    if found.compared_with == PUBLISHED:
        say("Compared with what was published last: the rules in force are in no folder any more.")
    rows = [[*map(_cell, msgspec.structs.astuple(sums))] for sums in found.channels]
    print_table(_SUMS, rows, numbers=_NUMBERS)
    if not found.changed:
        say(f"{counted(found.keys, 'key')}, ", ("nothing would change", "green"))
        return
    say("")
    print_table(_CHANGES, [_row(each) for each in found.changes], numbers=_NUMBERS)
    more = found.changed - len(found.changes)
    if more:
        say(f"and {counted(more, 'change')} more: --limit shows them, --json all.")
    say(f"{number(found.changed)} of {counted(found.keys, 'key')} would change")


def _cell(value: str | int) -> str:
    return value if isinstance(value, str) else number(value)


def _row(each: Change) -> list[str | Text]:
    return [
        each.sku,
        each.channel,
        each.location or "",
        "" if each.now is None else number(each.now),
        "" if each.then is None else number(each.then),
        signed(each.difference),
        styled(each.status_then or "no key", STATUS_STYLES),
    ]
