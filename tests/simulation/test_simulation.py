"""The embedded engine survives a crash at any point where it writes something."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from engine.stores.memory import MemoryStore
from tests.simulation import faults
from tests.simulation.faults import CrashError, CrashingStore, Faults
from tests.simulation.runs import Pace
from tests.simulation.simulate import Simulation

SEEDS = 100
SMALL = 40  # movements of the stream that is crashed at every single write
SLOW = Pace(batch=9, commit=9, drain=4)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_run_that_crashes_again_and_again_ends_as_if_nothing_had_happened(
    seed: int, tmp_path: Path
) -> None:
    """Files, stock and figures equal those of an uninterrupted run, and every invariant holds."""
    assert list(Simulation(seed, tmp_path).violations(Counter())) == []


@pytest.mark.parametrize("seed", [3, 7, 11])
def test_a_crash_at_each_single_write_leaves_no_trace(seed: int, tmp_path: Path) -> None:
    """Writes all over a run are the last one once; the next start ends with the same bytes."""
    simulation = Simulation(seed, tmp_path, SMALL)
    reference = simulation.uninterrupted()
    counting = Faults(random.Random(0))
    simulation.machine("counting").run(counting, SLOW)
    assert counting.writes > 10
    for write in range(1, counting.writes + 1, max(1, counting.writes // 20)):
        machine = simulation.machine("crashed")
        machine.run_to_the_end(Faults(random.Random(write), at=write), SLOW)
        assert list(simulation.compared(reference, machine)) == [], f"crashed at write {write}"


def test_the_simulation_reaches_every_kind_of_crash(tmp_path: Path) -> None:
    """Before and in the middle of writing outputs, before and after the store has a commit."""
    crashes: Counter[str] = Counter()
    for seed in range(6):
        assert list(Simulation(seed, tmp_path / str(seed)).violations(crashes)) == []
    assert set(crashes) == {*faults.OUTPUT_FAULTS, *faults.STORE_FAULTS}


def test_the_simulation_notices_an_output_that_was_tampered_with(tmp_path: Path) -> None:
    """A line told twice, a quantity changed, a reservation lost: each is a violation."""
    simulation = Simulation(2, tmp_path)
    reference, other = simulation.uninterrupted(), simulation.machine("other")
    other.run()
    assert list(simulation.compared(reference, other)) == []
    path = other.out / "erp.postings.ndjson"
    path.write_bytes(path.read_bytes() * 2)
    name = next(iter(other.store.scan(b"R")))[0]
    other.store.commit({}, [key for key, _ in other.store.scan(b"R")])
    assert other.store.get(name) is None
    told = " ".join([*simulation.compared(reference, other), *simulation.at_rest(other)])
    for word in ("bytes: erp.postings", "conservation:", "postings: numbered", "counts:"):
        assert word in told
    assert "reserved:" in told or "claims:" in told


def test_a_store_that_crashes_before_a_commit_has_nothing_of_it_and_afterwards_all() -> None:
    """A commit is one atomic step."""
    for chance in range(20):
        kept = MemoryStore()
        crashing = Faults(random.Random(chance), at=1)
        with pytest.raises(CrashError):
            CrashingStore(kept, crashing).commit({b"a": b"1", b"b": b"2"})
        found = [key for key, _ in kept.scan(b"")]
        assert found == ([b"a", b"b"] if crashing.crashes == [faults.AFTER_SAVING] else [])
