"""The peers that are written in Python."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.inv1 import CACHE
from benchmarks.peers.brokers import make_outputs
from benchmarks.peers.jobs import Clock, Facts, Job
from benchmarks.peers.running import Measured, run_to_the_end
from benchmarks.process import FailedRunError

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "bytewax_peer" / "requirements.txt"
ENVIRONMENT = CACHE / "peers" / "bytewax"


@dataclass
class BytewaxPeer:
    """bytewax, in a virtual environment of its own."""

    name: str = "bytewax"
    title: str = "bytewax"
    facts: Facts = field(
        default_factory=lambda: Facts(
            version=REQUIREMENTS.read_text().split()[0].replace("==", " "),
            input="file",
            state="memory, whole shards snapshot into SQLite every 10 s",
            output="files",
            after_a_crash="exactly once, by cutting files back",
        )
    )
    uses_kafka: bool = field(default=False, init=False)
    clock: Clock = field(default=Clock.EVENT, init=False)
    most_movements: int | None = field(default=None, init=False)

    def missing(self) -> str | None:
        """Nothing but the interpreter that runs this is needed."""
        return None

    def build(self) -> None:
        """Install bytewax, once.

        Raises:
            FailedRunError: it could not be installed.
        """
        home = ENVIRONMENT
        stamp = home / "installed"
        if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
            return
        for words in (
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)],
        ):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise FailedRunError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        stamp.write_text(REQUIREMENTS.read_text())

    def prepare(self, job: Job) -> None:
        """It makes its files itself."""

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job, or be killed in it."""
        words = [str(ENVIRONMENT / "bin" / "python"), "-m", "benchmarks.peers.bytewax_peer.flow"]
        told = {
            "input": job.made.path,
            "out": job.out,
            "state": job.folder / "state",
            "tick-us": job.mode.tick_us,
            "movements": job.made.lines,
            "dump": job.dump,
        }
        for option, value in told.items():
            words += [f"--{option}", str(value)]
        return run_to_the_end(words, job.folder / "log", kill_at=kill_at)


@dataclass
class FaustPeer:
    """Faust as its documentation has it; it is in the environment of the project."""

    name: str = "faust"
    title: str = "Faust"
    facts: Facts = field(
        default_factory=lambda: Facts(
            version=f"faust-streaming {version('faust-streaming')}",
            input="Kafka",
            state="RocksDB, changelog topics, tables set once a batch of 1,000",
            output="Kafka",
            after_a_crash="at least once",
        )
    )
    uses_kafka: bool = field(default=True, init=False)
    clock: Clock = field(default=Clock.EVENT, init=False)
    most_movements: int | None = 100_000

    def missing(self) -> str | None:
        """Nothing: the project depends on it."""
        return None

    def build(self) -> None:
        """Nothing is to be built."""

    def prepare(self, job: Job) -> None:
        """Make the topics of the channels, and that of what is refused."""
        make_outputs(job)

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job, or be killed in it."""
        words = [sys.executable, "-m", "benchmarks.peers.faust_peer.worker"]
        words += job.kafka_options()
        words += ["--compression", "lz4"]
        return run_to_the_end(words, job.folder / "log", kill_at=kill_at)
