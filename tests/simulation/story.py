"""A story: everything that happens in one simulation, as data that can be cut shorter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Rules = Mapping[str, Any]

WILD = "wild"  # whatever may come in
CALM = "calm"  # nothing adverse: what was promised stays there
ORDERLESS = "orderless"  # movements that end in the same state in any order

CRASH_BEFORE = "crash before the write"
TORN = "crash in the middle of the write"
CRASH_AFTER = "crash after the write"
LOST_ACKNOWLEDGEMENT = "error though it was written"
DISK_FULL = "disk full"
FLIPPED_BIT = "flipped bit in stored state"
OFFSET_REWOUND = "offset rewound"
CLOCK_JUMP = "wall clock jumps"
WRITE_FAULTS = (
    CRASH_BEFORE,
    TORN,
    CRASH_AFTER,
    LOST_ACKNOWLEDGEMENT,
    DISK_FULL,
    FLIPPED_BIT,
    OFFSET_REWOUND,
    CLOCK_JUMP,
)

STRAIGHT = ""
AGAIN = "delivered twice"
RESENT = "sent again, the answer was lost"
OVERTAKEN = "overtaken"
HELD_BACK = "held back, then all at once"
DELIVERY_FAULTS = (AGAIN, RESENT, OVERTAKEN, HELD_BACK)
RULES_CHANGE = "rules changed in mid-stream"


@dataclass(frozen=True)
class Line:
    """A line as it is delivered.

    `sent` is its place among all that the sources sent, in order of time; `arrives` an instant;
    `how` tells what happened to it on its way.
    """

    text: bytes
    sent: int
    arrives: int
    how: str = STRAIGHT


@dataclass(frozen=True)
class NewRules:
    """From here on the rules folder holds these."""

    rules: Rules


@dataclass(frozen=True)
class Order:
    """Somebody asks the running engine for something."""

    asked: Mapping[str, Any]


Event = Line | NewRules | Order


@dataclass(frozen=True)
class Fault:
    """What happens at a write.

    `at` counts the writes of all lives from 1; `place`, from 0 to 1, says where it strikes: in the
    bytes that are written, among the stored records, or how far an offset or a clock moves.
    """

    at: int
    kind: str
    place: float


@dataclass(frozen=True)
class Pace:
    """How many lines are taken at a time and committed at a time, and ticks between commits."""

    batch: int = 10_000
    commit: int = 10_000
    drain: int = 500


WHOLE = Pace()


@dataclass(frozen=True)
class Story:
    """One simulation.

    `rests` tells that the end leaves nothing pending, `from_files` that the lines come from real
    files, `small_memory` that the engine keeps next to nothing in memory.
    """

    seed: int
    kind: str
    clock: str
    rests: bool
    from_files: bool
    small_memory: bool
    rules: Rules
    events: tuple[Event, ...]
    faults: tuple[Fault, ...]
    pace: Pace

    @property
    def lines(self) -> list[Line]:
        """The lines, in the order in which they are delivered."""
        return [event for event in self.events if isinstance(event, Line)]

    @property
    def has_turns(self) -> bool:
        """Whether something but movements bears on the outputs, at a moment of its own."""
        return len(self.lines) < len(self.events)
