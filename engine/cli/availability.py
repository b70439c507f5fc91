"""`sellable availability`: what each channel was told of a SKU, and what is due."""

from __future__ import annotations

import typer
from rich.text import Text

from engine.cli.examples import epilog
from engine.cli.options import AsJson, DataOrUrl, Key, LastRules, OneChannel, Sku, Url
from engine.cli.printing import STATUS_STYLES, number, print_json, print_table, say, styled
from engine.cli.reading import looking_at, rules_to_explain_with
from engine.cli.remote import folder_of, quoted, remote_of
from engine.contracts.answers import KeyShown, SkuShown
from engine.embedded.shown import key_shown

_COLUMNS = (
    "channel",
    "location",
    "published",
    "status",
    "version",
    "published at",
    "now",
    "due",
)
_NUMBERS = ("published", "version", "now")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("availability", epilog=epilog("availability"))(availability)


def availability(
    sku: Sku,
    data: DataOrUrl = None,
    url: Url = None,
    key: Key = None,
    channel: OneChannel = None,
    rules: LastRules = None,
    as_json: AsJson = False,
) -> None:
    """Show what each channel was told of a SKU, and what is due.

    Reads what the engine has committed, also while it runs: from its data folder, or from a
    running engine that listens. "Now" is what the rules give for the
    stock as it is; where it differs from what was published, "due" says from when the channel's
    limits allow to tell it.
    """
    remote = remote_of(data, url, key, rules)
    if remote is not None:
        path = f"/v1/availability/{quoted(sku)}"
        found = remote.get(path, {"channel": channel}, SkuShown)
    else:
        with looking_at(folder_of(data)) as view:
            keys = view.availability(rules_to_explain_with(view, rules), sku, channel)
        found = SkuShown(sku, [key_shown(each) for each in keys])
    if as_json:
        print_json(found)
    elif found.channels:
        print_table(_COLUMNS, [_row(key) for key in found.channels], numbers=_NUMBERS)
    else:
        say(f"{sku} is sold on no channel from where it is.")


def _row(key: KeyShown) -> list[str | Text]:
    status = "not yet" if key.status is None else key.status
    return [
        key.channel,
        key.location or "",
        "" if key.available is None else number(key.available),
        styled(status, STATUS_STYLES),
        str(key.version) if key.version else "",
        key.computed_at or "",
        number(key.computed),
        key.due or ("pending" if key.pending else ""),
    ]
