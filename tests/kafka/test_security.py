"""The workers over TLS with a login, against a real broker that takes nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contracts.instants import format_instant
from engine.embedded.runtime import wall_clock
from engine.kafka.catalogue import of_channel
from engine.kafka.settings import KafkaSettings, load_settings
from engine.kafka.topics_admin import BrokersError
from tests.kafka.broker import make_secured_broker
from tests.kafka.cluster import (
    make_topics,
    movement,
    read_all,
    send,
    worker,
    write_rules,
)
from tests.kafka.processes import Child, until

USER, PASSWORD = "sellable", "a secret of nobody"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """Settings for a broker that speaks SASL_SSL only."""
    folder = tmp_path_factory.mktemp("secured")
    broker, certificate = make_secured_broker(folder / "keys", USER, PASSWORD)
    broker.start()
    write_rules(folder / "rules")
    yield load_settings(
        brokers=broker.bootstrap,
        development=False,
        replication=1,
        partitions=2,
        rules=folder / "rules",
        data=folder / "data",
        security_protocol="SASL_SSL",
        sasl_username=USER,
        sasl_password=PASSWORD,
        ssl_cafile=certificate,
    )
    broker.kill()


async def test_a_movement_goes_all_the_way_over_tls_with_a_login(
    secured: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password comes from the environment, the rest from flags."""
    await make_topics(secured)
    monkeypatch.setenv("SELLABLE_KAFKA_SASL_PASSWORD", PASSWORD)
    more = {
        "security_protocol": "SASL_SSL",
        "sasl_username": USER,
        "ssl_cafile": secured.ssl_cafile,
    }
    fleet = {
        kind: worker(secured, kind, tmp_path / kind, data=tmp_path / f"{kind}-data", **more)
        for kind in ("ingest", "ledger", "publish")
    }
    until(lambda: all(map(runs, fleet.values())), "the workers run")
    now = format_instant(wall_clock())
    receipt = movement(1, sku="TEA", type="receipt", quantity=7, occurred_at=now)
    await send(secured, "movements.wms", [receipt])
    told: list[int] = []
    while not told:
        records = await read_all(secured, of_channel("availability.{channel}", "web-shop"))
        told = [json.loads(each.value)["available"] for each in records]
    assert told == [7]
    for child in fleet.values():
        assert child.stop() == 0, child.said()


@pytest.mark.parametrize("wrong", [{"sasl_password": "guess"}, {"ssl_cafile": None}])
async def test_a_wrong_password_or_an_unknown_authority_gets_nowhere(
    secured: KafkaSettings, wrong: dict[str, object]
) -> None:
    """And it is told."""
    given = {name: getattr(secured, name) for name in secured.model_fields_set}
    with pytest.raises(BrokersError):
        await make_topics(load_settings(**{**given, **wrong}))


def runs(child: Child) -> bool:
    """Whether a worker says that it runs."""
    assert child.process.poll() is None, child.said()
    return "the worker runs" in child.said()
