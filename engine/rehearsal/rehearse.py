"""A rehearsal from its plan to its result."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from engine import __version__
from engine.contracts.errors import UsageError
from engine.contracts.instants import format_duration, format_instant, parse_duration
from engine.rehearsal import limits as names
from engine.rehearsal import measuring
from engine.rehearsal.delays import Offered, Told, delay_of, told_by_channel
from engine.rehearsal.embedded_target import EmbeddedTargets
from engine.rehearsal.faults import WORKER, Fault, of_kind
from engine.rehearsal.generated import Generator
from engine.rehearsal.headroom import search
from engine.rehearsal.kafka_target import KafkaTargets
from engine.rehearsal.limits import judge
from engine.rehearsal.lines import look, occurred_at, shifted
from engine.rehearsal.load import (
    SECOND,
    Load,
    Source,
    shift_before,
    shift_to,
    with_tills_offline,
)
from engine.rehearsal.plan import Plan
from engine.rehearsal.playing import Patience, Played, Player, Tell, wall
from engine.rehearsal.recording import Recording
from engine.rehearsal.result import FaultResult, Headroom, Result, Trial
from engine.rehearsal.result import Played as PlayedResult
from engine.rehearsal.target import Target, Targets
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet

ENGINE: Final = "engine"  # the folder of the engine that is rehearsed
DAY: Final = 86_400 * SECOND
TRIAL: Final = 6 * SECOND  # how long the load of one try of the search for headroom lasts, at most
TRIAL_PATIENCE: Final = Patience(3 * SECOND, 0)
CHANNELS: Final = 20 * SECOND  # what is waited for channels at the end when no limit is stated
GRACE: Final = 5 * SECOND  # beyond a limit, so that the report can tell by how much it is missed
WINDOWS_IN_A_LOAD: Final = 6  # ERP windows that a load should see
LATE: Final = SECOND // 2  # a generator that is later than this has not offered the load


class Rehearsal:
    """Carries out a plan in a folder; `tell` is told what is done, and how far it is.

    Raises:
        UsageError: rules, movements, faults or limits cannot be used.
        RehearsalError: an engine or the load generator failed.
    """

    def __init__(self, plan: Plan, folder: Path, tell: Tell) -> None:
        self._tell = tell
        self._folder = folder
        self._overrides = _with_short_windows(plan)
        self._rules: RuleSet = load_rules(plan.rules, self._overrides)
        self._plan = plan
        self._source = _source(plan, self._rules, tell)
        self._targets = self._make_targets()
        _check_parts(plan.faults, self._targets)

    def run(self) -> Result:
        """Rehearse, and return what was found."""
        began = time.monotonic()
        begun_at = wall()
        plan, source = self._plan, self._source
        load, chains = with_tills_offline(source.load(plan.factor, plan.duration), plan.faults)
        self._tell("taking what came before", 0.0)
        target = self._targets.fresh(self._folder / ENGINE)
        try:
            player = Player(target, self._rules, plan.faults)
            self._tell("starting the engine", 0.0)
            target.start()
            played = player.play(load, chains, self._patience(), self._tell)
        finally:
            target.discard()
        self._tell("reading what the engine wrote", 1.0)
        told = told_by_channel(played.watcher, Offered(load, played.start))
        cost = measuring.engine(played)
        found = self._search(cost.cpu_mean) if plan.seeks_headroom else None
        return self._result(played, told, found, begun_at, time.monotonic() - began)

    def _patience(self) -> Patience:
        """Wait for what is stated, and a little longer; the defaults of limits are there always."""
        limits = self._plan.limits
        for_movements = round(limits.get(names.DRAIN, names.BY_NAME[names.DRAIN].default or 0))
        for_channels = round(limits.get(names.CHANNEL_DRAIN, CHANNELS))
        return Patience(for_movements + GRACE, for_channels + GRACE)

    # --- steps ---------------------------------------------------------------------------------

    def _make_targets(self) -> Targets:
        plan = self._plan
        if plan.kafka is None:
            folder = self._folder / "warmed"
            return EmbeddedTargets(folder, plan.rules, self._overrides, self._a_day_ago)
        channels = [channel.name for channel in self._rules.channels]
        return KafkaTargets(plan.kafka, plan.rules, channels, self._overrides, self._just_now)

    def _a_day_ago(self) -> Iterable[bytes]:
        """What came before, as of a day ago: an event clock takes it."""
        source = self._source
        shift = shift_to(source.origin, wall() - DAY, self._plan.factor)
        return (shifted(line, shift) for line in source.warm_up())

    def _just_now(self) -> Iterable[bytes]:
        """What came before, close together before now: the clock of the wall takes it."""
        source = self._source
        times = (occurred_at(look(line)) for line in source.warm_up())
        first = min((at for at in times if at is not None), default=source.origin)
        shift = shift_before(source.origin, first, wall(), self._plan.factor)
        return (shifted(line, shift) for line in source.warm_up())

    def _search(self, cpu: float | None) -> Headroom:
        """Try multiples of the load, each where only what came before it was taken."""
        number = 0

        def trial_of(times: float) -> Trial:
            nonlocal number
            number += 1
            self._tell(f"trying {times:.3g} times the load", 0.0)
            target = self._targets.fresh(self._folder / f"trial-{number}")
            try:
                return self._try(target, times)
            finally:
                target.discard()
                shutil.rmtree(self._folder / f"trial-{number}", ignore_errors=True)

        return search(trial_of, cpu)

    def _try(self, target: Target, times: float) -> Trial:
        plan = self._plan
        duration = min(TRIAL, plan.duration)
        load = self._source.load(plan.factor * times, duration)
        target.start()
        player = Player(target, self._rules, ())

        def tell(text: str, share: float) -> None:
            self._tell(f"trying {times:.3g} times the load: {text}", share)

        played = player.play(load, {}, TRIAL_PATIENCE, tell)
        told = told_by_channel(played.watcher, Offered(load, played.start))
        urgent = delay_of([pair for each in told.values() for pair in each.urgent])
        why = self._why_not(played, load, told)
        drained = played.after_end(played.drained)
        return Trial(
            times=round(times, 2),
            movements_per_second=round(len(load.lines) / (duration / SECOND), 1),
            urgent_p99=urgent.p99,
            drain=None if drained is None else round(drained / SECOND, 3),
            holds=not why,
            why=why,
        )

    def _why_not(self, played: Played, load: Load, told: Mapping[str, Told]) -> str:
        """Return why a try does not hold; nothing when it does."""
        if played.late > LATE:
            return "the load generator could not offer so many"
        if not load.whole:
            return "the recording holds no more"
        if played.drained is None:
            return "the engine fell behind"
        most = self._plan.limits.get(names.URGENT_P99)
        urgent = delay_of([pair for each in told.values() for pair in each.urgent])
        if most is None or urgent.p99 is None or urgent.p99 * SECOND <= most:
            return ""
        delays = {name: delay_of(each.urgent).p99 or 0.0 for name, each in told.items()}
        slowest = max(delays, key=lambda name: delays[name])
        return f"urgent publications on {slowest} took {delays[slowest]:.1f} s"

    # --- the result ----------------------------------------------------------------------------

    def _result(
        self,
        played: Played,
        told: Mapping[str, Told],
        headroom: Headroom | None,
        begun_at: int,
        seconds: float,
    ) -> Result:
        plan = self._plan
        urgent = delay_of([pair for each in told.values() for pair in each.urgent])
        untold = delay_of([pair for each in told.values() for pair in each.untold])
        erp = measuring.Erp(played, plan.faults, plan.erp_rate)
        codes = measuring.exceptions(played)
        end = played.start + measuring.seconds_of(played) * SECOND
        figures: dict[str, float | None] = {
            names.URGENT_P50: _us(urgent.p50),
            names.URGENT_P99: _us(urgent.p99),
            names.URGENT_MAX: _us(urgent.max),
            names.URGENT_UNTOLD: _us(untold.p99),
            names.BACKLOG: measuring.waiting_peak(played),
            names.DRAIN: _waited(played, played.drained),
            names.CHANNEL_DRAIN: _waited(played, played.told),
            names.LOST: measuring.lost(played),
            names.OVERSELLS: codes["oversold"],
            names.REFUSED: measuring.refused(played),
            names.ERP_BACKLOG: erp.result(end).waiting_peak,
            names.HEADROOM: None if headroom is None else headroom.times,
        }
        judgements = judge(figures, plan.limits)
        return Result(
            holds=all(each.holds is not False for each in judgements),
            judgements=judgements,
            load=self._load_result(played),
            faults=[_fault_result(played, fault) for fault in plan.faults],
            channels=measuring.channels(played, dict(told)),
            urgent=urgent,
            publications=delay_of([pair for each in told.values() for pair in each.all]),
            exceptions=dict(sorted(codes.items())),
            rejected=measuring.rejected(played),
            erp=erp.result(end),
            engine=measuring.engine(played),
            headroom=headroom,
            notes=self._notes(played),
            series=measuring.series(played, dict(told), erp),
            rules=str(plan.rules),
            runtime=self._targets.runtime,
            begun_at=format_instant(begun_at - begun_at % SECOND),
            seconds=round(seconds, 1),
            machine=_machine(),
            version=__version__,
        )

    def _load_result(self, played: Played) -> PlayedResult:
        load = played.load
        seconds = _seconds(load)
        return PlayedResult(
            source=self._source.name,
            factor=self._plan.factor,
            movements=len(load.lines),
            seconds=round(seconds, 1),
            movements_per_second=round(len(load.lines) / seconds, 1) if seconds else 0.0,
            busiest_second=load.peak,
            whole=load.whole,
            generator_late=round(played.late / SECOND, 3),
        )

    def _notes(self, played: Played) -> list[str]:
        notes = []
        if played.late > LATE:
            notes.append(
                f"The load generator was itself up to {played.late / SECOND:.1f} s late, and every "
                "delay counts that: they are shorter on a machine that can offer such a load "
                "beside the engine."
            )
        if not played.load.whole:
            notes.append("The recording ended before the load did: it was played to its end.")
        if played.drained is None:
            notes.append("The engine had not taken all movements when the rehearsal ended.")
        elif played.told is None:
            notes.append("Some channels were still behind their rates when the rehearsal ended.")
        window = self._overrides.get("erp.window")
        if window is not None and "erp.window" not in self._plan.overrides:
            notes.append(
                f"ERP windows were shortened to {window}, so that the load sees some of them."
            )
        return notes


def rehearse(plan: Plan, keep: Path | None, tell: Tell) -> Result:
    """Carry out a plan; `keep` is a folder that the engine's data and outputs are kept in.

    Raises:
        UsageError: rules, movements, faults or limits cannot be used.
        RehearsalError: an engine or the load generator failed.
    """
    with tempfile.TemporaryDirectory(prefix="sellable-rehearsal-") as temporary:
        folder = Path(temporary)
        result = Rehearsal(plan, folder, tell).run()
        if keep is not None:
            shutil.copytree(folder / ENGINE, keep, dirs_exist_ok=True)
    return result


def _check_parts(faults: Iterable[Fault], targets: Targets) -> None:
    """Check that there is whatever is to be killed by name."""
    for fault in of_kind(faults, WORKER):
        if fault.what is not None and fault.what not in targets.parts:
            raise UsageError(
                f"there is no {fault.what} to be killed",
                f"Name one of {', '.join(targets.parts)}, or none."
                if targets.parts
                else "The embedded engine is one process: give --fault worker, without a name.",
            )


def _source(plan: Plan, rules: RuleSet, tell: Tell) -> Source:
    if plan.movements:
        tell("reading the recording", 0.0)
        return Recording(plan.movements, plan.factor, plan.duration)
    return Generator(rules, plan.rate, plan.skus, plan.factor, plan.seed)


def _with_short_windows(plan: Plan) -> dict[str, str]:
    """Return the settings to run with: ERP windows so short that the load sees some."""
    settings = load_rules(plan.rules, plan.overrides).settings
    wanted = max(SECOND, plan.duration // WINDOWS_IN_A_LOAD)
    wanted -= wanted % SECOND
    overrides = dict(plan.overrides)
    if settings.erp_window > wanted and "erp.window" not in overrides:
        overrides["erp.window"] = format_duration(wanted)
        assert parse_duration(overrides["erp.window"]) == wanted
    return overrides


def _seconds(load: Load) -> float:
    return float(load.offsets[-1]) / SECOND if len(load.offsets) else 0.0


def _waited(played: Played, instant: int | None) -> int | None:
    """Return how long it took after the last movement; at least so long when it did not happen."""
    last = played.samples[-1].at if played.samples else played.end
    return played.after_end(last if instant is None else instant)


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * SECOND


def _fault_result(played: Played, fault: Fault) -> FaultResult:
    chain, channel = played.chains.get(fault), played.channels.get(fault)
    what = channel or (f"{len(chain)} sources: {', '.join(chain[:5])}" if chain else None)
    return FaultResult(
        kind=fault.kind,
        says=fault.told(what),
        start=fault.start / SECOND,
        end=fault.end / SECOND,
    )


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
