"""The conformance suite of the HTTP calls over the engine on Kafka: publishing rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.service_under_test import Shop
from tests.api.test_publishing import *  # noqa: F403
from tests.api.test_publishing import put, tag_of, with_cap
from tests.kafka.api.conftest import KafkaEngine


@pytest.fixture  # type: ignore[no-redef]  # in place of the embedded engine's
def shop(service: KafkaEngine) -> Iterator[Shop]:
    """A caller of the service, whose rules are put back in the end."""
    made = Shop(service.url)
    yield made
    folder = service.settings.rules
    files = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    answer = put(made, {**files, "tests/none.yaml": ""}, "*")
    assert answer.status_code == 200, answer.text
    made.close()


def test_without_an_ingest_worker_nobody_knows_what_became_of_it(
    service: KafkaEngine, shop: Shop
) -> None:
    """The caller is told where to look; a worker that comes later does not do it unasked."""
    tag = tag_of(shop)
    service.fleet.stop("ingest")
    answer = put(shop, with_cap(3))
    service.fleet.start("ingest")
    assert (answer.status_code, answer.json()["title"]) == (503, "The outcome is not known")
    assert "ingest worker" in answer.json()["advice"]
    assert tag_of(shop) == tag
