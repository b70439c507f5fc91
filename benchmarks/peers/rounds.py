"""Runs everybody in turn, and keeps what was measured after every run.

First each peer does a small workload, of which the oracle says every publication. Then come the
rounds: in each, everybody does the same workload once in each mode, one after the other, in the
other direction in every second round, so that a machine that gets slower is slower for all. Last,
each peer is killed in the midst of its work and started again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from benchmarks.check import SMALL, DifferentError
from benchmarks.inv1 import Lines, generate
from benchmarks.inv1_lines import Workload
from benchmarks.peers.brokers import drop_topics, fill_topic, make_topics
from benchmarks.peers.expected import Expected, expected_of
from benchmarks.peers.jobs import Clock, Job, Mode, Peer
from benchmarks.peers.outputs import count_outputs
from benchmarks.peers.results import Comparison, Kill, Run
from benchmarks.peers.verify import check_run, check_state, publications, right_numbers
from benchmarks.process import FailedRunError, commit, floor_us

SECONDS_PER_MINUTE = 60

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is to be done; after `minutes` no other run is begun."""

    movements: int
    rounds: int
    modes: Sequence[Mode]
    kills: int
    kill_movements: int
    check: bool
    minutes: float | None = None


@dataclass
class Bench:
    """Where the runs find their workloads, and the broker."""

    brokers: str
    folder: Path
    _topics: dict[str, str] = field(default_factory=dict)
    _expected: dict[tuple[str, Clock], Expected] = field(default_factory=dict)
    _jobs: int = 0

    def expected(self, made: Lines, clock: Clock, small: bool = False) -> Expected:
        """What must come out of a workload."""
        key = made.path, clock
        if key not in self._expected:
            self._expected[key] = expected_of(made, clock, small)
        return self._expected[key]

    @contextmanager
    def job(self, peer: Peer, mode: Mode, made: Lines) -> Iterator[Job]:
        """A job with all that has to be there; its topics and its folder are removed at the end."""
        self._jobs += 1
        name = f"{peer.name}-{mode.value}-{self._jobs:03}"
        job = Job(made, mode, self.folder / name, name, self.brokers, self._topic(made))
        job.folder.mkdir(parents=True)
        try:
            peer.prepare(job)
            yield job
        finally:
            shutil.rmtree(job.folder)
            drop_topics(self.brokers, f"{name}.")
            drop_topics(self.brokers, f"{name}-")

    def _topic(self, made: Lines) -> str:
        if made.path not in self._topics:
            topic = f"movements-{len(self._topics)}"
            make_topics(self.brokers, [topic])
            fill_topic(self.brokers, topic, Path(made.path))
            self._topics[made.path] = topic
        return self._topics[made.path]


def compare_all(
    bench: Bench,
    peers: Sequence[Peer],
    plan: Plan,
    comparison: Comparison,
    keep: Callable[[], None],
    tell: Tell,
) -> None:
    """Do what the plan says; `keep` is called whenever the comparison knows more.

    Raises:
        DifferentError: a peer does not do as the oracle on a small workload.
        FailedRunError: a peer did not come to its end there.
    """
    deadline = (
        None if plan.minutes is None else time.monotonic() + plan.minutes * SECONDS_PER_MINUTE
    )

    def is_late() -> bool:
        return deadline is not None and time.monotonic() >= deadline

    if plan.check:
        _check(bench, peers, plan.modes, comparison, tell)
        keep()
    for run in _rounds(bench, peers, plan, comparison, tell):
        comparison.runs.append(run)
        keep()
        if is_late():
            tell("the time is up: no other run is begun")
            break
    for kill in _kills(bench, peers, plan, tell):
        comparison.kills.append(kill)
        keep()
        if is_late():
            tell("the time is up: nobody else is killed")
            break


