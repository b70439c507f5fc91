"""What is rehearsed: an engine that is started, fed, killed, started again and stopped.

`Target` is what a rehearsal asks of a runtime; `EmbeddedTarget` is the embedded one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec
import yaml

from engine.contracts.errors import SellableError
from engine.core.parts import EVENT, WALL
from engine.rehearsal.engine_process import Configuration, Sample

START_SECONDS: Final = 120.0  # the longest that an engine may take until it takes movements
STOP_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
TAIL_BYTES: Final = 64 * 1024  # the newest samples lie in so many bytes at the end of their file
LINES_AT_ONCE: Final = 10_000


class RehearsalError(SellableError):
    """The rehearsal itself could not be carried out."""

    title = "The rehearsal broke off"


class Target(Protocol):
    """A runtime under rehearsal."""

    @property
    def out(self) -> Path:
        """The folder that its outputs go to, one file a topic."""
        ...

    @property
    def entrance(self) -> Path:
        """The file to which movements are appended."""
        ...

    def warm_up(self, lines: Iterable[bytes]) -> None:
        """Take what came before, and come to rest."""
        ...

    def start(self) -> None:
        """Start, and return when it takes movements."""
        ...

    def kill(self) -> None:
        """Kill it as a machine does that loses power."""
        ...

    def stop(self) -> None:
        """Stop it in order."""
        ...

    def newest(self) -> Sample | None:
        """Return where it stands, None while it does not run."""
        ...

    def samples(self) -> list[Sample]:
        """Return where it stood, from the start on."""
        ...

    def throttle(self, channel: str, rate: str | None) -> None:
        """Let a channel take no more than a rate such as `1/s`; None: as its rules say."""
        ...


class EmbeddedTarget:
    """The embedded engine in a process of its own, on a copy of the rules folder."""

    def __init__(self, folder: Path, rules: Path, overrides: Mapping[str, str]) -> None:
        self._folder = folder
        self._told = rules
        self._rules = folder / "rules"
        self._data = folder / "data"
        self._samples = folder / "samples.ndjson"
        self._said = folder / "engine.log"
        self._overrides = dict(overrides)
        self._process: subprocess.Popen[bytes] | None = None
        if not self._rules.exists():
            shutil.copytree(rules, self._rules, ignore=shutil.ignore_patterns("tests"))
        self.entrance.touch()

    @property
    def out(self) -> Path:
        """The folder that its outputs go to."""
        return self._data / "out"

    @property
    def entrance(self) -> Path:
        """The file that it follows."""
        return self._folder / "movements.ndjson"

    def warm_up(self, lines: Iterable[bytes]) -> None:
        """Take lines by their own time, as fast as they can be taken.

        Raises:
            RehearsalError: the engine did not end well.
        """
        source = self._folder / "before.ndjson"
        with source.open("wb") as file:
            for line in lines:
                file.write(line + b"\n")
        with self._launch(EVENT, source) as process:
            try:
                status = process.wait()
            finally:
                process.kill()
        if status != 0:
            raise self._broken("while it took what came before")
        source.unlink()
        self._samples.unlink(missing_ok=True)

    def copy_to(self, folder: Path) -> EmbeddedTarget:
        """Return another engine that has taken the same; this one must not run."""
        folder.mkdir(parents=True)
        shutil.copytree(self._data, folder / "data")
        return EmbeddedTarget(folder, self._told, self._overrides)

    def start(self) -> None:
        """Start by the wall clock, and wait until it has begun.

        Raises:
            RehearsalError: it did not.
        """
        before = self._samples.stat().st_size if self._samples.exists() else 0
        self._process = self._launch(WALL, self.entrance)
        deadline = time.monotonic() + START_SECONDS
        while not self._samples.exists() or self._samples.stat().st_size <= before:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise self._broken("at its start")
            time.sleep(LOOK_SECONDS)

    def kill(self) -> None:
        """Kill the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask the process to end, and wait for it.

        Raises:
            RehearsalError: it did not end well.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise self._broken("at its end: it did not stop") from None
        if status != 0:
            raise self._broken("while the load was played")

    def newest(self) -> Sample | None:
        """Return its last sample, None when it does not run.

        Raises:
            RehearsalError: it has ended by itself.
        """
        if self._process is None:
            return None
        if self._process.poll() is not None:
            raise self._broken("while the load was played")
        with self._samples.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().split(b"\n")
        # What follows the last line end is not whole yet; before the first, half of one may be.
        return _sample(lines[-2]) if len(lines) > 1 else None

    def samples(self) -> list[Sample]:
        """Return all samples; a line that a kill has cut is left out."""
        found = (_sample(line) for line in self._samples.read_bytes().split(b"\n") if line)
        return [sample for sample in found if sample is not None]

    def throttle(self, channel: str, rate: str | None) -> None:
        """Write the rate into the copy of the rules folder: the engine looks there every second."""
        path = self._rules / "channels.yaml"
        if rate is None:
            changed = (self._told / "channels.yaml").read_bytes()
        else:
            told = yaml.safe_load((self._told / "channels.yaml").read_text(encoding="utf-8"))
            own = told["channels"][channel] = dict(told["channels"][channel] or {})
            own["publish"] = {**(own.get("publish") or {}), "max_rate": rate}
            changed = yaml.safe_dump(told, sort_keys=False, allow_unicode=True).encode()
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(changed)
        unfinished.replace(path)

    def _launch(self, clock: str, source: Path) -> subprocess.Popen[bytes]:
        configuration = Configuration(
            rules=str(self._rules),
            data=str(self._data),
            inputs=[str(source)],
            clock=clock,
            overrides=self._overrides,
            samples=str(self._samples),
            parent=os.getpid(),
        )
        path = self._folder / "engine.json"
        path.write_bytes(msgspec.json.encode(configuration))
        words = [sys.executable, "-m", "engine.rehearsal.engine_process", str(path)]
        with self._said.open("ab") as said:
            return subprocess.Popen(words, stdout=said, stderr=said)

    def _broken(self, when: str) -> RehearsalError:
        said = self._said.read_text(errors="replace").strip() if self._said.exists() else ""
        return RehearsalError(f"the engine failed {when}\n{said}".strip())


def _sample(line: bytes) -> Sample | None:
    try:
        return msgspec.json.decode(line, type=Sample)
    except msgspec.MsgspecError:
        return None
