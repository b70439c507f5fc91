"""`sellable availability`: what each channel was told of a SKU, and what is due."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.text import Text

from engine.cli.examples import epilog
from engine.cli.options import AsJson, Data, LastRules, Sku
from engine.cli.printing import STATUS_STYLES, number, print_json, print_table, say, styled
from engine.cli.reading import looking_at, rules_of
from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.embedded.view import ChannelKey
from engine.publication.throttle import STATUS_NAMES

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


class KeyShown(msgspec.Struct):
    """One key of a channel: its last publication (null before the first), and its value now.

    `due` is the first tick at which the key's own limits let a pending value be told.
    """

    channel: str
    location: str | None
    available: int | None
    status: str | None
    version: int
    computed_at: str | None
    cause: Cause | None
    computed: int
    computed_status: str
    pending: bool
    due: str | None


class SkuShown(msgspec.Struct):
    """The keys of one SKU."""

    sku: str
    channels: list[KeyShown]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("availability", epilog=epilog("availability"))(availability)


def availability(
    sku: Sku,
    data: Data,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="Only this channel.")
    ] = None,
    rules: LastRules = None,
    as_json: AsJson = False,
) -> None:
    """Show what each channel was told of a SKU, and what is due.

    Reads what the engine has committed, also while it runs. "Now" is what the rules give for the
    stock as it is; where it differs from what was published, "due" says from when the channel's
    limits allow to tell it.
    """
    with looking_at(data) as view:
        keys = view.availability(rules_of(view, rules), sku, channel)
    found = SkuShown(sku, [key_shown(key) for key in keys])
    if as_json:
        print_json(found)
    elif found.channels:
        print_table(_COLUMNS, [_row(key) for key in found.channels], numbers=_NUMBERS)
    else:
        say(f"{sku} is sold on no channel from where it is.")


def key_shown(key: ChannelKey) -> KeyShown:
    """A channel's key as it is shown."""
    last = key.published
    told = None if last is None else (last.value, STATUS_NAMES[last.status])
    return KeyShown(
        channel=key.channel,
        location=key.location,
        available=None if told is None else told[0],
        status=None if told is None else told[1],
        version=0 if last is None else last.version,
        computed_at=None if last is None else format_instant(last.at),
        cause=None if last is None or last.cause is None else Cause(*last.cause),
        computed=key.computed,
        computed_status=key.status,
        pending=told != (key.computed, key.status),
        due=None if key.due is None else format_instant(key.due),
    )


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
