"""The loop of an embedded run: read, step, commit; and what happens when the inputs end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.contracts.errors import SellableError
from engine.core.engine import Engine
from engine.core.parts import EVENT
from engine.embedded.inputs import Inputs
from engine.embedded.orders import OrderDesk
from engine.embedded.rules_desk import RulesDesk
from engine.embedded.rules_watch import RulesWatch, Stamp
from engine.embedded.runtime import Runtime, wall_clock

BATCH_LINES = 2_000  # lines read and taken at a time when replaying: few enough for the caches
COMMIT_LINES = 200_000  # lines per commit when replaying: the more, the more share a record
COMMIT_SECONDS = 10.0  # and the longest time between two commits, so that readers see it go on
WRITE_LINES = 20_000  # lines after which a replay writes its outputs, ahead of their commit
LIVE_BATCH_LINES = 2_000  # lines per commit with the wall clock, so that a tick is never late
IDLE_SECONDS = 0.05  # the longest wait for input before orders, rules and the clock are looked at
# Microseconds before a tick at which it is worked out what it will tell; the later times, only what
# was touched in between.
AHEAD = (300_000, 80_000, 30_000)
AHEAD_SKUS = 200  # SKUs looked at ahead at a time, between two batches: some milliseconds
DRAIN_COMMIT_TICKS = 500  # ticks between two commits while what is pending is drained


@dataclass(slots=True)
class Stop:
    """Set by a signal: the loop ends after the commit at hand."""

    asked: bool = False


class Interrupted(SellableError):
    """The run was stopped before its inputs ended; nothing is lost."""

    title = "Stopped before the end"


class Visitors(Protocol):
    """Callers of other threads, whom the loop serves between two batches."""

    def meet(self, rules: RulesDesk) -> None:
        """Learn, before they are served, where rules are published."""
        ...

    @property
    def doorbell(self) -> int:
        """A descriptor that can be read while somebody waits."""
        ...

    @property
    def called(self) -> bool:
        """Whether somebody waits."""
        ...

    def serve(self, runtime: Runtime) -> None:
        """Do what they ask for, and commit it."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until somebody comes, at most so long."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is to do.

    `once` ends with the inputs; `progress` is told after each commit; `rules_seen` is what the
    rules folder looked like before it was read.
    """

    once: bool
    stop: Stop
    progress: Callable[[Inputs], None] = lambda _: None
    visitors: Visitors | None = None
    rules_seen: Stamp | None = None

    def serve(self, runtime: Runtime) -> None:
        """Serve visitors, if there can be any."""
        if self.visitors is not None:
            self.visitors.serve(runtime)

    def wait(self, seconds: float) -> None:
        """Wait for visitors, at most so long."""
        if self.visitors is None:
            time.sleep(seconds)
        else:
            self.visitors.wait(seconds)

    @property
    def called(self) -> bool:
        """Whether a visitor waits."""
        return self.visitors is not None and self.visitors.called

    @property
    def doorbell(self) -> int | None:
        """What tells that a visitor has come."""
        return None if self.visitors is None else self.visitors.doorbell


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: movements it received, and seconds it took."""

    received: int
    seconds: float


def run(runtime: Runtime, inputs: Inputs, rules_folder: Path, job: Job) -> Ending:
    """Run until the inputs end (with `once`), or until asked to stop.

    Raises:
        Interrupted: a run with `once` was stopped before its end.
    """
    started = time.perf_counter()
    before = runtime.engine.standing.figures.received
    rules, overrides = runtime.engine.rules, runtime.record.settings
    watch = RulesWatch(rules_folder, rules, overrides, seen=job.rules_seen)
    desk = OrderDesk(runtime, watch)
    if job.visitors is not None:
        job.visitors.meet(desk.rules)
    by_event = runtime.engine.standing.clock_mode == EVENT
    if by_event:
        _replay(runtime, inputs, desk, job)
    else:
        _live(runtime, inputs, desk, job)
    # That an input is complete may be learned only after its last movement was committed.
    runtime.taken(inputs.positions())
    runtime.commit()
    received = runtime.engine.standing.figures.received - before
    return Ending(received, time.perf_counter() - started)


def _replay(runtime: Runtime, inputs: Inputs, desk: OrderDesk, job: Job) -> None:
    """Run by the event clock: as fast as the movements can be read."""
    uncommitted, unwritten, committed_at = 0, 0, time.monotonic()
    while not job.stop.asked:
        taken = _take_batch(runtime, inputs, job.doorbell)
        uncommitted += taken
        unwritten += taken
        waited = time.monotonic() - committed_at
        if uncommitted and (
            uncommitted >= COMMIT_LINES or waited >= COMMIT_SECONDS or not taken or inputs.ended
        ):
            runtime.commit()
            job.progress(inputs)
            uncommitted, unwritten, committed_at = 0, 0, time.monotonic()
        elif unwritten >= WRITE_LINES:
            runtime.write_outputs()
            job.progress(inputs)
            unwritten = 0
        desk.serve()
        job.serve(runtime)
        if inputs.ended:
            if job.once:
                _drain(runtime, job)
                return
            job.wait(IDLE_SECONDS)
    runtime.commit()
    if job.once:
        raise _interrupted()


