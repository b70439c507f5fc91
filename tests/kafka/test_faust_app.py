"""What Faust and aiokafka are told and need, where a default would lose messages or minutes."""

from __future__ import annotations

from typing import Any

import pytest
from faust.types.enums import ProcessingGuarantee

from engine.kafka.catalogue import CHANGELOG, wanted
from engine.kafka.clients import FETCH_WAIT_MS
from engine.kafka.desk import Desk
from engine.kafka.faust_app import LedgerApp
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics
from tests.kafka.cluster import Log, ingesting, make_topics, movement, send, write_rules
from tests.kafka.conftest import MakeSettings


def app_of(settings: KafkaSettings) -> LedgerApp:
    """The app of a worker, not started."""
    failures: list[BaseException] = []
    return LedgerApp(
        settings,
        lambda ready: Desk(settings, WorkerMetrics(), ready, failures.append),
        failures.append,
    )


async def test_the_app_waits_for_what_is_at_hand_and_never_for_an_old_session(
    make_settings: MakeSettings,
) -> None:
    """Plain at-least-once, static membership, no standbys, short time-outs, bounded buffers."""
    settings = make_settings()
    conf = app_of(settings).app.conf
    guarantee: object = conf.processing_guarantee  # faust declares its type, not itself
    assert guarantee is ProcessingGuarantee.AT_LEAST_ONCE
    assert conf.consumer_group_instance_id == settings.worker_id
    assert conf.stream_wait_empty
    assert conf.table_standby_replicas == 0
    assert conf.topic_disable_leader
    assert not conf.topic_allow_declare
    assert (conf.broker_max_poll_records, conf.stream_buffer_maxsize) == (200, 128)
    assert conf.producer_request_timeout == settings.request_timeout_ms / 1_000
    assert conf.consumer_auto_offset_reset == "earliest"


async def test_no_fetch_of_the_log_waits_for_long(make_settings: MakeSettings) -> None:
    """What comes to a partition that a fetch left out waits until the fetch is back."""
    app: Any = app_of(make_settings()).app
    made = app.consumer._new_consumer_thread()._create_worker_consumer(app.transport)
    await made.stop()
    assert made._fetch_max_wait_ms == FETCH_WAIT_MS


def test_the_changelog_is_compacted_and_nothing_else(make_settings: MakeSettings) -> None:
    """Retention that empties it would take the state away."""
    settings = make_settings()
    (topic,) = [one for one in wanted(settings, []) if one.name == settings.topic(CHANGELOG)]
    assert topic.config["cleanup.policy"] == "compact"
    assert "retention.ms" not in topic.config


@pytest.mark.parametrize("codec", ["lz4", "snappy", "gzip", "none"])
async def test_messages_come_in_and_go_on_under_every_compression(
    make_settings: MakeSettings, codec: str
) -> None:
    """What aiokafka needs for each is installed, also for those that others send."""
    settings = make_settings(compression=codec)
    write_rules(settings.rules)
    await make_topics(settings)
    await send(settings, "movements.pos", [movement(1)])
    async with ingesting(settings), Log(settings) as log:
        ((_, _, payload),) = [one for some in (await log.until(1)).values() for one in some]
    assert payload == movement(1)
