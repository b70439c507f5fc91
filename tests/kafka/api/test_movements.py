"""The conformance suite of the HTTP calls over the engine on Kafka: movements."""

from tests.api.test_movements import *  # noqa: F403