def _take_batch(runtime: Runtime, inputs: Inputs, doorbell: int | None) -> int:
    """Take some lines; returns how many there were. They count as taken, not yet as committed."""
    batch = inputs.read(BATCH_LINES, IDLE_SECONDS, doorbell)
    if batch is None or not batch.lines:
        return 0
    engine = runtime.engine
    runtime.record.inputs_ended_at = None
    prepared = engine.prepare(batch.lines, batch.origin)
    done = 0
    while True:
        done = engine.take(prepared, done)
        runtime.taken(batch.positions(done))
        if done == len(batch.lines):
            return done
        runtime.commit()


def _drain(runtime: Runtime, job: Job) -> None:
    """Go on from one due publication to the next, at most `drain` far; then post what is open."""
    engine = runtime.engine
    clock = engine.clock
    if clock is not None:
        limit = _drained_from(runtime, clock) + engine.rules.settings.drain
        ticks = 0
        while (tick := engine.next_drained(limit)) is not None:
            if job.stop.asked:
                raise _interrupted()
            runtime.advance(tick)
            ticks += 1
            if ticks % DRAIN_COMMIT_TICKS == 0:
                runtime.commit()
    engine.close_windows()
    runtime.commit()


def _drained_from(runtime: Runtime, clock: int) -> int:
    """Return where the clock stood when the inputs ended, or other rules came after that."""
    record, fingerprint = runtime.record, runtime.engine.rules.fingerprint
    if record.inputs_ended_at is None or record.drained_rules != fingerprint:
        record.inputs_ended_at, record.drained_rules = clock, fingerprint
    return record.inputs_ended_at


def _live(runtime: Runtime, inputs: Inputs, desk: OrderDesk, job: Job) -> None:
    """Run by the wall clock: movements as they come, ticks when they are due."""
    engine = runtime.engine
    # A replay that comes later drains from where this run leaves the clock.
    runtime.record.inputs_ended_at = None
    ended_at: int | None = None
    while not job.stop.asked:
        now = _reach_now(runtime)
        desk.serve()
        job.serve(runtime)
        if not inputs.ended:
            _take_live(runtime, inputs, job, now)
            continue
        runtime.commit()
        ended_at = ended_at or now
        due = engine.next_publication() if job.once else engine.next_due()
        if job.once and (due is None or due > ended_at + engine.rules.settings.drain):
            engine.close_windows()
            runtime.commit()
            return
        job.wait(_work_ahead(engine, job, due, now))
    if job.once:
        raise _interrupted()


def _take_live(runtime: Runtime, inputs: Inputs, job: Job, now: int) -> None:
    engine = runtime.engine
    wait = _work_ahead(engine, job, engine.next_due(), now)
    batch = inputs.read(LIVE_BATCH_LINES, wait, job.doorbell)
    if batch is None or not batch.lines:
        runtime.commit()
        return
    _reach_now(runtime)
    prepared = engine.prepare(batch.lines, batch.origin)
    engine.take(prepared, 0)
    runtime.taken(batch.positions(len(batch.lines)))
    runtime.commit()
    job.progress(inputs)


def _reach_now(runtime: Runtime) -> int:
    """Let the clock reach the time of day, and return it.

    What its ticks tell is written at once: channels wait for it, and not for the next batch.
    """
    now = wall_clock()
    runtime.advance(now)
    runtime.write_outputs()
    return now


def _work_ahead(engine: Engine, job: Job, due: int | None, now: int) -> float:
    """Work out a part of what the next tick will tell; return how long to wait, in seconds.

    Whoever waits comes first: an engine that has too much to do would work out much in vain.
    """
    busy = job.called or engine.look_ahead(now, AHEAD, AHEAD_SKUS)
    return 0.0 if busy else _until(due, now)


def _until(due: int | None, now: int) -> float:
    """Return how long to wait for what is due, in seconds."""
    if due is None:
        return IDLE_SECONDS
    return min(IDLE_SECONDS, max(0.0, (due - now) / 1_000_000))


def _interrupted() -> Interrupted:
    return Interrupted(
        "the run was stopped before its end; all that was committed is kept",
        "Start the same command again: it goes on where it was.",
    )
