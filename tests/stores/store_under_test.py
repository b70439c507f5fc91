"""What the conformance suite needs to know about a store, and the stores it is run over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.stores.base import Store
from engine.stores.memory import MemoryStore
from engine.stores.rocks import RocksStore

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: MemoryStore(),
    "rocks": lambda folder: RocksStore(folder / "state"),
}
