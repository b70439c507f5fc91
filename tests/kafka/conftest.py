"""A real broker and a real Redis for a whole test run, and settings that keep tests apart."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.kafka.settings import KafkaSettings
from tests.kafka.broker import Broker, NamedBroker, make_broker, named_broker
from tests.kafka.redis_server import RedisServer

MakeSettings = Callable[..., KafkaSettings]


@pytest.fixture(scope="session")
def shared_broker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Broker | NamedBroker]:
    """A broker for all tests of this process: never stop it; take `own_broker` for that."""
    named = named_broker()
    if named is not None:
        yield named
        return
    broker = make_broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test alone, to be stopped, killed and paused."""
    broker = make_broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone, empty."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_settings(tmp_path: Path, shared_broker: Broker | NamedBroker) -> MakeSettings:
    """Makes settings for the shared broker, with topics and groups of this test alone."""
    return settings_maker(shared_broker.bootstrap, tmp_path)


@pytest.fixture
def make_own_settings(tmp_path: Path, own_broker: Broker) -> MakeSettings:
    """Makes settings for the broker of this test alone."""
    return settings_maker(own_broker.bootstrap, tmp_path)


def settings_maker(bootstrap: str, folder: Path) -> MakeSettings:
    """A function that makes settings: few partitions, quick sessions; more can be given by name."""
    prefix = f"t{uuid.uuid4().hex[:8]}."

    def make(**more: object) -> KafkaSettings:
        words: dict[str, object] = {
            "brokers": bootstrap,
            "development": True,
            "rules": folder / "rules",
            "data": folder / "data",
            "topic_prefix": prefix,
            "partitions": 3,
            "session_timeout_ms": 3_000,
        }
        return KafkaSettings.model_validate({**words, **more})

    return make
