"""The conformance suite of the HTTP calls over the engine on Kafka: observations."""

from tests.api.test_observations import *  # noqa: F403
