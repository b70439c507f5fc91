"""`sellable run`: the embedded engine, one process, no server needed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.examples import epilog
from engine.cli.options import KeysFile
from engine.cli.printing import print_json
from engine.cli.running import Listen, Plan, run_engine
from engine.cli.settings import with_settings
from engine.contracts.errors import UsageError
from engine.core.parts import EVENT, WALL
from engine.telemetry.logs import set_up_logs


class Clock(StrEnum):
    """What the engine's clock follows."""

    wall = WALL
    event = EVENT


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=epilog("run"))(with_settings(run))


def run(
    rules: Annotated[
        Path, typer.Option("--rules", metavar="DIR", help="The rules folder; watched for changes.")
    ],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="The engine's state; made when not there."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE|-",
            help="Movements: .ndjson or .csv, also .gz or .zst of it; - is stdin; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the outputs go; left out: where they went last, at first DATA/out.",
        ),
    ] = None,
    clock: Annotated[
        Clock,
        typer.Option("--clock", help="wall: the time of day; event: the movements' own time."),
    ] = Clock.wall,
    once: Annotated[
        bool,
        typer.Option("--once", help="Stop when the inputs end and nothing is pending."),
    ] = False,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Take several inputs by the times of their movements, not in turn."
        ),
    ] = False,
    sync: Annotated[
        bool,
        typer.Option(
            "--sync",
            help="Wait for the disk with every commit: it outlives a power cut too.",
        ),
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Serve HTTP there, such as 127.0.0.1:8080."
        ),
    ] = None,
    keys: KeysFile = None,
    audit: Annotated[
        Path | None,
        typer.Option(
            "--audit",
            metavar="FILE",
            help="With --listen: where writes and refusals are recorded [DATA/audit.ndjson].",
        ),
    ] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy",
            help="With --listen: only a proxy that does TLS can reach the address.",
        ),
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="With --listen: certificate chain, PEM."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="With --listen: its private key, PEM."),
    ] = None,
    json_errors: Annotated[
        bool,
        typer.Option("--json", help="Tell errors as JSON; the summary is JSON in any case."),
    ] = False,
    overrides: dict[str, str] | None = None,
) -> None:
    """Run the engine: movements in, availability out.

    Without --once it follows its inputs until SIGINT or SIGTERM. Killed at any point and started
    again with the same arguments, it goes on where it was. The last line of standard output is
    one line of JSON with what was done.

    A setting is taken from its option, else from its environment variable, else from engine.yaml.

    Bad input never stops the engine: a movement that cannot be applied becomes an exception, and
    a file that is damaged (a truncated gzip, say) is read as far as it goes. That is told on
    stderr, and the exit status is 0.

    With --listen it serves lookups, reservations and movements over HTTP as well. Without API keys
    it may listen at an address of this machine only (127.0.0.1).
    """
    set_up_logs()
    # The file of keys may come from the environment, where it is meant for other commands too.
    if listen is None and (audit or tls_certificate or tls_key or behind_proxy):
        raise UsageError(
            "an option of the HTTP service is given, and not where it shall listen",
            "Add --listen HOST:PORT.",
        )
    plan = Plan(
        rules=rules,
        data=data,
        inputs=inputs or (),
        out=out,
        clock=clock.value,
        once=once,
        merge=merge,
        sync=sync,
        overrides=overrides or {},
        listen=None
        if listen is None
        else Listen(listen, keys, audit, behind_proxy, tls_certificate, tls_key),
    )
    del json_errors  # Errors are told where all commands end.
    print_json(run_engine(plan))
