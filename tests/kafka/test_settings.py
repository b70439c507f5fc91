"""Settings of the workers: from flags, the environment and a file; never in clear text abroad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.kafka.clients import connection
from engine.kafka.settings import ClearTextError, SettingsError, load_settings

ABROAD = "kafka-1.example:9093,kafka-2.example:9093"


def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting on its own; what nobody says has its default."""
    config = tmp_path / "worker.yaml"
    config.write_text("partitions: 3\nlinger_ms: 7\ncompression: lz4\nsources: [till, yard]\n")
    monkeypatch.setenv("SELLABLE_KAFKA_LINGER_MS", "8")
    monkeypatch.setenv("SELLABLE_KAFKA_COMPRESSION", "snappy")
    settings = load_settings(config, compression="gzip", partitions=None)
    assert (settings.compression, settings.linger_ms, settings.partitions) == ("gzip", 8, 3)
    assert settings.sources == ("till", "yard")
    assert settings.envelope_movements == 500
    monkeypatch.setenv("SELLABLE_KAFKA_SOURCES", "pos, kiosk")
    assert load_settings(config).sources == ("pos", "kiosk")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_clear_text_is_refused_unless_brokers_are_here_or_it_is_development(protocol: str) -> None:
    """Stock and passwords would be readable for anybody on the way."""
    login: dict[str, Any] = {
        "sasl_username": "u",
        "sasl_password": "p",
        "security_protocol": protocol,
    }
    with pytest.raises(ClearTextError, match="clear text"):
        load_settings(brokers=ABROAD, **login)
    with pytest.raises(ClearTextError):
        load_settings(brokers="localhost:9092", development=False, **login)
    with pytest.raises(ClearTextError):
        load_settings(brokers=f"localhost:9092,{ABROAD}", **login)
    assert load_settings(brokers=ABROAD, development=True, **login).copies == 1
    for here in ("localhost:9092", "127.0.0.1:9092,[::1]:9092"):
        assert load_settings(brokers=here, **login).copies == 1


def test_a_redis_abroad_is_refused_in_clear_text_too() -> None:
    """Rather before the worker starts."""
    abroad = load_settings(
        redis_url="redis://redis.example:6379/0", development=False, security_protocol="SSL"
    )
    with pytest.raises(ClearTextError, match=r"redis\.example"):
        abroad.refuse_clear_redis()
    for url in ("rediss://redis.example:6379/0", "redis://127.0.0.1/0", "unix:///run/redis.sock"):
        load_settings(
            redis_url=url, development=False, security_protocol="SSL"
        ).refuse_clear_redis()


def test_tls_with_a_login_is_taken_with_three_copies_of_everything() -> None:
    """As on a cluster that somebody depends on."""
    settings = load_settings(
        brokers=ABROAD,
        security_protocol="SASL_SSL",
        sasl_username="sellable",
        sasl_password="secret-word",
        instance_id="ledger-1",
    )
    words = connection(settings, "ledger")
    assert settings.copies == 3
    assert words["ssl_context"] is not None
    assert words["sasl_plain_password"] == "secret-word"
    assert words["sasl_mechanism"] == "SCRAM-SHA-512"
    assert words["client_id"] == "sellable-ledger-ledger-1"
    assert "secret-word" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"partitions": "many"}, "partitions"),
        ({"partitions": 0}, "partitions"),
        ({"security_protocol": "TLS"}, "security_protocol"),
        ({"security_protocol": "SASL_SSL"}, "sasl_username"),
        ({"ssl_certfile": "cert.pem"}, "ssl_keyfile"),
        ({"topic_prefix": "a b"}, "topic_prefix"),
        ({"envelope_bytes": 10_000_000}, "envelope_bytes"),
        ({"instance_id": "a/b"}, "instance_id"),
        ({"redis_url": "127.0.0.1:6379"}, "redis_url: an address such as redis://"),
        ({"redis_url": "redis://127.0.0.1:many/0"}, "redis_url"),
        ({"redis_url": "redis://127.0.0.1/0?foo=1"}, "redis_url: an address such as redis://"),
    ],
)
def test_a_mistake_is_told_by_the_name_of_its_setting(given: dict[str, Any], told: str) -> None:
    """And ends the command as a wrong call."""
    with pytest.raises(SettingsError, match=told):
        load_settings(**given)


def test_an_unknown_name_in_the_file_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    """A setting that is misspelt must not be passed over."""
    config = tmp_path / "worker.yaml"
    config.write_text("broker: localhost:9092\n")
    with pytest.raises(SettingsError, match="known are brokers"):
        load_settings(config)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "1: 2\n"])
def test_a_file_that_holds_no_settings_is_told(tmp_path: Path, text: str) -> None:
    """With what to write."""
    config = tmp_path / "worker.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match="name: value"):
        load_settings(config)


def test_a_certificate_that_is_not_there_is_told() -> None:
    """Before anything is connected."""
    settings = load_settings(security_protocol="SSL", ssl_cafile="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match="certificate"):
        connection(settings, "ledger")


def test_a_worker_keeps_its_name_as_long_as_its_data_folder(tmp_path: Path) -> None:
    """So a restart takes over its own partitions at once."""
    one = load_settings(data=tmp_path / "one").worker_id
    assert one == load_settings(data=tmp_path / "x" / ".." / "one").worker_id
    assert one != load_settings(data=tmp_path / "two").worker_id
    assert load_settings(instance_id="ledger-1").worker_id == "ledger-1"
