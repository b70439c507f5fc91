"""One service for each module, over each runtime, and callers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.service_under_test import SERVICES, EmbeddedEngine, Service, Shop


@pytest.fixture(scope="module", params=sorted(SERVICES))
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service of each kind; its tests keep apart by their SKUs."""
    made = SERVICES[request.param](tmp_path_factory.mktemp("service"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def shop(service: Service) -> Iterator[Shop]:
    """A caller of the service."""
    made = Shop(service.url)
    yield made
    made.close()


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[..., EmbeddedEngine]]:
    """Makes embedded engines of this test alone, not yet started."""
    made: list[EmbeddedEngine] = []

    def make(**more: Any) -> EmbeddedEngine:
        made.append(EmbeddedEngine(tmp_path / str(len(made)), **more))
        return made[-1]

    yield make
    for engine in made:
        engine.stop()


@pytest.fixture
def own(make_engine: Callable[..., EmbeddedEngine]) -> EmbeddedEngine:
    """An embedded engine of this test alone, not yet started."""
    return make_engine()
