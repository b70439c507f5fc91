"""The conformance suite of the HTTP calls over the engine on Kafka: trying rules."""

from tests.api.test_rules import *  # noqa: F403
