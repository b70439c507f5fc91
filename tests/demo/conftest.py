"""A small slice of the demo: one week of the ten largest stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.demo.derive import Derivation, derive
from engine.demo.rules import write_rules

DAYS = 7
STORES = 10


@dataclass(frozen=True)
class Slice:
    derivation: Derivation
    lines: list[bytes]
    rules: Path


def derive_slice(folder: Path) -> Slice:
    derivation = derive(folder / "movements.ndjson", DAYS, STORES)
    write_rules(folder / "rules", derivation.lines, derivation.products, derivation.roles)
    lines = derivation.path.read_bytes().split(b"\n")[:-1]
    return Slice(derivation, lines, folder / "rules")


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Slice:
    return derive_slice(tmp_path_factory.mktemp("week"))
