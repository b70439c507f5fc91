"""A run of the embedded engine in this process: signals, progress, and what it adds up to."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import structlog
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from engine.cli.printing import console, say
from engine.cli.summary import Summary, summarise
from engine.contracts.errors import UsageError
from engine.embedded.collecting import (
    YOUNG_OBJECTS,
    YOUNG_OBJECTS_LISTENING,
    rare_collections,
)
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, Visitors, run
from engine.embedded.rules_desk import finish_if_possible
from engine.embedded.rules_watch import Stamp, stamp_of
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules


class Service(Protocol):
    """The HTTP service of a run."""

    @property
    def visitors(self) -> Visitors:
        """The callers, whom the loop serves."""
        ...

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        ...

    def open(self, runtime: Runtime) -> None:
        """Serve: the engine is there."""
        ...

    def finish(self, runtime: Runtime) -> None:
        """Take nothing more, and finish what was accepted."""
        ...

    def close(self) -> None:
        """Tell whoever still waits that nobody will serve them, and end the server."""
        ...


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen."""

    address: str
    keys: Path | None = None
    audit: Path | None = None
    behind_proxy: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is called with; `overrides` are settings by dotted name."""

    rules: Path
    data: Path
    inputs: Sequence[str] = ()
    out: Path | None = None
    clock: str = "wall"
    once: bool = False
    merge: bool = False
    sync: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    listen: Listen | None = None


def run_engine(plan: Plan) -> Summary:
    """Run the engine until its inputs end (`once`), or until SIGINT or SIGTERM.

    Damaged inputs are told on stderr: what could be read of them was taken.

    Raises:
        Interrupted: a run with `once` was stopped before its end.
        SellableError: rules, inputs, data folder or output folder cannot be used.
    """
    with _stopped_by_signals() as stop:
        finish_if_possible(plan.rules)
        seen = stamp_of(plan.rules)
        rules = load_rules(plan.rules, plan.overrides)
        # Inputs that cannot be read are told before a data folder is made for them.
        Inputs(plan.inputs, plan.merge).close()
        with _listening(plan) as service:
            runtime = Runtime(
                plan.data, rules, plan.rules, plan.clock, plan.out, plan.overrides, plan.sync
            )
            try:
                return _run(runtime, plan, stop, service, seen)
            finally:
                if service is not None:
                    service.close()
                runtime.close()


@contextmanager
def _listening(plan: Plan) -> Iterator[Service | None]:
    """The HTTP service, if there is to be one; it tells that the engine restores its state."""
    if plan.listen is None:
        yield None
        return
    if plan.once:
        raise UsageError(
            "--once ends with the inputs, and --listen waits for callers",
            "Leave one of them out.",
        )
    # Only now: a run that does not listen need not wait for a web framework to be imported.
    from engine.cli.listening import listening

    with listening(plan.listen, plan.data) as service:
        yield service


def _run(runtime: Runtime, plan: Plan, stop: Stop, service: Service | None, seen: Stamp) -> Summary:
    saved = runtime.record.positions
    with (
        Inputs(plan.inputs, plan.merge, saved, follow=not plan.once) as inputs,
        rare_collections(YOUNG_OBJECTS if service is None else YOUNG_OBJECTS_LISTENING),
        _watched(runtime) as watcher,
    ):
        if service is not None:
            service.open(runtime)
        _tell_start(runtime, plan, service)
        visitors = None if service is None else service.visitors
        ending = run(runtime, inputs, plan.rules, Job(plan.once, stop, watcher, visitors, seen))
        if service is not None:
            service.finish(runtime)
        watcher.tell_damages(inputs)
    return summarise(runtime, ending)


@contextmanager
def _stopped_by_signals() -> Iterator[Stop]:
    """A stop that SIGINT and SIGTERM ask for; the same signal again ends the process at once."""
    stop = Stop()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.getsignal(each) for each in signals}

    def ask(number: int, _: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before[signal.Signals(number)])

    for each in signals:
        signal.signal(each, ask)
    try:
        yield stop
    finally:
        for each in signals:
            signal.signal(each, before[each])


class _Watcher:
    """After each commit, moves the progress bar if there is one, and tells of damaged inputs."""

    def __init__(self, runtime: Runtime, bar: Progress | None) -> None:
        self._figures = runtime.engine.standing.figures
        self._bar = bar
        self._task = None if bar is None else bar.add_task("", total=None)
        self._damages_told = 0

    def __call__(self, inputs: Inputs) -> None:
        if len(inputs.damages) > self._damages_told:
            self.tell_damages(inputs)
        if self._bar is not None and self._task is not None:
            done, total = inputs.progress()
            received = f"{self._figures.received:,} movements"
            self._bar.update(self._task, completed=done, total=total, description=received)

    def tell_damages(self, inputs: Inputs) -> None:
        """Tell, on stderr, which inputs were damaged since the last time, and what to do."""
        for damage in inputs.damages[self._damages_told :]:
            say(
                ("warning: ", "bold yellow"),
                f"{damage.path} is damaged at byte {damage.offset}: {damage.message}",
                to_stderr=True,
            )
            say(
                "  Every whole line before that was taken. Send the file again, whole, under "
                "another name: what was taken already is dropped as duplicate.",
                to_stderr=True,
            )
        self._damages_told = len(inputs.damages)


@contextmanager
def _watched(runtime: Runtime) -> Iterator[_Watcher]:
    """A watcher, with a progress bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield _Watcher(runtime, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(to_stderr=True), transient=True) as bar:
        yield _Watcher(runtime, bar)


def _tell_start(runtime: Runtime, plan: Plan, service: Service | None) -> None:
    """Say that the engine runs, and which files of others had to make room for its outputs."""
    log = structlog.get_logger("sellable.run")
    if not plan.once:
        where = {} if service is None else {"listens": service.address}
        log.info(
            "the engine runs until it is stopped",
            data=str(plan.data),
            out=str(runtime.out),
            **where,
        )
    for path, aside in runtime.files.set_aside:
        log.warning(
            "an output file of another data folder was set aside",
            file=str(path),
            now=str(aside),
        )
