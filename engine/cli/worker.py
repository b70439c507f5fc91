"""`sellable worker`: the same engine on Kafka, as four kinds of worker."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import typer

from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.kafka_settings import with_kafka_settings
from engine.cli.settings import with_settings
from engine.embedded.collecting import rare_collections
from engine.kafka.settings import KafkaSettings
from engine.telemetry.logs import set_up_logs

SUMMARY: Final = """\
Run a worker of the engine on Kafka.

Each kind is started as often as it needs, each worker with a data folder of its own: `ingest`
brings movements into the order of the ledger, `ledger` keeps the book, `publish` tells the
channels, `dispatch` keeps the read model in Redis.

A worker runs until SIGTERM or SIGINT. A setting is taken from its option, else from its environment
variable, else from the file of --config.
"""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_app(SUMMARY, ("worker",))
    group.command("ingest", epilog=epilog("worker ingest"))(
        with_kafka_settings(with_settings(ingest), ("redis_url", "redis_prefix"))
    )
    for command in (ledger, publish):
        name = command.__name__
        group.command(name, epilog=epilog(f"worker {name}"))(
            with_kafka_settings(command, ("redis_url", "redis_prefix", "sources"))
        )
    group.command("dispatch", epilog=epilog("worker dispatch"))(
        with_kafka_settings(dispatch, ("sources",))
    )
    app.add_typer(group, name="worker")


def ingest(settings: KafkaSettings, overrides: dict[str, str] | None = None) -> None:
    """Bring movements into the order of the ledger.

    Reads the topics movements.* and reservations, keyed in any way, and writes them by SKU into
    ledger.envelopes. One of these workers also announces the rules folder and the catalogue topics
    to the ledger, and each change of them.
    """
    given = {**settings.overrides, **(overrides or {})}
    _run("ingest", settings.model_copy(update={"overrides": given}))


def ledger(settings: KafkaSettings) -> None:
    """Keep the book of stock.

    Reads ledger.envelopes; each worker keeps some of its partitions. Its data folder is a copy
    of what is on the brokers: without it a start takes longer.
    """
    _run("ledger", settings)


def publish(settings: KafkaSettings) -> None:
    """Tell the channels what they may sell, as often as each can take it.

    Reads quantities.CHANNEL and writes availability.CHANNEL; each channel has one worker.
    """
    _run("publish", settings)


def dispatch(settings: KafkaSettings) -> None:
    """Keep the read model in Redis.

    Reads availability.* and writes each key's last publication; what was lost there is written
    again.
    """
    _run("dispatch", settings)


def _run(kind: str, settings: KafkaSettings) -> None:
    set_up_logs()
    run = import_module(f"engine.kafka.{kind}").run
    with rare_collections():
        run(settings)
