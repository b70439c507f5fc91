"""The peers that are written in Java: built by Maven, run by the `java` on the path."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as Xml
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.inv1 import CACHE
from benchmarks.peers.brokers import make_outputs
from benchmarks.peers.jobs import Clock, Facts, Job
from benchmarks.peers.running import Measured, run_to_the_end
from benchmarks.process import FailedRunError

SOURCES = Path(__file__).parent
BUILT = CACHE / "peers"  # as pom.xml has it
JAVA = 17
INSTALL = "On Debian and Ubuntu: sudo apt-get install openjdk-17-jdk-headless maven"


def missing_java() -> str | None:
    """Say what of Java and Maven is not there."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        return f"Java {JAVA} was not found. {INSTALL}"
    if shutil.which("mvn") is None:
        return f"Maven was not found. {INSTALL}"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', said.stderr)
    if found is None or int(found[1]) < JAVA:
        return f"Java {JAVA} or newer was not found. {INSTALL}"
    return None


def build_java() -> None:
    """Compile the Java peers, unless their sources are as they were.

    Raises:
        FailedRunError: Maven could not.
    """
    sources = [
        path for path in SOURCES.rglob("*") if path.suffix in (".java", ".xml", ".properties")
    ]
    stamp = BUILT / "built"
    if stamp.exists() and stamp.stat().st_mtime >= max(path.stat().st_mtime for path in sources):
        return
    words = ["mvn", "--batch-mode", "--quiet", "--file", str(SOURCES / "pom.xml"), "package"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FailedRunError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    stamp.touch()


def pinned(name: str) -> str:
    """The version that `pom.xml` pins, by the name of its property."""
    project = Xml.parse(SOURCES / "pom.xml").getroot()
    found = project.find(f"{{*}}properties/{{*}}{name}")
    if found is None or found.text is None:
        raise KeyError(f"{SOURCES / 'pom.xml'} has no property {name}")
    return found.text


@dataclass
class JavaPeer:
    """A peer whose module is a folder beside this file."""

    name: str
    title: str
    facts: Facts
    module: str
    main: str
    java_options: Sequence[str] = ()
    options: Sequence[str] = ()
    uses_kafka: bool = field(default=True, init=False)
    clock: Clock = field(default=Clock.EVENT, init=False)
    most_movements: int | None = field(default=None, init=False)

    def missing(self) -> str | None:
        """Say what is not there and how to install it."""
        return missing_java()

    def build(self) -> None:
        """Compile it."""
        build_java()

    def prepare(self, job: Job) -> None:
        """Make the topics of the channels, and that of what is refused."""
        make_outputs(job)

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job, or be killed in it."""
        target = BUILT / self.module
        classes = f"{target / 'classes'}:{target / 'libraries'}/*"
        words = ["java", *self.java_options, "-cp", classes, self.main]
        words += job.kafka_options()
        return run_to_the_end([*words, *self.options], job.folder / "log", kill_at=kill_at)
