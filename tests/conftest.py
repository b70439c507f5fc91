"""What every test is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

UNTIMED = "untimed"


def pytest_configure() -> None:
    """Hypothesis asserts no timings: a busy machine would fail what is right."""
    settings.register_profile(UNTIMED, deadline=None)
    settings.load_profile(UNTIMED)


@pytest.fixture(autouse=True)
def logs_are_left_as_they_were() -> Iterator[None]:
    """A command sends logs to its standard error, which is closed when its test has ended."""
    yield
    structlog.reset_defaults()
