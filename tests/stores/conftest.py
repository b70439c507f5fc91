from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.stores.base import Store
from tests.stores.store_under_test import STORES


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty."""
    made = STORES[request.param](tmp_path)
    yield made
    made.close()
