"""What a peer is asked to do, and what a peer is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from benchmarks.inv1 import Lines
from benchmarks.peers.running import Measured


class Mode(Enum):
    """When what changed is told to a channel; the value is its name in reports and commands."""

    CHANGES = "changes"
    TICKS = "ticks"

    @property
    def tick_us(self) -> int:
        """Microseconds of event time between two publications of a key; 0 without waiting."""
        return 0 if self is Mode.CHANGES else 1_000_000

    @property
    def title(self) -> str:
        """In words."""
        return "every change" if self is Mode.CHANGES else "once a second"


class Clock(Enum):
    """What time it is for a peer while it works on movements of another day."""

    EVENT = "event"
    """The latest time that a movement told."""

    WALL = "wall"


@dataclass(frozen=True)
class Job:
    """One run: which movements, told how, and where everything lies.

    `topic` holds the lines of `made`, one a message, in its only partition; `name` is of this run
    alone, and every topic that the run makes begins with it. `folder` is empty at a first start,
    and as the killed run left it at a second one. `brokers` is empty for a peer without Kafka.
    """

    made: Lines
    mode: Mode
    folder: Path
    name: str
    brokers: str = ""
    topic: str = ""

    @property
    def dump(self) -> Path:
        """Where the final state is written: rows as `expected.Expected` has them."""
        return self.folder / "state.ndjson"

    @property
    def out(self) -> Path:
        """The outputs of a peer that writes files."""
        return self.folder / "out"

    def kafka_options(self) -> list[str]:
        """The job as a peer on Kafka is told it."""
        told = {
            "brokers": self.brokers,
            "application": self.name,
            "input": self.topic,
            "outputs": self.name + ".",
            "state": self.folder / "state",
            "tick-us": self.mode.tick_us,
            "movements": self.made.lines,
            "dump": self.dump,
        }
        return [word for name, value in told.items() for word in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Facts:
    """What a report says of a peer beside its figures."""

    version: str
    input: str
    state: str
    output: str
    after_a_crash: str


class Peer(Protocol):
    """A system that does the work of INV-1."""

    name: str
    title: str
    uses_kafka: bool
    clock: Clock
    facts: Facts
    most_movements: int | None
    """More would take too long: it gets a shorter workload of the same make."""

    def missing(self) -> str | None:
        """Say what is not there and how to install it; None when all is there."""
        ...

    def build(self) -> None:
        """Compile, or install, what is not yet."""
        ...

    def prepare(self, job: Job) -> None:
        """Make what has to be there before a run: topics, rules."""
        ...

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job to its end; or kill it after so many movements, and return None."""
        ...
