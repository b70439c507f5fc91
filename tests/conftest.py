"""What every test is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs_are_left_as_they_were() -> Iterator[None]:
    """A command sends logs to its standard error, which is closed when its test has ended."""
    yield
    structlog.reset_defaults()
