"""The embedded engine holds what it promises, whatever happens to it."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.check import failure_of
from tests.simulation.drawing import WAYS, delivered, draw
from tests.simulation.scene import Scene
from tests.simulation.story import (
    CALM,
    CRASH_AFTER,
    CRASH_BEFORE,
    DELIVERY_FAULTS,
    DISK_FULL,
    LOST_ACKNOWLEDGEMENT,
    ORDERLESS,
    RULES_CHANGE,
    TORN,
    WILD,
    WRITE_FAULTS,
    Fault,
    Line,
    Pace,
    Story,
)
from tests.simulation.streams import orderless

SEEDS = 100
PROJECT = Path(__file__).parents[2]
AT_A_WRITE = (CRASH_BEFORE, TORN, CRASH_AFTER, LOST_ACKNOWLEDGEMENT, DISK_FULL)
SHORT = 16  # movements of the story that fails at every single write


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_invariant_holds_after_every_step_of_a_story(seed: int) -> None:
    """`python -m tests.simulation --seed N` replays one, and cuts it shorter when it fails."""
    assert failure_of(draw(seed)) is None


def test_the_stories_hold_every_kind_of_fault_clock_and_movement(tmp_path: Path) -> None:
    """No kind is forgotten by the drawing of stories: each strikes in the seeds that CI plays."""
    struck: set[str] = set()
    kinds: set[tuple[str, str]] = set()
    for seed in range(40):
        scene = Scene(draw(seed), tmp_path / str(seed))
        scene.play()
        struck |= scene.struck().keys()
        kinds.add((scene.story.kind, scene.story.clock))
    assert struck == {*WRITE_FAULTS, *DELIVERY_FAULTS, RULES_CHANGE}
    assert kinds == set(itertools.product((WILD, CALM, ORDERLESS), ("event", "wall")))


def test_a_seed_always_tells_the_same_story() -> None:
    """One number is enough to replay a failure."""
    assert [draw(seed) for seed in range(5)] == [draw(seed) for seed in range(5)]
    assert draw(1) != draw(2)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_delivered_before_it_was_sent(seed: int) -> None:
    """In whatever ways the network treats it, one after the other."""
    sent = orderless(seed, 86, [])
    for line in delivered(sent, random.Random(seed), WAYS):
        assert line.arrives >= sent[line.sent][0], line


def short(story: Story) -> Story:
    """The first movements of a story, in small steps, and no fault."""
    lines = [event for event in story.events if isinstance(event, Line)][:SHORT]
    pace = Pace(batch=3, commit=3, drain=2)
    return dataclasses.replace(
        story, events=tuple(lines), faults=(), pace=pace, rests=False, from_files=False
    )


@pytest.mark.parametrize("seed", [3, 5])
def test_a_failure_of_each_single_write_leaves_no_trace(seed: int, tmp_path: Path) -> None:
    """Every write of a run fails once, in every way in turn: by a crash, an error, a full disk."""
    story = short(draw(seed))
    scene = Scene(story, tmp_path / "counting")
    scene.play()
    assert scene.faults.writes > SHORT
    kinds = itertools.cycle(AT_A_WRITE)
    for write in range(1, scene.faults.writes + 1):
        failing = dataclasses.replace(story, faults=(Fault(write, next(kinds), 0.5),))
        assert failure_of(failing) is None, failing.faults


def run_command(*words: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the simulation as a command."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )


def test_any_number_of_seeds_is_played_by_command_and_what_was_done_is_told() -> None:
    """With both cores, and with status 0 when all is well."""
    done = run_command("--seeds", "8", "--first", "100", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 stories with ")
    assert ", 0 failed\n" in done.stdout


def test_a_story_ends_with_the_same_bytes_in_a_process_of_another_hash_seed(
    tmp_path: Path,
) -> None:
    """No output depends on the order of a set, which differs from process to process."""
    code = (
        "import hashlib, sys; from pathlib import Path\n"
        "from tests.simulation.drawing import draw\n"
        "from tests.simulation.scene import Scene\n"
        "for seed in range(12):\n"
        "    scene = Scene(draw(seed), Path(sys.argv[1]) / str(seed), inputs=Path(sys.argv[2]))\n"
        "    scene.play()\n"
        "    for topic, data in scene.outputs().items():\n"
        "        print(seed, topic, hashlib.sha256(data).hexdigest())\n"
    )
    told = []
    for hash_seed in ("1", "2"):
        inputs = tmp_path / "inputs"
        inputs.mkdir(exist_ok=True)
        for path in inputs.iterdir():
            path.unlink()
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / hash_seed), str(inputs)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert len(told[0].splitlines()) > 12
