"""Runs of the embedded runtime over a store that survives, restarted after every crash."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from engine.stores.memory import MemoryStore
from tests.simulation.faults import CrashError, CrashingFiles, CrashingStore, Faults

NO_FAULTS = Faults(random.Random(0))
NEVER_SECONDS = 1e9


@dataclass(frozen=True)
class Pace:
    """How many lines are taken at a time and committed at a time, and ticks between commits."""

    batch: int = 10_000
    commit: int = 10_000
    drain: int = 500


WHOLE = Pace()


@dataclass
class Machine:
    """What survives a crash: the rules, the inputs, the store, and the output files."""

    rules: Path
    inputs: list[Path]
    folder: Path
    store: MemoryStore = field(default_factory=MemoryStore)

    @property
    def out(self) -> Path:
        """Where the outputs go."""
        return self.folder / "out"

    def outputs(self) -> dict[str, bytes]:
        """The bytes of every output file that holds any."""
        found = {path.name: path.read_bytes() for path in sorted(self.out.glob("*.ndjson"))}
        return {name: data for name, data in found.items() if data}

    def run(self, faults: Faults = NO_FAULTS, pace: Pace = WHOLE) -> None:
        """One life of the process, to the end of its inputs.

        Raises:
            CrashError: it ended before.
        """
        with _process(self.store, faults, pace) as files:
            try:
                self._live()
            finally:
                for each in files:
                    each.close()

    def _live(self) -> None:
        rules = load_rules(self.rules)
        runtime = Runtime(self.folder, rules, self.rules, "event", self.out)
        saved = runtime.record.positions
        with Inputs([str(path) for path in self.inputs], False, saved) as inputs:
            run(runtime, inputs, self.rules, Job(once=True, stop=Stop()))

    def run_to_the_end(self, faults: Faults, pace: Pace) -> None:
        """Start it again after every crash."""
        while True:
            try:
                self.run(faults, pace)
            except CrashError:
                continue
            return


@contextmanager
def _process(store: MemoryStore, faults: Faults, pace: Pace) -> Iterator[list[CrashingFiles]]:
    """Make the runtime use what crashes; yields the output files that it opens."""
    opened: list[CrashingFiles] = []

    class Files(CrashingFiles):
        def __init__(self, folder: Path, committed: Mapping[str, int] | None) -> None:
            super().__init__(folder, committed)
            self.faults = faults
            opened.append(self)

    def open_store(_: Path) -> CrashingStore:
        return CrashingStore(store, faults)

    places = {
        "engine.embedded.runtime.open_for_writing": open_store,
        "engine.embedded.runtime.OutputFiles": Files,
        "engine.embedded.loop.BATCH_LINES": pace.batch,
        "engine.embedded.loop.COMMIT_LINES": pace.commit,
        "engine.embedded.loop.COMMIT_SECONDS": NEVER_SECONDS,
        "engine.embedded.loop.DRAIN_COMMIT_TICKS": pace.drain,
    }
    with ExitStack() as stack:
        for place, stand_in in places.items():
            stack.enter_context(patch(place, stand_in))
        yield opened
