"""`sellable api`: the HTTP service over the engine on Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from engine.cli.examples import epilog
from engine.cli.kafka_settings import with_kafka_settings
from engine.cli.options import KeysFile
from engine.embedded.collecting import YOUNG_OBJECTS_LISTENING, rare_collections
from engine.kafka.settings import KafkaSettings
from engine.telemetry.logs import set_up_logs

LEFT_OUT: Final = ("sources", "linger_ms", "replication", "metrics_listen")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("api", epilog=epilog("api"))(with_kafka_settings(api, LEFT_OUT))


def api(
    settings: KafkaSettings,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Serve HTTP there, such as 127.0.0.1:8080."
        ),
    ],
    keys: KeysFile = None,
    audit: Annotated[
        Path | None,
        typer.Option(
            "--audit",
            metavar="FILE",
            help="Where writes and refusals are recorded [DATA/audit.ndjson].",
        ),
    ] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="Only a proxy that does TLS can reach the address."),
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain, PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.")
    ] = None,
) -> None:
    """Serve HTTP over the engine on Kafka.

    The same calls as `sellable run --listen` has. Any number of these processes may run, each with
    a data folder of its own: it holds a copy of the ledger's state, and without it a start takes
    longer. Published numbers are looked up in Redis, which `sellable worker dispatch` fills.

    It runs until SIGTERM or SIGINT. Without API keys it may listen at an address of this machine
    only (127.0.0.1).
    """
    # Only now: a web framework and all of Kafka take their time to be imported.
    from engine.api.kafka.process import serve
    from engine.api.kafka.runtime import KafkaRuntime
    from engine.cli.listening import serving
    from engine.cli.running import Listen
    from engine.kafka.folder_lock import locked

    set_up_logs()
    settings.refuse_clear_redis()
    where = Listen(listen, keys, audit, behind_proxy, tls_certificate, tls_key)
    runtime = KafkaRuntime(settings)
    with (
        locked(settings.data),
        serving(where, settings.data, runtime) as server,
        rare_collections(YOUNG_OBJECTS_LISTENING),
    ):
        serve(runtime, server)