def order_of(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Who comes when in a round, the first of which is 1."""
    return list(peers) if number % 2 == 1 else list(reversed(peers))


def _check(
    bench: Bench, peers: Sequence[Peer], modes: Sequence[Mode], comparison: Comparison, tell: Tell
) -> None:
    made = generate(SMALL)
    for mode in modes:
        for peer in peers:
            tell(f"checking {peer.title} against the oracle, {mode.title}")
            with bench.job(peer, mode, made) as job:
                peer.run(job)
                told = check_run(peer, job, bench.expected(made, peer.clock, small=True))
            comparison.checked.append(
                f"{peer.title}, {mode.title}: {made.lines:,} movements, {told:,} publications"
            )


def _rounds(
    bench: Bench, peers: Sequence[Peer], plan: Plan, comparison: Comparison, tell: Tell
) -> Iterator[Run]:
    first = 1 + max((run.round for run in comparison.runs), default=0)
    for number in range(first, first + plan.rounds):
        path = Path(_workload(plan.movements).path)
        comparison.floors_us.append(floor_us(path))
        for mode in plan.modes:
            for peer in order_of(peers, number):
                made = _workload(min(plan.movements, peer.most_movements or plan.movements))
                tell(f"round {number}, {mode.title}: {peer.title}, {made.lines:,} movements")
                run = _measure(bench, peer, mode, made, number)
                tell(_told(run))
                yield run


def _measure(bench: Bench, peer: Peer, mode: Mode, made: Lines, number: int) -> Run:
    run = Run(peer=peer.name, mode=mode.value, round=number, commit=commit(), movements=made.lines)
    expected = bench.expected(made, peer.clock)
    try:
        with bench.job(peer, mode, made) as job:
            measured = peer.run(job)
            load = os.getloadavg()[0]
            told = check_run(peer, job, expected)
    except (FailedRunError, DifferentError) as error:
        return replace(run, wrong=str(error))
    assert measured is not None
    half = measured.steady
    return replace(
        run,
        wall_s=measured.end.wall_s,
        cpu_s=measured.end.cpu_s,
        half_movements=half.movements,
        half_wall_s=half.wall_s,
        half_cpu_s=half.cpu_s,
        peak_bytes=measured.peak_bytes,
        publications=told,
        load=load,
        parts=dict(measured.parts),
    )


def _kills(bench: Bench, peers: Sequence[Peer], plan: Plan, tell: Tell) -> Iterator[Kill]:
    made = _workload(plan.kill_movements)
    for number in range(plan.kills):
        at = made.lines * (number + 1) // (plan.kills + 1)
        for mode in plan.modes:
            for peer in peers:
                tell(f"killing {peer.title} after some {at:,} of {made.lines:,}, {mode.title}")
                kill = _kill(bench, peer, mode, made, at)
                tell(f"  lost {kill.lost:,}, repeated {kill.repeated:,} {kill.wrong}")
                yield kill


def _kill(bench: Bench, peer: Peer, mode: Mode, made: Lines, at: int) -> Kill:
    kill = Kill(
        peer=peer.name, mode=mode.value, commit=commit(), movements=made.lines, killed_at=at
    )
    expected = bench.expected(made, peer.clock)
    try:
        with bench.job(peer, mode, made) as job:
            peer.run(job, kill_at=at)
            peer.run(job)
            outputs = count_outputs(publications(peer, job), right_numbers(expected))
            wrong = _difference(job, expected)
    except FailedRunError as error:
        return replace(kill, wrong=str(error))
    return replace(
        kill,
        told=outputs.told,
        lost=outputs.lost,
        repeated=outputs.repeated,
        changed=outputs.changed,
        wrong=wrong,
    )


def _difference(job: Job, expected: Expected) -> str:
    try:
        check_state(job, expected)
    except DifferentError as error:
        return str(error)
    return ""


def _workload(movements: int) -> Lines:
    return generate(Workload(movements=movements))


def _told(run: Run) -> str:
    if run.wrong:
        return f"  VOID: {run.wrong}"
    return (
        f"  {run.movements / run.wall_s:,.0f}/s, {run.movements / run.cpu_s:,.0f} a CPU second "
        f"({run.half_movements / run.half_cpu_s:,.0f} in the second half), "
        f"{run.publications:,} publications, load {run.load:.1f}"
    )
