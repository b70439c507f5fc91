"""`sellable rehearse --kafka`: the workers rehearsed on a real broker, with some of them killed."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import invoke
from engine.kafka.clients import make_admin
from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import write_rules
from tests.kafka.conftest import MakeSettings
from tests.rehearsal.test_rehearse import NO_HURRY


def rehearse(settings: KafkaSettings, folder: Path, line: str) -> int:
    """Rehearse with one channel under a prefix of this test alone; returns the status."""
    write_rules(settings.rules)
    return invoke(
        shlex.split(
            f"rehearse --kafka --brokers {settings.brokers} --topic-prefix {settings.topic_prefix} "
            f"--partitions 2 --rules {settings.rules} --report {folder / 'report.html'} {line}"
        )
    )


async def topics_left(settings: KafkaSettings) -> list[str]:
    """The topics that still begin with the prefix of the test."""
    admin = make_admin(settings)
    await admin.start()
    try:
        return [
            name for name in await admin.list_topics() if name.startswith(settings.topic_prefix)
        ]
    finally:
        await admin.close()


def test_a_rehearsal_of_the_workers_with_faults_loses_nothing_and_leaves_nothing(
    make_settings: MakeSettings,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger and the publish worker killed, a marketplace throttled; then headroom is tried."""
    monkeypatch.setattr("engine.rehearsal.headroom.MOST_TRIALS", 1)
    settings = make_settings()
    faults = ["worker@1s", "worker=publish@2s", "marketplace@1s+1s", "till-chain@1s+1s"]
    line = f"--duration 4s --rate 100 --skus 80 --json --limit headroom=none {NO_HURRY}"
    line += "".join(f" --fault {fault}" for fault in faults) + f" --keep {tmp_path / 'kept'}"
    status = rehearse(settings, tmp_path, line)
    out, err = capfd.readouterr()
    assert (status, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    measured = {each["name"]: each["measured"] for each in told["judgements"]}
    assert (told["holds"], told["runtime"], measured["lost"]) == (True, "Kafka", 0)
    assert told["load"]["movements"] > 250
    assert sum(told["series"]["taken"]) == told["load"]["movements"]
    assert len(told["engine"]["restarts"]) == 2
    assert told["publications"]["count"] > 0
    assert len(told["headroom"]["trials"]) == 1
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"ledger.log", "out", "samples.ndjson"} <= kept
    assert "kafka.yaml" not in kept  # it may hold a password
    assert asyncio.run(topics_left(settings)) == []


def test_a_part_that_there_is_not_is_a_wrong_call(
    make_settings: MakeSettings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before a topic is made."""
    settings = make_settings()
    assert rehearse(settings, tmp_path, "--fault worker=printer") == 2
    assert "ingest, ledger, publish" in capfd.readouterr().err
    assert asyncio.run(topics_left(settings)) == []
