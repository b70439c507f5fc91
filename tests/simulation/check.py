"""Playing a story with every invariant asked, and what was found wrong."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.endings import AT_THE_END, Ending
from tests.simulation.faults import WentOnError
from tests.simulation.invariants import AFTER_EVERY_STEP, WHEN_TIME_PASSES, Invariant
from tests.simulation.monitor import Monitor
from tests.simulation.scene import Scene, StuckError
from tests.simulation.story import Story

HALTS = "halts when the store or the disk has failed"
ENDS = "comes to its end"
NEVER_BREAKS = "no error of its own"
MEMORY_FOLDER = Path("/dev/shm")


@dataclass(frozen=True)
class Failure:
    """A violation: which invariant, what is wrong, and after how many commits."""

    invariant: str
    message: str
    step: int


class ViolatedError(BaseException):
    """An invariant does not hold. Nothing in the engine may catch that."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass
class Played:
    """What became of a story: the scene it ended with, and the first violation if there was one."""

    scene: Scene
    monitor: Monitor
    failure: Failure | None = None


def play(
    story: Story,
    folder: Path,
    steps: Mapping[str, Invariant] = AFTER_EVERY_STEP,
    endings: Mapping[str, Ending] = AT_THE_END,
) -> Played:
    """Play a story in a folder, and stop at the first violation."""

    def look(puts: Mapping[bytes, bytes]) -> None:
        monitor.look(puts)
        for name, holds in steps.items():
            if monitor.idle and name not in WHEN_TIME_PASSES:
                continue
            for message in holds(monitor):
                raise ViolatedError(Failure(name, message, monitor.step))

    scene = Scene(story, folder / "scene", look)
    monitor = Monitor(scene)
    played = Played(scene, monitor)
    try:
        scene.play()
        for name, ends in endings.items():
            for message in ends(monitor, folder):
                raise ViolatedError(Failure(name, message, monitor.step))
    except ViolatedError as violated:
        played.failure = violated.failure
    except WentOnError as error:
        played.failure = Failure(HALTS, str(error), monitor.step)
    except StuckError as error:
        played.failure = Failure(ENDS, str(error), monitor.step)
    except Exception as error:  # noqa: BLE001 (whatever the engine breaks with is a finding)
        message = f"{type(error).__name__}: {error}"
        played.failure = Failure(NEVER_BREAKS, message, monitor.step)
    return played


@dataclass(frozen=True)
class MeasuredStory:
    """What a story came to: how often what struck it, and how much was done."""

    failure: Failure | None
    struck: Counter[str]
    totals: Counter[str]


def measure(story: Story) -> MeasuredStory:
    """Play a story in a folder of its own."""
    where = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=where) as folder:
        played = play(story, Path(folder))
    scene = played.scene
    totals = Counter(
        stories=1, lines=len(story.lines), lives=scene.lives, steps=played.monitor.step
    )
    return MeasuredStory(played.failure, scene.struck(), totals)


def failure_of(story: Story) -> Failure | None:
    """Play a story in a folder of its own; return what was wrong."""
    return measure(story).failure
