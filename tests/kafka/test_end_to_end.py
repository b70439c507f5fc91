"""Movements through all workers and a real broker: the oracle would have said the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from engine.kafka.catalogue import AVAILABILITY, ENVELOPES, EXCEPTIONS, OUTCOMES, of_channel
from engine.kafka.clients import make_producer, running
from engine.kafka.envelopes import Movements, decode
from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import make_topics, read_all
from tests.kafka.conftest import MakeSettings
from tests.kafka.fleet import Fleet
from tests.kafka.processes import free_port
from tests.kafka.stories import PLAIN_RULES, RULES, dealt, of_generator, of_scenarios
from tests.kafka.verdict import disagreements
from tests.oracle import write_rules_folder

PATIENCE_S = 180.0
LOOK_EVERY_S = 2.0
CHUNK = 100


async def engine_with(
    make_settings: MakeSettings, rules: Mapping[str, Any], **more: object
) -> KafkaSettings:
    """Settings of an engine with these rules, its topics made."""
    settings = make_settings(**more)
    write_rules_folder(rules, settings.rules)
    await make_topics(settings, list(rules["channels"]))
    return settings


async def flow(settings: KafkaSettings, lines: Sequence[bytes], seed: int, pause_s: float) -> None:
    """Send the lines, some at a time; a broker that is away is waited for."""
    async with running(make_producer(settings, "test")) as producer:
        sent: list[asyncio.Future[object]] = []
        for topic, chunk in dealt(lines, seed, CHUNK):
            sent += [await producer.send(settings.topic(topic), line) for line in chunk]
            await asyncio.sleep(pause_s)
        await asyncio.gather(*sent)


async def comes_to_rest(
    settings: KafkaSettings,
    rules: Mapping[str, Any],
    lines: int,
    check: Callable[[], None],
) -> None:
    """Wait until all movements are in the log and the engine says what the oracle says."""
    deadline = time.monotonic() + PATIENCE_S
    found = ["nothing was said yet"]
    while found:
        check()
        assert time.monotonic() < deadline, "\n".join(found[:20])
        await asyncio.sleep(LOOK_EVERY_S)
        taken = await movements_in(settings)
        found = [f"{taken} of {lines} movements are in the log"]
        if taken >= lines:
            found = await disagreements(settings, rules)


async def movements_in(settings: KafkaSettings) -> int:
    """How many different movements are in the ledger's log."""
    offsets: dict[str, set[int]] = {}
    for record in await read_all(settings, ENVELOPES):
        entry = decode(record.value)
        if isinstance(entry, Movements):
            for run in entry.runs:
                offsets.setdefault(run.source, set()).update(run.offsets)
    return sum(map(len, offsets.values()))


async def test_the_movements_of_every_scenario_end_as_the_oracle_says(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Outcomes, exceptions, decisions, postings, every channel's last word, and what is counted."""
    rules = {**PLAIN_RULES, "settings": RULES["settings"]}
    settings = await engine_with(make_settings, rules)
    lines = of_scenarios()
    listen = {kind: f"127.0.0.1:{free_port()}" for kind in ("ingest", "ledger", "publish")}
    with Fleet(settings, tmp_path) as fleet:
        for kind, address in listen.items():
            fleet.start(kind, metrics_listen=address)
        await flow(settings, lines, seed=1, pause_s=0)
        await comes_to_rest(settings, rules, len(lines), fleet.check)
        told = {kind: counted(address) for kind, address in listen.items()}
        fleet.stop_all()
    await check_counts(settings, len(lines), told)


async def check_counts(
    settings: KafkaSettings, lines: int, told: Mapping[str, Mapping[str, float]]
) -> None:
    """What the workers' metrics say is what is in the topics."""
    outcomes = [json.loads(each.value) for each in await read_all(settings, OUTCOMES)]
    assert len(outcomes) == lines
    received = {name: value for name, value in told["ingest"].items() if "received_total{" in name}
    assert sum(received.values()) == lines
    assert told["ingest"]["sellable_unrouted_total"] > 0
    for name, kind in (("movements", "outcome"), ("refusals", "code")):
        wanted = Counter(each[kind] for each in outcomes if each[kind] is not None)
        found = {value: told["ledger"][metric(name, kind, value)] for value in wanted}
        assert found == wanted
    exceptions = [json.loads(each.value) for each in await read_all(settings, EXCEPTIONS)]
    warned = Counter(each["code"] for each in exceptions if each["outcome"] != "refused")
    assert {code: told["ledger"][metric("warnings", "code", code)] for code in warned} == warned
    lags = [value for name, value in told["ledger"].items() if name.startswith("sellable_lag_")]
    assert lags == [0.0] * 2 * settings.partitions
    assert told["ledger"]["sellable_envelopes_total"] >= told["ingest"]["sellable_envelopes_total"]
    published = len(await read_all(settings, of_channel(AVAILABILITY, "web")))
    assert told["publish"][metric("publications", "channel", "web")] == published
    delays = 'sellable_publication_delay_seconds_count{channel="web"}'
    assert told["publish"][delays] == published
    assert told["publish"]['sellable_pending_keys{channel="web"}'] == 0


def metric(name: str, label: str, value: str) -> str:
    """A counter as it stands among the metrics."""
    return f'sellable_{name}_total{{{label}="{value}"}}'


def counted(address: str) -> dict[str, float]:
    """Everything that a worker counts, by name and labels."""
    rows = httpx.get(f"http://{address}/metrics").text.splitlines()
    pairs = (row.rpartition(" ") for row in rows if not row.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def test_a_generated_stream_ends_as_the_oracle_says_with_two_of_each_worker(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Three kinds of channel, buffers, shares, caps, exclusions; refused lines among the rest."""
    settings = await engine_with(make_settings, RULES)
    lines = of_generator(seed=11, size=3_000, skus=60)
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("ingest-1", "ledger-1", "publish-1")
        fleet.start("ingest-2", "ledger-2", "publish-2")
        await flow(settings, lines, seed=11, pause_s=0.05)
        await comes_to_rest(settings, RULES, len(lines), fleet.check)
        fleet.stop_all()
