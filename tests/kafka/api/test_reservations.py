"""The conformance suite of the HTTP calls over the engine on Kafka: reservations."""

from tests.api.test_reservations import *  # noqa: F403

del test_in_the_embedded_engine_nothing_is_held_even_for_a_moment  # noqa: F821
