"""The embedded engine under rehearsal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from engine.core.parts import EVENT, WALL
from engine.rehearsal.engine_process import Configuration
from engine.rehearsal.processes import end
from engine.rehearsal.rules_copy import RulesCopy
from engine.rehearsal.samples import Sample, SampleFile
from engine.rehearsal.target import RehearsalError

START_SECONDS: Final = 120.0  # the longest that an engine may take until it takes movements
LOOK_SECONDS: Final = 0.02


class EmbeddedTargets:
    """Engines that have taken `before`, each on a copy of the rules folder and of the state."""

    runtime: Final = "embedded"
    parts: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        rules: Path,
        overrides: Mapping[str, str],
        before: Callable[[], Iterable[bytes]],
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._overrides = overrides
        self._before = before
        self._warmed: EmbeddedTarget | None = None

    def fresh(self, folder: Path) -> EmbeddedTarget:
        """Return an engine with a copy of the state that was reached once.

        Raises:
            RehearsalError: the engine did not end well when it took what came before.
        """
        if self._warmed is None:
            self._warmed = EmbeddedTarget(self._folder, self._rules, self._overrides)
            self._warmed.warm_up(self._before())
        return self._warmed.copy_to(folder)


class EmbeddedTarget:
    """The embedded engine in a process of its own, on a copy of the rules folder."""

    def __init__(self, folder: Path, rules: Path, overrides: Mapping[str, str]) -> None:
        self._folder = folder
        self._told = rules
        folder.mkdir(parents=True, exist_ok=True)
        self._rules = RulesCopy(rules, folder / "rules")
        self._data = folder / "data"
        self._samples = SampleFile(folder / "samples.ndjson")
        self._said = folder / "engine.log"
        self._overrides = dict(overrides)
        self._process: subprocess.Popen[bytes] | None = None
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
        self._samples.clear()

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
        before = self._samples.length
        self._process = self._launch(WALL, self.entrance)
        deadline = time.monotonic() + START_SECONDS
        while self._samples.length <= before:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise self._broken("at its start")
            time.sleep(LOOK_SECONDS)

    def crash(self, part: str | None) -> None:
        """Kill the process: it has no parts."""
        assert part is None, "an embedded engine has no parts"
        self.kill()

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
        fault = "" if process is None else end(process)
        if fault:
            raise self._broken(f"at its end: {fault}")

    def newest(self) -> Sample | None:
        """Return its last sample, None when it does not run.

        Raises:
            RehearsalError: it has ended by itself.
        """
        if self._process is None:
            return None
        if self._process.poll() is not None:
            raise self._broken("while the load was played")
        return self._samples.newest()

    def samples(self) -> list[Sample]:
        """Return all samples."""
        return self._samples.all()

    def throttle(self, channel: str, rate: str | None) -> None:
        """Change the copy of the rules folder: the engine looks there every second."""
        self._rules.throttle(channel, rate)

    def discard(self) -> None:
        """There is nothing outside its folder."""

    def _launch(self, clock: str, source: Path) -> subprocess.Popen[bytes]:
        configuration = Configuration(
            rules=str(self._rules.folder),
            data=str(self._data),
            inputs=[str(source)],
            clock=clock,
            overrides=self._overrides,
            samples=str(self._samples.path),
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
