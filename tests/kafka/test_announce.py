"""Rules on their way to the ledger: the folder, its changes, and the catalogue topics over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from structlog.testing import capture_logs

from engine.kafka.announce import load_files
from engine.kafka.catalogue import of_channel, wanted
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import Contents, point
from engine.kafka.envelopes import ControlEntry
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import partitions_of
from engine.rules.model import Item, Location
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.cluster import PATIENCE_S, Log, ingesting, make_topics, write_rules
from tests.kafka.conftest import MakeSettings

CHANNELS = "channels: {web-shop: {}, kiosk: {}}\n"


def announced(log: Log) -> dict[int, list[str]]:
    """The names of the rules that each partition has met."""
    return {
        partition: [entry.name for entry in entries if isinstance(entry, ControlEntry)]
        for partition, entries in log.entries.items()
    }


async def rules_after(log: Log, settings: KafkaSettings, count: int) -> RuleSet:
    """The rules that every partition has met as its `count`-th."""
    await until(log, lambda: all(len(names) >= count for names in announced(log).values()))
    names = {names[count - 1] for names in announced(log).values()}
    assert len(names) == 1
    return load_files(await Contents(settings).read(names.pop()))


async def until(log: Log, found: Callable[[], bool]) -> None:
    """Read the log until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not found():
            await log.read()


async def tell(settings: KafkaSettings, topic: str, key: str, value: object) -> None:
    """Write one message of a catalogue topic; None takes a row back."""
    data = None if value is None else json.dumps(value).encode()
    async with running(make_producer(settings, "test")) as producer:
        await producer.send_and_wait(settings.topic(topic), data, key=key.encode())


async def test_a_changed_folder_reaches_every_partition_and_a_broken_one_none(
    make_settings: MakeSettings,
) -> None:
    """With the topics of its new channels made before; the settings that were given go along."""
    settings = make_settings(overrides={"publish_tick": "500ms"})
    write_rules(settings.rules)
    await make_topics(settings)
    metrics = WorkerMetrics()
    with capture_logs() as logs:
        async with ingesting(settings, metrics), Log(settings) as log:
            first = await rules_after(log, settings, 1)
            write_rules(settings.rules, **{"a.rules.yaml": "rules: [{name: broken}]"})
            await until(log, lambda: any("broken" in each["event"] for each in logs))
            assert (metrics.registry.get_sample_value("sellable_rules_mistakes") or 0) > 0
            (settings.rules / "a.rules.yaml").unlink()
            (settings.rules / "channels.yaml").write_text(CHANNELS)
            second = await rules_after(log, settings, 2)
    assert [channel.name for channel in first.channels] == ["web-shop"]
    assert [channel.name for channel in second.channels] == ["web-shop", "kiosk"]
    assert second.settings.publish_tick == 500_000
    assert metrics.registry.get_sample_value("sellable_rules_mistakes") == 0.0
    made = [
        settings.topic(of_channel(each, "kiosk"))
        for each in ("quantities.{channel}", "availability.{channel}")
    ]
    assert set((await partitions_of(settings, made)).values()) == {settings.partitions}


async def test_a_worker_that_starts_again_with_the_same_rules_announces_nothing(
    make_settings: MakeSettings,
) -> None:
    """Also when it is another worker."""
    settings = make_settings()
    write_rules(settings.rules)
    await make_topics(settings)
    async with Log(settings) as log:
        async with ingesting(settings):
            await rules_after(log, settings, 1)
            await asyncio.sleep(1)  # it is noted as announced after the last partition has it
        with capture_logs() as logs:
            async with ingesting(settings):
                await until(log, lambda: any("runs" in each["event"] for each in logs))
        await log.read()
        assert {len(names) for names in announced(log).values()} == {1}


async def test_what_was_not_announced_to_the_end_is_announced_again(
    make_settings: MakeSettings,
) -> None:
    """Whoever led before died between the first partition and the note that all have it."""
    settings = make_settings()
    write_rules(settings.rules)
    await make_topics(settings)
    async with Log(settings) as log:
        async with ingesting(settings):
            first = await rules_after(log, settings, 1)
            await asyncio.sleep(1)
        async with running(make_producer(settings, "test")) as producer:
            await point(producer, settings, "rules-before")
        async with ingesting(settings):
            second = await rules_after(log, settings, 2)
    assert first.fingerprint == second.fingerprint


async def test_the_catalogue_topics_count_before_the_files_until_they_are_taken_back(
    make_settings: MakeSettings,
) -> None:
    """What is no valid row is told and counted, and the row before it stays."""
    settings = make_settings()
    write_rules(
        settings.rules, **{"items.csv": "sku,category,brand,tags\nA,GROCERY,X,\nB,TOYS,Y,\n"}
    )
    await make_topics(settings)
    await tell(settings, "catalogue.items", "A", {"sku": "A", "category": "DAIRY", "tags": ["x"]})
    await tell(
        settings, "catalogue.locations", "S-1", {"location": "S-1", "type": "store", "tags": "a;b"}
    )
    await tell(settings, "catalogue.items", "B", {"sku": "other"})
    await tell(settings, "catalogue.items", "B", {"sku": "B", "category": "bad\nname"})
    await tell(settings, "catalogue.locations", "S-1", {"location": "S-1", "timezone": "Mars"})
    metrics = WorkerMetrics()
    with capture_logs():
        async with ingesting(settings, metrics), Log(settings) as log:
            first = (await rules_after(log, settings, 1)).catalogue
            await tell(settings, "catalogue.items", "A", None)
            second = (await rules_after(log, settings, 2)).catalogue
    assert first.items == {
        "A": Item("DAIRY", "", frozenset({"x"})),
        "B": Item("TOYS", "Y", frozenset()),
    }
    assert first.locations == {"S-1": Location("store", "", frozenset({"a", "b"}), "UTC")}
    assert second.items["A"] == Item("GROCERY", "X", frozenset())
    assert metrics.registry.get_sample_value("sellable_catalogue_refusals_total") == 3.0


def test_every_topic_of_the_catalogue_has_a_name_of_its_own(make_settings: MakeSettings) -> None:
    """Also on a cluster that several engines share."""
    names = [each.name for each in wanted(make_settings(), ["a", "b"])]
    assert len(set(names)) == len(names)
