"""A process that says how far it is, is measured at each of these moments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.peers.running import Mark, Measured, run_to_the_end
from benchmarks.process import FailedRunError

SPEAKS = """
import sys
print('not JSON, no news')
for done in (50, 100):
    print('{"at":%d}' % done, flush=True)
print('{"done":100}', flush=True)
if sys.stdin.readline().startswith('d'):
    open(sys.argv[1], 'w').write('state')
    print('{"dumped":true}', flush=True)
"""


def test_the_figures_of_the_second_half_leave_the_start_out() -> None:
    """What was done after half of the movements is divided by what it took from there."""
    marks = (Mark(40, 4.0, 4.0), Mark(50, 5.0, 5.0), Mark(100, 6.0, 5.5))
    measured = Measured(marks, peak_bytes=0)
    assert measured.steady == Mark(50, 1.0, 0.5)
    assert measured.end == marks[-1]


def test_a_run_that_says_nothing_on_its_way_is_measured_as_a_whole() -> None:
    """Its second half is all of it."""
    measured = Measured((Mark(100, 6.0, 5.5),), peak_bytes=0)
    assert measured.steady == measured.end


def test_a_run_is_measured_until_all_is_durable_and_writes_its_state_afterwards(
    tmp_path: Path,
) -> None:
    """Every report becomes a mark; the dump comes when it is asked for."""
    words = [sys.executable, "-c", SPEAKS, str(tmp_path / "state")]
    measured = run_to_the_end(words, tmp_path / "log")
    assert measured is not None
    assert [mark.movements for mark in measured.marks] == [50, 100, 100]
    assert measured.peak_bytes > 1_000_000
    assert (tmp_path / "state").read_text() == "state"


def test_a_run_is_killed_after_so_many_movements(tmp_path: Path) -> None:
    """It does not get as far as to write its state."""
    words = [sys.executable, "-c", SPEAKS, str(tmp_path / "state")]
    assert run_to_the_end(words, tmp_path / "log", kill_at=50) is None
    assert not (tmp_path / "state").exists()


def test_a_run_that_ends_too_early_fails_with_the_last_it_complained(tmp_path: Path) -> None:
    """Its exit status and the end of its log are told."""
    words = [sys.executable, "-c", "import sys; sys.exit('no broker')"]
    with pytest.raises(FailedRunError, match=r"ended with 1:\n.*no broker"):
        run_to_the_end(words, tmp_path / "log")
