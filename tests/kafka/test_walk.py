"""From a movement to what a channel may sell, through all workers and a real broker."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime
from pathlib import Path

from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import (
    PATIENCE_S,
    make_topics,
    movement,
    read_all,
    send,
    worker,
    write_rules,
)
from tests.kafka.conftest import MakeSettings


def now() -> str:
    """The time of day as a movement tells it."""
    return datetime.now(UTC).isoformat()


async def last_told(settings: KafkaSettings, topic: str) -> dict[str, int]:
    """The last quantity of every key of a channel's topic."""
    found = {}
    for message in await read_all(settings, topic):
        if message.key[:1] != b"\x00":
            found[message.key.decode()] = json.loads(message.value)["available"]
    return found


async def until_told(settings: KafkaSettings, topic: str, wanted: dict[str, int]) -> None:
    """Wait until a channel was told all this, and nothing else."""
    async with asyncio.timeout(PATIENCE_S):
        while await last_told(settings, topic) != wanted:
            await asyncio.sleep(0.1)


async def test_a_movement_becomes_what_a_channel_may_sell(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Through ingest, ledger and publish, with its correlation id; and again after a restart."""
    settings = make_settings()
    write_rules(settings.rules)
    await make_topics(settings)
    kinds = ("ingest", "ledger", "publish")
    workers = {
        kind: worker(settings, kind, tmp_path / f"{kind}.log", data=tmp_path / kind)
        for kind in kinds
    }
    receipts = [
        movement(each, type="receipt", quantity=10, occurred_at=now(), correlation_id=f"c-{each}")
        for each in range(50)
    ]
    await send(settings, "movements.wms", receipts)
    await until_told(
        settings, "availability.web-shop", {f"SKU-{each:03}": 10 for each in range(50)}
    )
    told = (await read_all(settings, "availability.web-shop"))[-1]
    headers = dict(told.headers)
    record = json.loads(told.value)
    assert headers["correlation_id"].decode() == record["cause"]["correlation_id"]
    assert headers["correlation_id"].startswith(b"c-")

    assert workers["ledger"].stop() == 0
    workers["publish"].stop(signal.SIGKILL)
    await send(settings, "movements.pos", [movement(100, sku="SKU-007", occurred_at=now())])
    for kind in ("ledger", "publish"):
        workers[kind] = worker(settings, kind, tmp_path / f"{kind}-2.log", data=tmp_path / kind)
    wanted = {f"SKU-{each:03}": 10 for each in range(50)}
    await until_told(settings, "availability.web-shop", {**wanted, "SKU-007": 9})
    for one in workers.values():
        assert one.stop() == 0, one.said()
