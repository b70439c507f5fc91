"""The conformance suite of the HTTP calls over the engine on Kafka: exceptions."""

from tests.api.test_exceptions import *  # noqa: F403
