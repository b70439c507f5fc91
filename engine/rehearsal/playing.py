"""Playing a load against a running target, with its faults at their times."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from engine.contracts.errors import UsageError
from engine.rehearsal.faults import MARKETPLACE, WORKER, Fault, of_kind
from engine.rehearsal.load import SECOND, Load
from engine.rehearsal.samples import Sample
from engine.rehearsal.target import RehearsalError, Target
from engine.rehearsal.watching import Watcher
from engine.rules.ruleset import RuleSet

LOOK_SECONDS: Final = 0.005
TELL_SECONDS: Final = 0.2
LEAD_SECONDS: Final = 1.0  # from the last preparation to the first movement
RENDERED_A_SECOND: Final = 60_000  # lines, on a slow machine
THROTTLED_TO: Final = "1/s"

Tell = Callable[[str, float], None]


def wall() -> int:
    """Return the time of day as an instant."""
    return time.time_ns() // 1_000


@dataclass
class Played:
    """What was seen of a load: when it started, samples and outputs, and what went wrong when.

    `received` is what the target had received before. `chains` are the sources that each fault
    took offline, `channels` those that it throttled. `late` is by how much the generator itself
    was late at worst, microseconds. `drained` is when every movement was taken, `told` when, after
    the last one, no key was held back by nothing but its channel's rate.
    """

    load: Load
    start: int
    received: int
    watcher: Watcher
    samples: list[Sample]
    chains: Mapping[Fault, list[str]]
    channels: Mapping[Fault, str]
    late: int
    restarts: list[tuple[int, int]] = field(default_factory=list)
    drained: int | None = None
    told: int | None = None

    @property
    def end(self) -> int:
        """When the last movement was offered."""
        return self.start + (int(self.load.offsets[-1]) if len(self.load.offsets) else 0)

    def after_end(self, instant: int | None) -> int | None:
        """Return how long after the last movement an instant lies, microseconds, from 0."""
        return None if instant is None else max(0, instant - self.end)

    def note(self, newest: Sample, now: int) -> None:
        """Take in where the target stands after the last movement was offered."""
        taken = newest.received - self.received >= len(self.load.lines)
        if taken and self.drained is None:
            self.drained = now
        if self.drained is None or self.told is not None or newest.known_to < self.drained:
            return
        if not any(newest.by_rate.values()):
            self.told = now


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait after the last movement, microseconds: for movements, and for channels."""

    for_movements: int
    for_channels: int

    def is_over(self, played: Played, now: int) -> bool:
        """Whether there is nothing to wait for any more."""
        if played.drained is None:
            return now > played.end + self.for_movements
        return played.told is not None or now > played.end + self.for_channels


class Player:
    """Plays one load against a target that runs."""

    def __init__(self, target: Target, rules: RuleSet, faults: Sequence[Fault]) -> None:
        self._target = target
        self._kills = of_kind(faults, WORKER)
        self._channels = _throttled(rules, of_kind(faults, MARKETPLACE))
        self._restarts: list[tuple[int, int]] = []
        self._acts: list[tuple[int, Callable[[], None]]] = []

    def play(
        self, load: Load, chains: Mapping[Fault, list[str]], patience: Patience, tell: Tell
    ) -> Played:
        """Play the load to its end, and wait with patience until what waits is worked off.

        The target has ended then, whatever happens.

        Raises:
            RehearsalError: the engine or the generator failed.
        """
        try:
            return self._play(load, chains, patience, tell)
        finally:
            self._target.kill()

    def _play(
        self, load: Load, chains: Mapping[Fault, list[str]], patience: Patience, tell: Tell
    ) -> Played:
        first = self._target.newest()
        before = 0 if first is None else first.received
        watcher = Watcher(self._target.out)
        with tempfile.TemporaryDirectory(prefix="sellable-load-") as folder:
            start, feeder = self._feed(load, Path(folder))
            self._plan_acts(start)
            played = Played(
                load, start, before, watcher, [], chains, self._channels, 0, self._restarts
            )
            try:
                self._watch(played, patience, tell)
            finally:
                if feeder.poll() is None and wall() < played.end:
                    feeder.kill()
                said, _ = feeder.communicate()
            if feeder.returncode != 0:
                raise RehearsalError(f"the load generator failed\n{said.decode()}")
            played.late = int(said)
        self._target.stop()
        watcher.look()
        played.samples = self._target.samples()
        return played

    def _feed(self, load: Load, folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
        """Write down what is offered, and start the generator; returns when it begins."""
        lines, offsets = folder / "lines", folder / "offsets"
        start = wall() + round((LEAD_SECONDS + len(load.lines) / RENDERED_A_SECOND) * SECOND)
        with lines.open("wb") as file:
            for line in load.rendered(start):
                file.write(line.replace(b"\n", b" ") + b"\n")
        load.offsets.tofile(offsets)
        words = [sys.executable, "-m", "engine.rehearsal.feeder", str(lines), str(offsets)]
        words += [str(start), str(self._target.entrance), str(os.getpid())]
        return start, subprocess.Popen(words, stdout=subprocess.PIPE)

    def _watch(self, played: Played, patience: Patience, tell: Tell) -> None:
        told, end = 0.0, played.end
        while True:
            now = wall()
            played.watcher.look()
            while self._acts and self._acts[0][0] <= now:
                self._acts.pop(0)[1]()
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                newest = self._target.newest()
                tell(_standing(played, newest, now), _share(played.start, now, end))
                if now > end and not self._acts and newest is not None:
                    played.note(newest, now)
                if patience.is_over(played, now):
                    return
            time.sleep(LOOK_SECONDS)

    # --- faults --------------------------------------------------------------------------------

    def _plan_acts(self, start: int) -> None:
        acts: list[tuple[int, Callable[[], None]]] = []
        for fault in self._kills:
            acts.append((start + fault.start, partial(self._target.crash, fault.what)))
            acts.append((start + fault.end, self._start_again))
        for fault, channel in self._channels.items():
            throttle = partial(self._target.throttle, channel)
            acts.append((start + fault.start, partial(throttle, THROTTLED_TO)))
            acts.append((start + fault.end, partial(throttle, None)))
        self._acts = sorted(acts, key=lambda act: act[0])

    def _start_again(self) -> None:
        began = wall()
        self._target.start()
        self._restarts.append((began, wall()))


def _throttled(rules: RuleSet, faults: Sequence[Fault]) -> dict[Fault, str]:
    """Return the channel that each fault throttles: the first that is throttled anyhow."""
    names = [channel.name for channel in rules.channels]
    usual = [channel.name for channel in rules.channels if channel.publish.max_rate is not None]
    found = {}
    for fault in faults:
        channel = fault.what or (usual or names)[0]
        if channel not in names:
            raise UsageError(
                f"there is no channel {channel} to throttle",
                f"The channels are {', '.join(names)}.",
            )
        found[fault] = channel
    return found


def _share(start: int, now: int, end: int) -> float:
    return min(1.0, max(0.0, (now - start) / max(1, end - start)))


def _standing(played: Played, newest: Sample | None, now: int) -> str:
    if newest is None:
        return "the engine is down"
    offered = int((played.load.offsets <= now - played.start).sum())
    taken = newest.received - played.received
    held = sum(newest.pending.values())
    return f"{taken:,} movements, {max(0, offered - taken):,} wait, {held:,} keys held back"
