"""INV-1 is what it says it is: the figures that are measured on it stand on these properties."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.inv1 import Lines, generate, write_openings
from benchmarks.inv1_lines import CHANNELS, MIX, Workload
from benchmarks.process import ROOT
from benchmarks.rules import write_rules
from engine.contracts.movement import Movement
from engine.contracts.movements import MovementDecoder
from engine.rules.loader import load_rules

SMALL = Workload(movements=20_000, skus=400, locations=10, rate=200)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    return generate(SMALL, tmp_path_factory.mktemp("workload"))


def lines_of(made: Lines) -> list[bytes]:
    return Path(made.path).read_bytes().splitlines()


def movements_of(made: Lines) -> list[Movement]:
    decode = MovementDecoder(CHANNELS).decode
    read = (decode(line) for line in lines_of(made))
    return [movement for movement in read if isinstance(movement, Movement)]


def test_the_same_parameters_give_the_same_bytes(made: Lines, tmp_path: Path) -> None:
    """A workload is a function of its parameters alone."""
    again = generate(SMALL, tmp_path)
    assert Path(again.path).read_bytes() == Path(made.path).read_bytes()


def test_another_seed_gives_another_workload(made: Lines, tmp_path: Path) -> None:
    """The seed decides what is drawn."""
    other = generate(Workload(movements=20_000, skus=400, locations=10, rate=200, seed=2), tmp_path)
    assert Path(other.path).read_bytes() != Path(made.path).read_bytes()


def test_a_workload_is_made_once(made: Lines) -> None:
    """A second call reads the report of the first and writes nothing."""
    before = Path(made.path).stat().st_mtime_ns
    assert generate(SMALL, Path(made.path).parent) == made
    assert Path(made.path).stat().st_mtime_ns == before


def test_making_a_workload_leaves_nothing_in_the_memory_that_a_run_is_measured_by(
    tmp_path: Path,
) -> None:
    """A run of the engine that is started next is not said to have needed it."""
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.inv1 import generate; from tests.benchmarks.test_inv1 import SMALL\n"
        "status = Path('/proc/self/status')\n"
        "def peak(): return int(status.read_text().split('VmHWM:')[1].split()[0])\n"
        "before = peak(); made = generate(SMALL, Path(sys.argv[1]))\n"
        "print(made.size_bytes // 1024, peak() - before)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written_kib, more_kib = map(int, said.split())
    assert more_kib < written_kib


def test_the_lines_are_as_many_and_as_long_as_promised(made: Lines) -> None:
    """As many lines as movements were asked for, of some 180 bytes each."""
    lines = lines_of(made)
    assert len(lines) == made.lines == SMALL.movements
    assert 170 <= sum(map(len, lines)) / len(lines) <= 190


def test_all_types_occur_and_sales_are_more_than_half(made: Lines) -> None:
    """The mix has all thirteen types, and that of a shop."""
    types = Counter(movement.type for movement in movements_of(made))
    assert set(types) == set(MIX)
    assert 0.5 < types["sale"] / SMALL.movements < 0.6


def test_one_line_in_fifty_is_an_exact_copy_of_an_earlier_one(made: Lines) -> None:
    """Copies are byte for byte, and come after their originals."""
    copies = SMALL.movements - len(set(lines_of(made)))
    assert copies == made.duplicates == SMALL.movements // 50


def test_one_line_in_a_thousand_is_refused(made: Lines) -> None:
    """The malformed lines, and their copies, are all that the decoder refuses."""
    refused = SMALL.movements - len(movements_of(made))
    assert made.malformed == SMALL.movements // 1_000
    assert made.malformed <= refused <= made.malformed * 1.2


def test_one_line_in_twenty_comes_up_to_thirty_seconds_late(made: Lines) -> None:
    """Lines fall behind the newest before them by 30 seconds and the time of some lines at most."""
    newest = 0
    lags = []
    seen = set()
    for movement in movements_of(made):
        if movement.id not in seen:
            lags.append(newest - movement.at)
        seen.add(movement.id)
        newest = max(newest, movement.at)
    late = [lag for lag in lags if lag > 1_000_000]
    assert 0.04 < len(late) / len(lags) < 0.06
    assert 28_000_000 < max(late) < 31_000_000


def test_a_few_keys_take_much_of_the_traffic(made: Lines) -> None:
    """By Zipf's law the first hundredth of 4,000 keys takes about half of the movements."""
    keys = Counter((movement.sku, movement.location) for movement in movements_of(made))
    busiest = sum(count for _, count in keys.most_common(SMALL.keys // 100))
    assert 0.4 < busiest / keys.total() < 0.6


def test_openings_hold_every_key_once(tmp_path: Path) -> None:
    """The openings of a run of their own touch each key with one receipt."""
    workload = Workload(movements=100, skus=30, locations=3, opened_before=True)
    decode = MovementDecoder(CHANNELS).decode
    opened = [decode(line) for line in write_openings(workload, tmp_path).read_bytes().splitlines()]
    keys = {(one.sku, one.location) for one in opened if isinstance(one, Movement)}
    assert len(keys) == len(opened) == workload.keys
    assert generate(workload, tmp_path).openings == 0


def test_one_location_leaves_no_place_for_transfers(tmp_path: Path) -> None:
    """With a single location, what would be transferred is sold."""
    alone = generate(Workload(movements=2_000, skus=100, locations=1), tmp_path)
    assert {movement.type for movement in movements_of(alone)} == set(MIX) - {"transfer"}


@pytest.mark.parametrize("extra", [0, 100])
def test_the_rules_of_the_workloads_are_without_a_mistake(tmp_path: Path, extra: int) -> None:
    """The rules folder loads, with as many extra rules as were asked for."""
    rules = load_rules(write_rules(tmp_path, extra))
    assert tuple(channel.name for channel in rules.channels) == CHANNELS
