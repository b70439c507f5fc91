"""`sellable demo`: from an empty folder to the closing tables, with an engine that is handed in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine.contracts.errors import UsageError
from engine.demo.command import Paths, prepare, run_demo

SOLD_OUT = b'{"sku":"1","channel":"web-shop","available":0,"status":"out_of_stock"}\n'
IN_STOCK = b'{"sku":"1","channel":"web-shop","available":9,"status":"in_stock"}\n'
REJECTED = b'{"reservation":"r","sku":"826249","outcome":"rejected"}\n'


def engine_that_says(paths: Paths) -> Mapping[str, Any]:
    """Stands for the engine: writes a few records and returns a summary."""
    assert paths.movements.stat().st_size > 0
    assert (paths.rules / "channels.yaml").exists()
    paths.out.mkdir()
    (paths.out / "availability.web-shop.ndjson").write_bytes(SOLD_OUT * 2 + IN_STOCK)
    (paths.out / "reservations.decisions.ndjson").write_bytes(REJECTED * 4)
    return {
        "received": 1_234,
        "applied": 1_200,
        "duplicate": 11,
        "absorbed": 12,
        "rejected": 4,
        "refused": 7,
        "publications": {"web-shop": 3},
        "exceptions": {"malformed": 7},
        "decisions": 4,
        "postings": 0,
        "snapshots": 0,
        "pending": 0,
        "seconds": 0.5,
        "movements_per_second": 2_468,
    }


def test_the_demo_ends_with_what_happened_and_what_to_try(tmp_path: Path) -> None:
    """The tables show the engine's figures and those read from its files, then three commands."""
    console = Console(file=io.StringIO(), width=120)
    run_demo(tmp_path / "demo", engine_that_says, console, days=2, stores=3)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for expected in ("1,234", "2,468 a second", "oversells prevented", "malformed", "web-shop"):
        assert expected in shown
    assert shown.count("\n  sellable ") == 3
    assert "sellable explain 826249 --channel web-shop" in shown


def test_a_second_demo_begins_anew_in_the_same_folder(tmp_path: Path) -> None:
    """What the last demo left is removed, so that its state cannot mix with the new one's."""
    paths = prepare(tmp_path)
    paths.data.mkdir()
    (paths.data / "state").touch()
    assert not prepare(tmp_path).data.exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """The demo never removes what it did not make."""
    (tmp_path / "letters.txt").touch()
    with pytest.raises(UsageError):
        prepare(tmp_path)
    assert (tmp_path / "letters.txt").exists()


def test_a_file_in_place_of_the_folder_is_a_wrong_call(tmp_path: Path) -> None:
    """A path that is a file is refused with advice."""
    (tmp_path / "demo").touch()
    with pytest.raises(UsageError):
        prepare(tmp_path / "demo")
