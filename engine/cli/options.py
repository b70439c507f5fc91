"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The item.")]
Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", help="The data folder of `sellable run`."),
]
DataOrUrl = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data folder of `sellable run`."),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="In place of --data: a running engine, such as http://127.0.0.1:8080.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        envvar="SELLABLE_KEY",
        help="The API key for --url, if it needs one.",
    ),
]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE",
        envvar="SELLABLE_KEYS",
        help="The file of API keys; left out: keys.json in the data folder.",
    ),
]
LastRules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="DIR",
        help="The rules folder; left out: the one that the engine last ran with.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RulesFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The rules folder.")]
ChannelName = Annotated[str, typer.Option("--channel", metavar="NAME", help="The channel.")]
OneChannel = Annotated[
    str | None, typer.Option("--channel", metavar="NAME", help="Only this channel.")
]
OneLocation = Annotated[
    str | None, typer.Option("--location", metavar="NAME", help="Only this location.")
]
KeyLocation = Annotated[
    str | None,
    typer.Option(
        "--location", metavar="NAME", help="For a channel with a number for each location."
    ),
]
