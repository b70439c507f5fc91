"""The conformance suite of the HTTP calls over the engine on Kafka: lookups."""

from tests.api.test_lookups import *  # noqa: F403
