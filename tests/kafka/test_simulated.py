"""The workers by a made clock tell what the oracle tells, whatever happens to them.

`python -m tests.kafka.simulation --seed N` replays a story, and cuts it shorter when it fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.kafka import envelope_reading, partition, taking_over
from engine.kafka.envelopes import Movements
from engine.kafka.ledger_record import Parcel
from engine.kafka.partition import Partition
from tests.kafka import simulated_ledger
from tests.kafka.simulated_broker import FAULTS
from tests.kafka.simulated_story import draw, play
from tests.kafka.simulation import shrunk

SEEDS = range(8)
MANY = 0.1
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cluster_tells_what_the_oracle_tells(seed: int) -> None:
    """Publications, outcomes, decisions, exceptions and state of a random stream, every one."""
    assert play(draw(seed, faults_each=0.0)).failures == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_whatever_fails(seed: int) -> None:
    """Owners end between any two writes, deliveries are repeated, changelogs compacted."""
    assert play(draw(seed, faults_each=MANY)).failures == []


def test_the_stories_hold_every_kind_of_fault() -> None:
    """Each strikes in the seeds that CI plays."""
    struck: Counter[str] = Counter()
    for seed in SEEDS[:4]:
        struck += play(draw(seed, faults_each=MANY)).struck
    assert struck.keys() == set(FAULTS)


def test_a_seed_always_tells_the_same_story() -> None:
    """One number is enough to replay a failure."""
    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert play(draw(3)).takeovers == play(draw(3)).takeovers


def test_any_number_of_seeds_is_played_by_command() -> None:
    """With status 0 when all is well, and what was done."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kafka.simulation", "--seeds", "4", "--workers", "2"],
        cwd=PROJECT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 stories in ")
    assert ", 0 failed\n" in done.stdout


# --- that breaking something is noticed -----------------------------------------------------------


def nothing_to_send_again(self: Partition) -> Iterator[Parcel]:
    """An owner that trusts the one before to have sent everything."""
    yield from ()


def forget_outputs(patch: pytest.MonkeyPatch) -> None:
    """What was committed and not sent when an owner ended is lost."""
    patch.setattr(Partition, "undelivered", nothing_to_send_again)


def take_repeats(patch: pytest.MonkeyPatch) -> None:
    """A run that ingest sent again is taken again."""

    def take_all(entry: Movements, marks: dict[str, int]) -> envelope_reading.Unseen:
        return unseen(entry, {})

    unseen = envelope_reading.take_unseen
    patch.setattr(partition, "take_unseen", take_all)


def leave_steps_half_done(patch: pytest.MonkeyPatch) -> None:
    """A large step that the last owner began is not finished."""

    async def nothing(*_: object) -> None:
        return

    patch.setattr(taking_over, "redo", nothing)
    patch.setattr(simulated_ledger, "redo", nothing)


def skip_gaps(patch: pytest.MonkeyPatch) -> None:
    """Envelopes that are missing are not missed."""
    take = Partition.take

    def any_offset(self: Partition, envelope: object, content: object) -> object:
        offset = envelope.offset  # type: ignore[attr-defined]
        self.record.applied = max(self.record.applied, offset - 1)
        return take(self, envelope, content)  # type: ignore[arg-type]

    patch.setattr(Partition, "take", any_offset)


@pytest.mark.parametrize(
    "break_it", [forget_outputs, take_repeats, leave_steps_half_done, skip_gaps]
)
def test_a_broken_engine_is_noticed(
    break_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within some seeds, by an invariant."""
    break_it(monkeypatch)
    assert any(play(draw(seed, faults_each=MANY)).failures for seed in SEEDS)


def test_a_failing_story_is_cut_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """To fewer movements and fewer faults, which fail in the same way."""
    forget_outputs(monkeypatch)
    stories = (draw(seed, movements=40, faults_each=MANY) for seed in SEEDS)
    story, failures = next((one, found) for one in stories if (found := play(one).failures))
    shorter, failure = shrunk(story, failures[0], most=60)
    assert (shorter.movements, len(shorter.faults)) < (story.movements, len(story.faults))
    assert failure.invariant == failures[0].invariant
    assert failure in play(shorter).failures
