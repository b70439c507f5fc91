"""A folder like a new user's, the command in this process, and an engine in one of its own."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.cli.main import invoke
from engine.contracts.instants import format_instant
from engine.embedded.runtime import wall_clock

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
LISTENING = (
    "run --rules rules --data live --clock event --input movements.ndjson --listen 127.0.0.1:0"
)
REPLAY = "run --rules rules --data data --input movements.ndjson --clock event --once"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, as data."""
        return json.loads(self.out)


class Live:
    """An engine in a process of its own, by the wall clock and fed through its standard input."""

    def __init__(self, folder: Path, line: str = "run --rules rules --data data --input -") -> None:
        command = [*program(), *shlex.split(line)]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.first_log = json.loads(self.process.stderr.readline())

    def send(self, **movement: object) -> None:
        """Send a movement that occurs now."""
        assert self.process.stdin is not None
        line = {"source": "test", "occurred_at": format_instant(wall_clock()), **movement}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def stop(self, number: int = signal.SIGTERM) -> Result:
        """Stop it, and return how it ended."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return Result(self.process.returncode, out, err)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


Call = Callable[[str], Result]


def program() -> list[str]:
    """The command as a process of its own."""
    return [sys.executable, "-m", "engine.cli.main"]


def environment(**more: str) -> dict[str, str]:
    """What the process of a command needs to find the project from any folder."""
    return {**os.environ, "PYTHONPATH": str(PROJECT), **more}


def start(folder: Path, line: str, **more: str) -> Result:
    """Run a command line in a process of its own."""
    done = subprocess.run(
        [*program(), *shlex.split(line)],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def until(found: Callable[[], bool]) -> None:
    """Look again and again, for a minute at most, until something is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < deadline, "it never came"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the working rules folder, movements, plain and packed, and counts."""
    shutil.copytree(PROJECT / "rules", tmp_path / "rules")
    for name in ("movements.ndjson", "counts.csv", "observations.ndjson"):
        shutil.copy(HERE / name, tmp_path)
    packed = gzip.compress((HERE / "movements.ndjson").read_bytes())
    (tmp_path / "movements.ndjson.gz").write_bytes(packed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line in this process, in the workspace."""

    def run(line: str) -> Result:
        capfd.readouterr()
        status = invoke(shlex.split(line))
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return run


@pytest.fixture
def replayed(call: Call) -> Call:
    """Like `call`, after the movements were replayed into the data folder `data`."""
    assert call(REPLAY).status == 0
    return call


@pytest.fixture
def live(workspace: Path) -> Iterator[Live]:
    """An engine that runs on the data folder `data` of the workspace."""
    engine = Live(workspace)
    yield engine
    engine.end()


@pytest.fixture
def listening(workspace: Path) -> Iterator[Live]:
    """An engine that has taken the movements and listens."""
    engine = Live(workspace, LISTENING)
    url = engine.first_log["listens"]
    # The movements come in one commit, so one of them says that all are there.
    until(lambda: httpx.get(f"{url}/v1/stock/10-0001").is_success)
    yield engine
    engine.end()
