"""A load: which lines are offered when, and what has to be there before."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contracts.errors import UsageError
from engine.rehearsal.faults import TILL_CHAIN, Fault, of_kind
from engine.rehearsal.lines import Shift, look, shifted

SECOND: Final = 1_000_000  # microseconds
BEFORE: Final = 3_600 * SECOND  # what came before is dated back no further, by the wall clock
CHAIN_SHARE: Final = 0.3  # of the sales at tills, that go offline when no source is named

Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class Load:
    """Lines, and when each is offered, microseconds from the start, in that order.

    The lines say their times as they were recorded. `origin` is the recorded instant of the start;
    `factor` is by how much recorded time passes faster. `whole` tells that the source had lines
    for all of the time that was asked for.
    """

    lines: Sequence[bytes]
    offsets: Offsets
    origin: int
    factor: float
    whole: bool = True

    @property
    def peak(self) -> float:
        """Movements in the busiest second."""
        if not len(self.offsets):
            return 0.0
        return float(np.bincount(self.offsets // SECOND).max())

    def rendered(self, start: int) -> Iterator[bytes]:
        """Yield the lines with their times moved so that the origin is at `start`."""
        shift = shift_to(self.origin, start, self.factor)
        return (shifted(line, shift) for line in self.lines)


class Source(Protocol):
    """Where loads come from."""

    @property
    def name(self) -> str:
        """What it is, for the report."""
        ...

    @property
    def origin(self) -> int:
        """The recorded instant at which every load of it starts."""
        ...

    def warm_up(self) -> Iterator[bytes]:
        """Yield the lines that came before, as recorded, in order."""
        ...

    def load(self, factor: float, duration: int) -> Load:
        """Return a load of so many times the recorded rate, lasting so many microseconds."""
        ...


def shift_to(origin: int, start: int, factor: float) -> Shift:
    """Return what moves a recorded instant so that `origin` is at `start`, time compressed."""
    return lambda instant: start + round((instant - origin) / factor)


def shift_before(origin: int, first: int, start: int, factor: float) -> Shift:
    """Return what moves instants before `origin` into the time just before `start`.

    Recorded time from `first` on passes so fast that nothing is dated further back than `BEFORE`;
    what is after the origin (an expiry) passes at the factor.
    """
    fast = max(factor, (origin - first) / BEFORE)

    def shift(instant: int) -> int:
        return start + round((instant - origin) / (factor if instant > origin else fast))

    return shift


def with_tills_offline(load: Load, faults: Sequence[Fault]) -> tuple[Load, dict[Fault, list[str]]]:
    """Hold back what tills tell while they are offline; return the sources of each fault, too.

    Raises:
        UsageError: no source of the load has such a name, or none tells sales.
    """
    chains: dict[Fault, list[str]] = {}
    offsets = load.offsets.copy()
    offline = of_kind(faults, TILL_CHAIN)
    if not offline:
        return load, chains
    seen = [look(line) for line in load.lines]
    sold = Counter(each.source for each in seen if each.type == "sale")
    sources = np.array([each.source for each in seen], dtype=object)
    for fault in offline:
        chain = chains[fault] = _chain(fault, sold, {each.source for each in seen})
        held = np.isin(sources, chain) & (offsets >= fault.start) & (offsets < fault.end)
        offsets[held] = fault.end
    order = np.argsort(offsets, kind="stable")
    lines = [load.lines[place] for place in order.tolist()]
    return Load(lines, offsets[order], load.origin, load.factor, load.whole), chains


def _chain(fault: Fault, sold: Counter[str], sources: set[str]) -> list[str]:
    if fault.what is not None:
        chain = sorted(fnmatch.filter((name for name in sources if name), fault.what))
        if not chain:
            raise UsageError(
                f"no source of the load is named {fault.what}",
                "Name one as it stands in the movements, or a pattern such as till-chain=pos-*.",
            )
        return chain
    chain, share = [], 0
    for name, count in sold.most_common():
        if share >= CHAIN_SHARE * sold.total():
            break
        chain.append(name)
        share += count
    if not chain:
        raise UsageError(
            "no source of the load tells sales, so there is no till to go offline",
            "Name the sources that go offline, such as till-chain=wms-*.",
        )
    return sorted(chain)
