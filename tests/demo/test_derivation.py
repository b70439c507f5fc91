"""What the demo derives is a plausible, repeatable history that the engine can read."""

from __future__ import annotations

from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import zstandard

from engine.contracts.errors import UsageError
from engine.contracts.movement import Movement
from engine.contracts.movements import MovementDecoder
from engine.demo import source
from engine.demo.derive import derive
from engine.demo.incidents import BROKEN_RESERVES, BROKEN_SALES
from engine.rules.loader import load_rules
from tests.demo.conftest import DAYS, STORES, Slice, derive_slice

MICROSECONDS = 1_000_000
ALL_TYPES = {
    "sale",
    "return",
    "receipt",
    "expect",
    "transfer",
    "adjustment",
    "count",
    "reclassify",
    "reserve",
    "confirm",
    "allocate",
    "release",
    "fulfil",
}


def decoded(week: Slice) -> list[Movement]:
    decoder = MovementDecoder([channel.name for channel in load_rules(week.rules).channels])
    read = (decoder.decode(line) for line in week.lines)
    return [movement for movement in read if isinstance(movement, Movement)]


def test_the_same_derivation_twice_gives_the_same_bytes(week: Slice, tmp_path: Path) -> None:
    """The derivation draws no chance and reads no clock: a second one is byte-identical."""
    again = derive_slice(tmp_path)
    assert again.lines == week.lines
    for path in sorted(week.rules.iterdir()):
        assert (again.rules / path.name).read_bytes() == path.read_bytes()


def test_a_name_that_ends_in_zst_is_written_compressed(week: Slice, tmp_path: Path) -> None:
    """Compression goes by suffix and changes no byte of the content."""
    packed = derive(tmp_path / "movements.ndjson.zst", DAYS, STORES).path
    with zstandard.open(packed, "rb") as file:
        assert file.read().split(b"\n")[:-1] == week.lines


def test_every_line_is_read_but_for_the_broken_records(week: Slice) -> None:
    """The engine's decoder accepts every line except those that were broken on purpose."""
    # What is broken in its timing or its reservation's name is a well-formed movement still.
    well_formed = {"SAME_RESERVATION"}
    kinds = {kind.name for kind in (*BROKEN_SALES, *BROKEN_RESERVES)} - well_formed
    assert len(week.lines) - len(decoded(week)) == len(kinds)
    assert week.derivation.broken == len(kinds) + len(well_formed)


def test_all_thirteen_types_occur(week: Slice) -> None:
    """Even a week of ten stores shows every type of movement."""
    assert {movement.type for movement in decoded(week)} == ALL_TYPES


def test_each_line_with_goods_becomes_one_sale_or_one_order(week: Slice) -> None:
    """No sale is lost and none invented, but for orders that were turned away and repeats."""
    goods_out = Counter[tuple[str, str]]()
    turned_away = Counter[tuple[str, str]]()
    seen: set[tuple[str, str, str]] = set()
    asked, stepped = set(), set()
    for movement in decoded(week):
        identity = (movement.source, movement.id, movement.sku)
        if identity in seen:
            continue
        seen.add(identity)
        if movement.type in ("sale", "fulfil"):
            goods_out[movement.id, movement.sku] += 1
        if movement.type == "reserve" and (movement.reservation or "").startswith(("WEB-", "COL-")):
            asked.add((movement.reservation, movement.sku))
        if movement.type == "confirm":
            stepped.add((movement.reservation, movement.sku))
    turned_away.update((str(name), sku) for name, sku in asked - stepped)
    broken_sales = len(BROKEN_SALES)
    lines = len(week.derivation.lines)
    assert sum(goods_out.values()) + len(turned_away) == pytest.approx(lines, abs=broken_sales + 1)
    assert max(goods_out.values()) == 1


def test_most_movements_arrive_in_order_and_some_hours_late(week: Slice) -> None:
    """Offline tills make movements overtake each other, by hours but mostly not at all."""
    instants = np.array([movement.at for movement in decoded(week)], dtype=np.int64)
    last = int(week.derivation.lines.sold_at[-1]) * MICROSECONDS
    instants = instants[instants <= last]  # without the wrong clocks
    late = np.maximum.accumulate(instants) - instants
    hour = 3_600 * MICROSECONDS
    assert 0.9 < (late <= hour // 6).mean() < 1.0
    assert (late > hour).any()


def test_stock_stays_positive_on_most_shelves_and_runs_out_on_some(week: Slice) -> None:
    """Replenishment keeps the shelves filled, but not all of them all the time."""
    lowest: defaultdict[tuple[str, str | None], int] = defaultdict(int)
    on_hand: Counter[tuple[str, str | None]] = Counter()
    seen: set[tuple[str, str, str]] = set()
    sign = {"sale": -1, "fulfil": -1, "transfer": -1, "receipt": 1, "return": 1, "adjustment": 1}
    for movement in decoded(week):
        identity = (movement.source, movement.id, movement.sku)
        key = (movement.sku, movement.location)
        if identity in seen or movement.disposition is not None:
            continue
        seen.add(identity)
        if movement.type == "count":
            on_hand[key] = movement.quantity or 0
            lowest[key] = on_hand[key]
        elif movement.type in sign:
            on_hand[key] += sign[movement.type] * (movement.quantity or 0)
            lowest[key] = min(lowest[key], on_hand[key])
    share_empty = sum(units <= 0 for units in lowest.values()) / len(lowest)
    assert 0.001 < share_empty < 0.2


def test_a_part_keeps_the_fate_of_its_lines(week: Slice, tmp_path: Path) -> None:
    """A till sale of three days is the same line in seven days: chance goes by the line."""
    shorter = derive(tmp_path / "movements.ndjson", 3, STORES)
    sales = {line for line in week.lines if b'"source":"pos-' in line}
    kept = [line for line in shorter.path.read_bytes().split(b"\n") if b'"source":"pos-' in line]
    assert sum(line in sales for line in kept) / len(kept) > 0.98


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the demo extra the advice is the command that installs it."""

    def without_pyarrow(name: str) -> object:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name)

    monkeypatch.setattr(source, "import_module", without_pyarrow)
    with pytest.raises(UsageError) as caught:
        source.read_lines(days=1)
    assert "pip install 'sellable[demo]'" in caught.value.advice


def test_an_empty_part_is_a_wrong_call() -> None:
    """Nothing can be derived from no days."""
    with pytest.raises(UsageError):
        source.read_lines(days=0)


def test_the_summary_of_a_derivation_counts_its_lines(week: Slice) -> None:
    """What the derivation reports of itself is what stands in the file."""
    assert week.derivation.movements == len(week.lines)
    assert sum(week.derivation.kinds.values()) == len(week.lines)
