"""`sellable topics`: make the topics on a cluster, compare them, describe them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from engine.cli.app import new_app
from engine.cli.examples import epilog
from engine.cli.kafka_settings import with_kafka_settings
from engine.cli.options import AsJson
from engine.cli.printing import counted, print_json, print_table, say
from engine.contracts.errors import EXIT_FAILED
from engine.embedded.inputs_files import check_path
from engine.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from engine.kafka.catalogue import Wanted

SUMMARY: Final = """\
Make, check, describe and fill Kafka topics; order a snapshot.

What topics there are is decided in the code: names, partitions, compaction, retention. Those of the
channels follow from the rules folder.
"""
STDIN: Final = "-"
_NOT_ASKED: Final = (
    "data",
    "instance_id",
    "session_timeout_ms",
    "linger_ms",
    "envelope_movements",
    "envelope_bytes",
    "compression",
    "metrics_listen",
    "redis_url",
    "redis_prefix",
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_app(SUMMARY, ("topics",))
    for command in (create, check, describe):
        name = command.__name__
        group.command(name, epilog=epilog(f"topics {name}"))(
            with_kafka_settings(command, _NOT_ASKED)
        )
    group.command("send", epilog=epilog("topics send"))(
        with_kafka_settings(send, (*_NOT_ASKED, "rules", "partitions", "replication", "sources"))
    )
    group.command("snapshot", epilog=epilog("topics snapshot"))(
        with_kafka_settings(snapshot, (*_NOT_ASKED, "rules", "replication", "sources"))
    )
    app.add_typer(group, name="topics")


def create(settings: KafkaSettings, as_json: AsJson = False) -> None:
    """Make the topics that are not there yet.

    What is there is left as it is: see `sellable topics check`. Run it again after channels were
    added.
    """
    from engine.kafka import topics_admin

    topics = _wanted(settings)
    made = asyncio.run(topics_admin.create(settings, topics))
    if as_json:
        print_json({"created": made, "existing": len(topics) - len(made)})
        return
    for name in made:
        say(f"created {name}")
    say(f"{counted(len(made), 'topic')} created, {len(topics) - len(made)} were there")


def check(settings: KafkaSettings, as_json: AsJson = False) -> None:
    """Compare the topics of a cluster with what they should be.

    Names each difference and what to do. Ends with 1 when there is any.
    """
    from engine.kafka import topics_admin

    topics = _wanted(settings)
    differences = asyncio.run(topics_admin.check(settings, topics))
    if as_json:
        print_json({"topics": len(topics), "differences": differences})
    else:
        for each in differences:
            found = "there is none" if each.found is None else f"{each.what} is {each.found}"
            wanted = "" if each.found is None else f", should be {each.wanted}"
            say((f"{each.topic}: {found}{wanted}", "bold"))
            say(f"  {each.remedy}")
        told = counted(len(differences), "difference")
        say(f"{counted(len(topics), 'topic')} checked, {told}")
    if differences:
        raise typer.Exit(EXIT_FAILED)


def describe(settings: KafkaSettings, as_json: AsJson = False) -> None:
    """Show the topics as they should be; no cluster is asked."""
    from engine.kafka.catalogue import TOPICS, wanted

    channels = _channels(settings)
    shown = [(topic, each) for topic in TOPICS for each in wanted(settings, channels, [topic])]
    if as_json:
        print_json(
            [
                {
                    "topic": each.name,
                    "direction": topic.direction.value,
                    "summary": topic.summary,
                    "key": topic.key.replace("`", ""),
                    "partitions": each.partitions,
                    "replication": each.replication,
                    "config": dict(each.config),
                }
                for topic, each in shown
            ]
        )
        return
    print_table(
        ("topic", "direction", "partitions", "replication", "key", "config"),
        [
            (
                each.name,
                topic.direction.value,
                str(each.partitions),
                str(each.replication),
                topic.key.replace("`", ""),
                " ".join(f"{name}={value}" for name, value in each.config.items()),
            )
            for topic, each in shown
        ],
        numbers=("partitions", "replication"),
    )


def send(
    settings: KafkaSettings,
    topic: Annotated[
        str, typer.Option("--topic", metavar="NAME", help="Where to: movements.NAME, reservations.")
    ],
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="NDJSON; left out, or -: standard input.")
    ] = STDIN,
    as_json: AsJson = False,
) -> None:
    """Send the lines of a file to a topic, one message each.

    For first steps, and for what was missed: a movement that was there already is dropped as a
    duplicate.
    """
    from engine.kafka.send_lines import send_lines

    with _opened(file) as lines:
        sent = asyncio.run(send_lines(settings, topic, lines))
    if as_json:
        print_json({"topic": settings.topic(topic), "sent": sent})
    else:
        say(f"{counted(sent, 'message')} sent to {settings.topic(topic)}")


def snapshot(settings: KafkaSettings, as_json: AsJson = False) -> None:
    """Have the engine take a snapshot of everything.

    On its next tick every partition of the ledger, and every channel, writes a consistent cut to
    the topic reconciliation.snapshots. They also do so by themselves, as often as `snapshot.every`
    of engine.yaml says.
    """
    from engine.kafka.catalogue import SNAPSHOTS
    from engine.kafka.orders import order_snapshot

    asyncio.run(order_snapshot(settings))
    topic = settings.topic(SNAPSHOTS)
    if as_json:
        print_json({"ordered": True, "topic": topic})
    else:
        say(f"ordered: look for it in {topic}")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    check_path(file)
    with Path(file).open("rb") as lines:
        yield lines


def _wanted(settings: KafkaSettings) -> list[Wanted]:
    from engine.kafka.catalogue import wanted

    return wanted(settings, _channels(settings))


def _channels(settings: KafkaSettings) -> list[str]:
    """The channels of the rules folder.

    Raises:
        RulesError: the folder has mistakes.
    """
    from engine.rules.loader import load_rules

    return [channel.name for channel in load_rules(settings.rules).channels]
