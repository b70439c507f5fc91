"""The commands of `sellable`, and the application that runs one of them.

Only the module of the command that is called is imported: the others are known by their names and
summaries, so that a small command does not wait for what only a large one needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Final, NamedTuple

import typer

from engine import __version__
from engine.cli.examples import EXAMPLES, epilog

SUMMARY: Final = """\
How much of each item every channel may sell, kept up to date by stock movements.

Movements come in (sales, receipts, counts, reservations, ...), channel availability goes out
under the buffer rules of a folder, with ERP postings, snapshots and exceptions beside it. Start
with `sellable demo`, or with the examples below.

Exit status: 0 done, 1 the work failed, 2 the call was wrong.
"""


class Entry(NamedTuple):
    """A command, or with `group` several under one name; `module` has `add_to(app)`."""

    name: str
    module: str
    summary: str
    group: bool = False


ENTRIES: Final = (
    Entry("run", "engine.cli.run", "Run the engine: movements in, availability out."),
    Entry("stock", "engine.cli.stock", "Show the stock of a SKU at each location."),
    Entry(
        "availability",
        "engine.cli.availability",
        "Show what each channel was told of a SKU, and what is due.",
    ),
    Entry("explain", "engine.cli.explain", "Explain a number: from physical stock to published."),
    Entry(
        "rules",
        "engine.cli.rules",
        "Check, test, explain, try and publish a rules folder.",
        group=True,
    ),
    Entry(
        "exceptions",
        "engine.cli.exceptions",
        "List, show, mend, replay and dismiss exceptions.",
        group=True,
    ),
    Entry("keys", "engine.cli.keys", "Create, list and revoke API keys.", group=True),
    Entry("snapshot", "engine.cli.snapshot", "Take a snapshot of everything, now."),
    Entry(
        "reconcile",
        "engine.cli.reconcile",
        "Compare what another system believes with the book.",
    ),
    Entry("lookup", "engine.cli.lookup", "Look up what channels were told, in Redis."),
    Entry(
        "topics",
        "engine.cli.topics",
        "Make, check, describe and fill Kafka topics; order a snapshot.",
        group=True,
    ),
    Entry("worker", "engine.cli.worker", "Run a worker of the engine on Kafka.", group=True),
    Entry("api", "engine.cli.api", "Serve HTTP over the engine on Kafka."),
    Entry("rehearse", "engine.cli.rehearse", "Rehearse a peak: will it hold?"),
    Entry("demo", "engine.cli.demo", "See a year of a real retailer's sales go through."),
)


def build(words: Sequence[str]) -> typer.Typer:
    """The application, with those commands complete whose names are among the words."""
    app = new_app(SUMMARY, ())
    app.callback()(_root)
    for entry in ENTRIES:
        if entry.name in words:
            import_module(entry.module).add_to(app)
        else:
            app.command(entry.name, help=entry.summary)(_only_named)
    return app


def new_app(summary: str, path: Sequence[str]) -> typer.Typer:
    """An application, or a group of commands, with its examples under its help."""
    return typer.Typer(
        help=summary,
        epilog=epilog(" ".join(path)),
        add_completion=False,
        rich_markup_mode=None,
        subcommand_metavar="COMMAND [ARGS]...",
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def named(words: Sequence[str]) -> list[str]:
    """The words that name the command: `["exceptions", "replay"]`, `["run"]` or none.

    Of a group and a word that names none of its commands, the group.
    """
    if not words:
        return []
    entry = next((entry for entry in ENTRIES if entry.name == words[0]), None)
    if entry is None:
        return []
    return list(words[: 2 if " ".join(words[:2]) in EXAMPLES else 1])


def names_no_command(words: Sequence[str]) -> bool:
    """Whether nothing was named, or only a group of commands."""
    groups = [entry.name for entry in ENTRIES if entry.group]
    return not words or (len(words) == 1 and words[0] in groups)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sellable {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """See the summary of the application."""


def _only_named() -> None:
    """Stand for a command that was not called."""
