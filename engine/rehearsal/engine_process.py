"""The engine of a rehearsal, in a process of its own: as `sellable run`, with a look at itself.

`python -m engine.rehearsal.engine_process CONFIGURATION`, a file with a `Configuration` as JSON.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO, Final

import msgspec

from engine.contracts.errors import SellableError
from engine.core.parts import EVENT
from engine.embedded.collecting import rare_collections
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.rules_desk import RulesDesk
from engine.embedded.runtime import Runtime, wall_clock
from engine.rehearsal.samples import SAMPLE_SECONDS, Sample
from engine.rules.loader import load_rules
from engine.telemetry.logs import set_up_logs

KIB: Final = 1024


class Configuration(msgspec.Struct):
    """How the engine is to run: `samples` is a file that they are appended to.

    `parent` is the id of the process that started it.
    """

    rules: str
    data: str
    inputs: list[str]
    clock: str
    overrides: dict[str, str]
    samples: str
    parent: int


class Sampler:
    """Writes a sample now and then, on the engine's own thread, as a visitor of its loop.

    An engine whose rehearsal is gone stops by itself: nobody else would end it.
    """

    def __init__(self, file: IO[bytes], stop: Stop, parent: int) -> None:
        self._file = file
        self._stop = stop
        self._parent = parent
        self._next = 0.0
        self._never = os.eventfd(0)
        self._encode = msgspec.json.Encoder().encode

    @property
    def doorbell(self) -> int:
        """A descriptor that never can be read: nobody comes."""
        return self._never

    def meet(self, rules: RulesDesk) -> None:
        """Nobody publishes rules here."""

    @property
    def called(self) -> bool:
        """Nobody waits."""
        return False

    def serve(self, runtime: Runtime) -> None:
        """Write a sample, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + SAMPLE_SECONDS
        if os.getppid() != self._parent:
            self._stop.asked = True
        held_back = runtime.engine.held_back()
        at = wall_clock()
        sample = Sample(
            at=at,
            received=runtime.engine.standing.figures.received,
            pending={each.channel.name: each.pending for each in held_back},
            by_rate={each.channel.name: each.by_rate for each in held_back},
            known_to=at,
            cpu=round(time.process_time(), 3),
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB,
        )
        self._file.write(self._encode(sample) + b"\n")
        self._file.flush()

    def wait(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def run_engine(configuration: Configuration) -> None:
    """Run: by the event clock to the end of the inputs, by the wall clock until SIGTERM.

    Raises:
        SellableError: rules, inputs or folders cannot be used.
    """
    stop = Stop()

    def ask(_: int, __: FrameType | None) -> None:
        stop.asked = True

    signal.signal(signal.SIGTERM, ask)
    # Ctrl-C is the rehearsal's: it ends the engine.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder, once = Path(configuration.rules), configuration.clock == EVENT
    rules = load_rules(folder, configuration.overrides)
    data = Path(configuration.data)
    runtime = Runtime(data, rules, folder, configuration.clock, None, configuration.overrides)
    try:
        saved = runtime.record.positions
        with (
            Inputs(configuration.inputs, False, saved, follow=not once) as inputs,
            rare_collections(),
            Path(configuration.samples).open("ab") as samples,
        ):
            run(
                runtime,
                inputs,
                folder,
                Job(once, stop, visitors=Sampler(samples, stop, configuration.parent)),
            )
    finally:
        runtime.close()


def main() -> None:
    """Run as the file named by the first argument says; ends with 1 when that fails."""
    set_up_logs()
    configuration = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Configuration)
    try:
        run_engine(configuration)
    except SellableError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
