"""What may go wrong during a rehearsal, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.contracts.errors import UsageError
from engine.contracts.instants import format_duration, parse_duration

TILL_CHAIN: Final = "till-chain"
MARKETPLACE: Final = "marketplace"
WORKER: Final = "worker"
ERP: Final = "erp"

SAYS: Final = {
    TILL_CHAIN: "tills offline, then all of theirs at once",
    MARKETPLACE: "a marketplace throttles",
    WORKER: "the engine's process killed and started again",
    ERP: "the ERP away",
}

SECOND: Final = 1_000_000  # microseconds
DOWN: Final = SECOND  # for how long a killed engine stays down when nothing is said
PART_OF_THE_LOAD: Final = 3  # a fault begins after a third of the load, and lasts another third

_FAULT: Final = re.compile(r"(?P<kind>[a-z-]+)(=(?P<what>[^@]+))?(@(?P<at>[^+]+)(\+(?P<for>.+))?)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `start` and `length` are microseconds of the played load.

    `what` is the sources that go offline (a shell pattern), the channel that throttles, or the part
    that is killed; None leaves the choice to the rehearsal.
    """

    kind: str
    start: int
    length: int
    what: str | None = None

    @property
    def end(self) -> int:
        """When it is over."""
        return self.start + self.length

    def told(self, what: str | None = None) -> str:
        """Return the fault in words."""
        of = what or self.what
        named = f" ({of})" if of else ""
        at, lasts = format_duration(self.start), format_duration(self.length)
        return f"{SAYS[self.kind]}{named}, from {at} on for {lasts}"


def parse_fault(text: str, duration: int) -> Fault:
    """Return the fault that a text such as `till-chain=pos-*@20s+15s` names.

    Only the kind must be given. `duration` is how long the load lasts, microseconds.

    Raises:
        UsageError: the text is no such fault, or it would begin after the end of the load.
    """
    match = _FAULT.fullmatch(text)
    if match is None or match["kind"] not in SAYS:
        raise _wrong(text)
    kind = match["kind"]
    if match["what"] and kind == ERP:
        raise _wrong(text)
    start = _time(text, match["at"]) if match["at"] else _whole(duration // PART_OF_THE_LOAD)
    usual = DOWN if kind == WORKER else max(SECOND, _whole(duration // PART_OF_THE_LOAD))
    length = _time(text, match["for"]) if match["for"] else usual
    if start >= duration:
        raise UsageError(
            f"the fault {text} begins after the load has ended, which lasts "
            f"{format_duration(duration)}",
            "Let it begin earlier, or give a longer --duration.",
        )
    return Fault(kind, start, length, match["what"])


def of_kind(faults: Iterable[Fault], kind: str) -> list[Fault]:
    """Return the faults of one kind, in order of their start."""
    return sorted((fault for fault in faults if fault.kind == kind), key=lambda each: each.start)


def _time(fault: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"the fault {fault} has no time: {error}", _ADVICE) from error


def _whole(duration: int) -> int:
    """Round down to tenths of a second, so that times read well."""
    return duration - duration % (SECOND // 10)


def _wrong(text: str) -> UsageError:
    return UsageError(f"there is no fault {text!r}", _ADVICE)


_ADVICE: Final = (
    "Faults are till-chain, marketplace, worker and erp; say more with KIND=WHAT@START+LENGTH, "
    "such as till-chain=pos-*@20s+15s, marketplace=amazon-us@10s+30s, worker@40s or erp@0s+45s."
)
