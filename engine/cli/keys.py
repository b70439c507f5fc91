"""`sellable keys`: create, list and revoke the API keys of the HTTP service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine.api import keys
from engine.api.keys import DEFAULT_RATE, KeyRecord, NewKey, create_key, read_keys, revoke_key
from engine.api.roles import Role
from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.options import AsJson, DataOrUrl, KeysFile
from engine.cli.printing import print_json, print_table, say
from engine.contracts.errors import UsageError
from engine.contracts.instants import format_instant
from engine.embedded.runtime import wall_clock

SUMMARY = """\
Create, list and revoke API keys.

A key is shown once, when it is made; what is kept is its hash. A running service follows changes
within a second. As soon as there is one key, nobody may call without.
"""


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = new_app(SUMMARY, ("keys",))
    group.command("create", epilog=epilog("keys create"))(create)
    group.command("list", epilog=epilog("keys list"))(list_them)
    group.command("revoke", epilog=epilog("keys revoke"))(revoke)
    app.add_typer(group, name="keys")


def create(
    role: Annotated[Role, typer.Option("--role", help="What the key is for.")],
    channels: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="NAME",
            help="For readers and reservers: a channel that it reaches, '*' for all; repeatable.",
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="For publishers: a source whose movements it sends, such as 'pos-*'; repeatable.",
        ),
    ] = None,
    rate: Annotated[
        str,
        typer.Option("--rate", metavar="N/s", help="How many calls it may make, per s, min or h."),
    ] = DEFAULT_RATE,
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="Whose it is, for the record.")
    ] = "",
    data: DataOrUrl = None,
    file: KeysFile = None,
    as_json: AsJson = False,
) -> None:
    """Create a key, and show it: the only time that anybody can see it."""
    wanted = NewKey(role, name, channels or (), sources or (), rate)
    text, record = create_key(_file(data, file), wanted, format_instant(wall_clock()))
    if as_json:
        print_json({**_shown(record), "key": text})
        return
    # A program that catches the key gets the key alone.
    say(text)
    if sys.stdout.isatty():
        reach = f"{record.role} {record.id} ({record.name}), for {record.reach}; {record.rate}"
        say((reach, "dim"))
        say(("Keep it now: it cannot be shown again.", "dim"))


def list_them(data: DataOrUrl = None, file: KeysFile = None, as_json: AsJson = False) -> None:
    """List the keys, those that were revoked too."""
    found = read_keys(_existing(data, file))
    if as_json:
        print_json([_shown(record) for record in found])
    elif found:
        columns = ("id", "name", "role", "reaches", "rate", "created", "revoked")
        print_table(columns, [_row(record) for record in found])
    else:
        say("There are no keys.")


def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As listed, such as 5f2c9d8e.")],
    data: DataOrUrl = None,
    file: KeysFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for good."""
    record = revoke_key(_existing(data, file), id, format_instant(wall_clock()))
    if as_json:
        print_json(_shown(record))
    else:
        say(f"{id} ({record.name}) is revoked; a running service follows within a second")


def _file(data: Path | None, file: Path | None) -> Path:
    if file is not None:
        return file
    if data is None:
        raise UsageError(
            "which keys is not said",
            "Name the engine's data folder with --data, or the file of keys with --keys or the "
            "environment variable SELLABLE_KEYS.",
        )
    return data / keys.FILE_NAME


def _existing(data: Path | None, file: Path | None) -> Path:
    """Where keys may have been made: a folder that is not there is a slip, and not one without."""
    found = _file(data, file)
    if not found.parent.is_dir():
        raise UsageError(f"there is no folder {found.parent}", "Check its name.")
    return found


def _shown(record: KeyRecord) -> dict[str, object]:
    """A key for programs: all that is kept of it but the hash."""
    found = msgspec.structs.asdict(record)
    del found["sha256"]
    return found


def _row(record: KeyRecord) -> list[str]:
    return [
        record.id,
        record.name,
        record.role,
        record.reach,
        record.rate,
        record.created_at,
        record.revoked_at or "",
    ]
