"""From what was seen of a played load to figures."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from engine.rehearsal.delays import Told, by_second, delay_of
from engine.rehearsal.faults import ERP, Fault, of_kind
from engine.rehearsal.playing import Played
from engine.rehearsal.result import ChannelResult, EngineResult, ErpResult, Series
from engine.rehearsal.samples import Sample

SECOND: Final = 1_000_000  # microseconds
CPU_SECONDS: Final = 1.0  # the shortest time over which the share of a core is told


def seconds_of(played: Played) -> int:
    """Return how many seconds the series have: to the last sample."""
    end = max((sample.at for sample in played.samples), default=played.start)
    return max(1, -(-(end - played.start) // SECOND))


def waiting_peak(played: Played) -> int:
    """Return how many movements waited at once, at most: offered and not yet taken."""
    return max((_waiting(played, sample) for sample in played.samples), default=0)


def _waiting(played: Played, sample: Sample) -> int:
    offered = int(np.searchsorted(played.load.offsets, sample.at - played.start, side="right"))
    return max(0, offered - (sample.received - played.received))


def lost(played: Played) -> int:
    """Return how many movements that were offered the engine never told an outcome of."""
    taken = played.samples[-1].received - played.received if played.samples else 0
    return len(played.load.lines) - taken


def exceptions(played: Played) -> Counter[str]:
    """Return the exceptions of the load by code."""
    found = played.watcher.lines("exceptions")
    return Counter(record["code"] for seen, record in found if seen is not None)


def refused(played: Played) -> int:
    """Return how many movements of the load were refused."""
    found = played.watcher.lines("exceptions")
    return sum(seen is not None and told["outcome"] == "refused" for seen, told in found)


def rejected(played: Played) -> int:
    """Return how many reservations found no stock: oversells that did not happen."""
    found = played.watcher.lines("reservations.decisions")
    return sum(seen is not None and told["outcome"] == "rejected" for seen, told in found)


def channels(played: Played, told: dict[str, Told]) -> list[ChannelResult]:
    """Return what each channel came to."""
    names = dict.fromkeys(name for sample in played.samples for name in sample.pending)
    names |= dict.fromkeys(told)
    found = []
    for name in names:
        own = told.get(name, Told())
        pending = [sample.pending.get(name, 0) for sample in played.samples] or [0]
        by_rate = [sample.by_rate.get(name, 0) for sample in played.samples] or [0]
        found.append(
            ChannelResult(
                name=name,
                publications=own.publications,
                urgent=delay_of(own.urgent),
                all=delay_of(own.all),
                held_back_peak=max(pending),
                held_back_by_rate_peak=max(by_rate),
                held_back_at_end=pending[-1],
            )
        )
    return found


# --- the ERP -----------------------------------------------------------------------------------


class Erp:
    """An ERP that takes documents one after the other, and now and then is away."""

    def __init__(self, played: Played, faults: Sequence[Fault], rate: float) -> None:
        self.rate = rate
        self.lines = 0
        self.arrived: list[int] = []
        self.taken: list[int] = []
        away = [
            (played.start + fault.start, played.start + fault.end) for fault in of_kind(faults, ERP)
        ]
        free = played.start
        for seen, record in played.watcher.lines("erp.postings"):
            if seen is None:
                continue
            self.lines += len(record["lines"])
            self.arrived.append(seen)
            free = max(free, seen) + round(SECOND / rate)
            for begins, ends in away:
                if begins <= free < ends:
                    free = ends + round(SECOND / rate)
            self.taken.append(free)

    def waiting(self, at: int) -> int:
        """Return how many documents waited at an instant."""
        return bisect_right(self.arrived, at) - bisect_right(self.taken, at)

    def result(self, end: int) -> ErpResult:
        """Return what it came to."""
        return ErpResult(
            documents=len(self.arrived),
            lines=self.lines,
            waiting_peak=max((self.waiting(at) for at in self.arrived), default=0),
            waiting_at_end=self.waiting(end),
            documents_per_second=self.rate,
        )


# --- the engine --------------------------------------------------------------------------------


def engine(played: Played) -> EngineResult:
    """Return what the engine cost while the load was played."""
    own = [sample for sample in played.samples if sample.at >= played.start]
    shares = [share for _, share in _cpu_shares(own)]
    return EngineResult(
        cpu_mean=round(float(np.mean(shares)), 3) if shares else None,
        cpu_peak=round(max(shares), 3) if shares else None,
        memory_bytes=max((sample.memory for sample in played.samples), default=0),
        restarts=[round((ended - began) / SECOND, 3) for began, ended in played.restarts],
    )


def _cpu_shares(samples: Sequence[Sample]) -> list[tuple[int, float]]:
    """Return (instant, share of a core) about every second; a new process begins anew."""
    found = []
    since: Sample | None = None
    for before, sample in pairwise(samples):
        if since is None or sample.cpu < before.cpu:
            since = sample if sample.cpu < before.cpu else before
        passed = (sample.at - since.at) / SECOND
        if passed >= CPU_SECONDS:
            found.append((sample.at, (sample.cpu - since.cpu) / passed))
            since = sample
    return found


# --- series ------------------------------------------------------------------------------------


def series(played: Played, told: dict[str, Told], erp: Erp) -> Series:
    """Return what is drawn."""
    seconds = seconds_of(played)
    ends = [played.start + (second + 1) * SECOND for second in range(seconds)]
    urgent = [pair for each in told.values() for pair in each.urgent]
    at_end = [_sample_at(played.samples, end) for end in ends]
    taken = [0 if each is None else each.received - played.received for each in at_end]
    offered = np.searchsorted(
        played.load.offsets, np.array(ends, dtype=np.int64) - played.start
    ).tolist()
    shares = _cpu_shares(played.samples)
    names = dict.fromkeys(name for sample in played.samples for name in sample.pending)
    return Series(
        offered=_differences(offered),
        taken=_differences(taken),
        waiting=[max(0, given - done) for given, done in zip(offered, taken, strict=True)],
        urgent_p50=by_second(urgent, played.start, seconds, 0.5),
        urgent_p99=by_second(urgent, played.start, seconds, 0.99),
        held_back={
            name: [0 if each is None else each.pending.get(name, 0) for each in at_end]
            for name in names
        },
        erp_waiting=[erp.waiting(end) for end in ends],
        cpu=[_share_at(shares, end) for end in ends],
    )


def _differences(totals: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise([0, *totals])]


def _sample_at(samples: Sequence[Sample], at: int) -> Sample | None:
    place = bisect_right(samples, at, key=lambda sample: sample.at)
    return samples[place - 1] if place else None


def _share_at(shares: Sequence[tuple[int, float]], at: int) -> float:
    place = bisect_right(shares, at, key=lambda pair: pair[0])
    return round(shares[place - 1][1], 3) if place else 0.0
