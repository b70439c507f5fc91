"""One service over the engine on Kafka for the whole conformance suite of the HTTP calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.kafka.settings import KafkaSettings
from tests.api.service_under_test import RULES, Shop
from tests.kafka.broker import Broker, NamedBroker
from tests.kafka.cluster import make_topics, worker
from tests.kafka.conftest import settings_maker
from tests.kafka.fleet import Fleet
from tests.kafka.processes import Child, free_port, until
from tests.kafka.redis_server import RedisServer
from tests.oracle import write_rules_folder


class KafkaEngine:
    """The workers of one engine, a Redis, and processes that serve HTTP, each by its name."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self.settings = settings
        self.fleet = Fleet(settings, folder)
        self.redis = RedisServer(folder)
        self.ports = {"api-1": free_port(), "api-2": free_port()}
        self._folder = folder

    @property
    def url(self) -> str:
        """Where the first process listens."""
        return self.url_of("api-1")

    @property
    def data(self) -> Path:
        """Where the keys and the audit record of the first process lie."""
        return self._folder / "api-1"

    def url_of(self, name: str) -> str:
        """Where a process listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self) -> None:
        """Start everything, with one process that serves."""
        self.redis.start()
        write_rules_folder(RULES, self.settings.rules)
        asyncio.run(make_topics(self.settings, list(RULES["channels"])))
        for kind in ("ledger", "ingest", "publish"):
            self.fleet.begin(kind)
        self.fleet.begin("dispatch", redis_url=self.redis.url)
        self.begin("api-1")
        self.fleet.wait("ledger", "ingest", "publish", "dispatch", "api-1")
        # How fresh published numbers are is known once all workers have told it.
        channels = f"{self.url}/v1/channels"
        until(lambda: httpx.get(channels).json()["as_of"] is not None, "all workers have told")

    def begin(self, name: str) -> None:
        """Start a process that serves, and wait for nothing."""
        listen = f"127.0.0.1:{self.ports[name]}"
        self.fleet.begin(name, redis_url=self.redis.url, listen=listen)

    def serve(self, name: str) -> None:
        """Start a process that serves, and wait until it does."""
        self.begin(name)
        self.fleet.wait(name)

    def start_alone(self, name: str, listen: str) -> Child:
        """Start a process that serves, and wait for nothing."""
        log, data = self._folder / f"{name}.log", self._folder / name
        return worker(self.settings, "api", log, data=data, redis_url=self.redis.url, listen=listen)

    def stop(self) -> None:
        """End what serves in good order; how workers end has tests of its own."""
        self.fleet.stop("api-1")
        self.redis.stop()


@pytest.fixture(scope="session")
def service(
    shared_broker: Broker | NamedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaEngine]:
    """The service of the whole suite; its tests keep apart by their SKUs."""
    folder = tmp_path_factory.mktemp("kafka-api")
    engine = KafkaEngine(settings_maker(shared_broker.bootstrap, folder)(), folder)
    with engine.fleet:
        engine.start()
        yield engine
        engine.stop()


@pytest.fixture
def shop(service: KafkaEngine) -> Iterator[Shop]:
    """A caller of the service."""
    made = Shop(service.url)
    yield made
    made.close()
