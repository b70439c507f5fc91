"""The conformance suite of the HTTP calls over the engine on Kafka: trying rules."""

from tests.api.service_under_test import Shop
from tests.api.test_rules import *  # noqa: F403
from tests.api.test_rules import CHANNELS


def test_rules_are_not_published_here(shop: Shop) -> None:
    """Whoever asks is told who does it, and what to do."""
    answer = shop.http.put(
        "/v1/rules", json={"files": {"channels.yaml": CHANNELS}}, headers={"If-Match": "*"}
    )
    assert (answer.status_code, answer.json()["title"]) == (501, "Not possible here")
    assert "ingest worker" in answer.json()["advice"]
