"""Rules on their way to the ledger: the folder, its changes, and the catalogue topics over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from structlog.testing import capture_logs

from engine.kafka.announce import Announcer
from engine.kafka.catalogue import CONTENTS, of_channel, wanted
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import BASE, Contents, point, write_content
from engine.kafka.envelopes import ControlEntry
from engine.kafka.rules_files import load_files
from engine.kafka.rules_keeper import replace
from engine.kafka.rules_orders import CHANGED, ORDERED, SETTINGS, UNUSABLE, Verdict, order_rules
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import partitions_of
from engine.rules.model import Item, Location
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.cluster import PATIENCE_S, Log, ingesting, make_topics, write_rules
from tests.kafka.conftest import MakeSettings

CHANNELS = "channels: {web-shop: {}, kiosk: {}}\n"


async def started(make_settings: MakeSettings, **more: object) -> KafkaSettings:
    """Settings of an engine whose rules folder and topics are there."""
    settings = make_settings(**more)
    write_rules(settings.rules)
    await make_topics(settings)
    return settings


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
    settings = await started(make_settings, overrides={"publish_tick": "500ms"})
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
    settings = await started(make_settings)
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
    settings = await started(make_settings)
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


# --- orders of others --------------------------------------------------------------------------

PUBLISHED = {"channels.yaml": b"channels: {web-shop: {}}\n", "a.rules.yaml": b"rules: []\n"}


async def published(settings: KafkaSettings, files: Mapping[str, bytes] = PUBLISHED) -> Verdict:
    """Have rules published in place of any others."""
    async with asyncio.timeout(PATIENCE_S):
        verdict = await order_rules(settings, files, None, settings_too=False)
    assert verdict.refusal is None, verdict
    return verdict


async def test_what_was_published_stays_until_the_folder_says_something_new(
    make_settings: MakeSettings,
) -> None:
    """Through another leader, other options, and a change of the catalogue topics over it."""
    settings = make_settings(overrides={"publish_tick": "500ms"})
    write_rules(
        settings.rules,
        **{
            "b.rules.yaml": "rules: []\n",
            "locations.csv": "location,type,region,tags\nL,store,,\n",
        },
    )
    await make_topics(settings)
    async with Log(settings) as log:
        async with ingesting(settings):
            await rules_after(log, settings, 1)
            verdict = await published(settings)
            second = await rules_after(log, settings, 2)
        assert second.fingerprint == verdict.fingerprint
        assert second.settings.publish_tick == 500_000
        assert verdict.put == sorted(PUBLISHED)
        assert (verdict.kept, verdict.removed) == (["locations.csv"], ["b.rules.yaml"])
        settings = settings.model_copy(update={"overrides": {"publish_tick": "250ms"}})
        async with ingesting(settings):
            third = await rules_after(log, settings, 3)
            assert third.settings.publish_tick == 250_000
            await tell(settings, "catalogue.items", "A", {"sku": "A", "category": "toys"})
            fourth = await rules_after(log, settings, 4)
            assert fourth.catalogue.items["A"].category == "toys"
            assert [channel.name for channel in fourth.channels] == ["web-shop"]
            (settings.rules / "channels.yaml").write_text(CHANNELS)
            fifth = await rules_after(log, settings, 5)
        assert [channel.name for channel in fifth.channels] == ["web-shop", "kiosk"]
        assert fifth.catalogue.items["A"].category == "toys"


async def test_orders_that_cannot_be_followed_are_refused_and_change_nothing(
    make_settings: MakeSettings,
) -> None:
    """Other rules are in force, settings would change, or they have mistakes."""
    settings = await started(make_settings)
    ticking = {**PUBLISHED, "engine.yaml": b"publish_tick: 2s\n"}
    async with ingesting(settings), Log(settings) as log:
        first = await rules_after(log, settings, 1)
        refused = [
            await order_rules(settings, files, expected, settings_too=False)
            for files, expected in (
                (PUBLISHED, ["another"]),
                (ticking, None),
                ({"channels.yaml": b"channels: ["}, None),
            )
        ]
        assert [each.refusal for each in refused] == [CHANGED, SETTINGS, UNUSABLE]
        assert {each.before for each in refused} == {first.fingerprint}
        assert "channels.yaml" in refused[2].reason
        done = await order_rules(settings, ticking, [first.fingerprint], settings_too=True)
        assert (done.refusal, done.before) == (None, first.fingerprint)
        second = await rules_after(log, settings, 2)
    assert second.settings.publish_tick == 2_000_000
    assert {len(names) for names in announced(log).values()} == {2}


async def test_what_a_leader_had_taken_up_when_it_died_is_announced_by_the_next(
    make_settings: MakeSettings,
) -> None:
    """The base is noted before any partition hears of it."""
    settings = await started(make_settings)
    async with Log(settings) as log:
        async with ingesting(settings):
            await rules_after(log, settings, 1)
            await asyncio.sleep(1)
        async with running(make_producer(settings, "test")) as producer:
            name = await write_content(producer, settings, PUBLISHED)
            await point(producer, settings, name, BASE)
        async with ingesting(settings):
            second = await rules_after(log, settings, 2)
    assert second.fingerprint == load_files(PUBLISHED).fingerprint


async def test_an_order_that_cannot_be_read_is_told_and_stops_nothing(
    make_settings: MakeSettings,
) -> None:
    """Somebody else has written to the engine's own topic."""
    settings = await started(make_settings)
    with capture_logs() as logs:
        async with ingesting(settings), Log(settings) as log:
            await rules_after(log, settings, 1)
            async with running(make_producer(settings, "test")) as producer:
                await producer.send_and_wait(
                    settings.topic(CONTENTS), b"nonsense", key=ORDERED, partition=0
                )
            await until(log, lambda: any("cannot be read" in each["event"] for each in logs))
            await published(settings)


def test_files_are_replaced_as_in_a_folder() -> None:
    """Channels and rules are those given; settings, catalogue and cases stay unless given."""
    base = {
        "channels.yaml": b"1",
        "a.rules.yaml": b"1",
        "engine.yaml": b"1",
        "items.csv": b"1",
        "tests/a.yaml": b"1",
    }
    done = replace(base, {"channels.yaml": b"2", "items.csv": b""})
    assert done.files == {
        "channels.yaml": b"2",
        "engine.yaml": b"1",
        "tests/a.yaml": b"1",
    }
    assert done.put == ["channels.yaml"]
    assert done.kept == ["engine.yaml", "tests/a.yaml"]
    assert done.removed == ["a.rules.yaml", "items.csv"]
    assert replace(base, {"channels.yaml": b"2", "tests/none.yaml": b""}).removed == [
        "a.rules.yaml",
        "tests/a.yaml",
    ]


async def test_a_worker_that_ends_takes_no_lead_any_more(make_settings: MakeSettings) -> None:
    """The group may give it the lead while it leaves; nothing of it goes on."""
    settings = await started(make_settings)
    announcer = Announcer(settings, WorkerMetrics(), settings.partitions)
    await announcer.lead(True)
    await announcer.close()
    with capture_logs() as logs:
        await announcer.lead(True)
        await asyncio.sleep(0.1)
    assert logs == []
