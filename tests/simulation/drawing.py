"""Drawing a story from a seed: rules, movements, what happens to them on their way, and faults."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.oracle import random_rules
from tests.oracle.instants import HOUR, MINUTE, SECOND
from tests.simulation.story import (
    AGAIN,
    CALM,
    CLOCK_JUMP,
    HELD_BACK,
    OFFSET_REWOUND,
    ORDERLESS,
    OVERTAKEN,
    RESENT,
    STRAIGHT,
    WILD,
    WRITE_FAULTS,
    Event,
    Fault,
    Line,
    NewRules,
    Order,
    Pace,
    Rules,
    Story,
)
from tests.simulation.streams import Timed, calm, orderless, wild

LINES = 70
FAULTS = 8  # at most
WRITES_BETWEEN_FAULTS = 30  # at most
LONGER_THAN_ANY_STORY = "90d"
LONG_DRAIN = "60d"  # longer than any promise of random rules makes a key wait
FAR_AHEAD = re.compile(rb'"occurred_at": "(2026-12|2027)')  # dated by a clock that is weeks ahead
ATTEMPTS = 300  # to find other rules under which every channel keeps its granularity

MAKERS: Mapping[str, Callable[[int, int, Sequence[str]], list[Timed]]] = {
    WILD: wild,
    CALM: calm,
    ORDERLESS: orderless,
}


def draw(seed: int, lines: int = LINES) -> Story:
    """Return the story of the seed: the same one every time."""
    chance = random.Random(seed)
    kind = chance.choice((WILD, WILD, CALM, ORDERLESS))
    clock = chance.choice(("event", "event", "wall"))
    rests = chance.random() < 0.7
    rules = _settled(random_rules(seed), kind, rests)
    timed = MAKERS[kind](seed, lines, list(rules["channels"]))
    ways = [way for way in WAYS if chance.random() < 0.4]
    events: list[Event] = list(delivered(timed, chance, ways))
    if chance.random() < 0.35:
        _change_rules(events, rules, kind, rests, chance)
    if chance.random() < 0.25:
        _place_orders(events, chance)
    turns = len(events) > sum(isinstance(event, Line) for event in events)
    from_files = clock == "event" and not turns and chance.random() < 0.4
    faults = [
        fault
        for fault in _faults(chance)
        if not (fault.kind == OFFSET_REWOUND and from_files)
        and not (fault.kind == CLOCK_JUMP and clock == "event")
    ]
    batch = chance.randint(1, 20)
    pace = Pace(batch, batch * chance.randint(1, 3), chance.randint(1, 5))
    return Story(
        seed=seed,
        kind=kind,
        clock=clock,
        rests=rests,
        from_files=from_files,
        small_memory=chance.random() < 0.3,
        rules=rules,
        events=tuple(events),
        faults=tuple(faults),
        pace=pace,
    )


# --- on the way --------------------------------------------------------------------------------


def delivered(timed: Sequence[Timed], chance: random.Random, ways: Iterable[str]) -> list[Line]:
    """Deliver what was sent, with some of what can go wrong between a source and the engine."""
    lines = [Line(text, number, at) for number, (at, text) in enumerate(timed)]
    for way in ways:
        # What is dated far ahead is never too old to be taken: told again after its identity may
        # be forgotten, nobody can say what becomes of it.
        dated = [line for line in lines if not FAR_AHEAD.search(line.text)]
        lines += WAYS[way](dated, chance)
    # A line that was moved is there twice by now: the later entry is where it ended up.
    last = {line.sent: line for line in lines if line.how in (STRAIGHT, OVERTAKEN, HELD_BACK)}
    copies = [line for line in lines if line.how in (AGAIN, RESENT)]
    return sorted([*last.values(), *copies], key=lambda line: (line.arrives, line.sent))


def _moved(line: Line, arrives: int, how: str) -> Line:
    return Line(line.text, line.sent, arrives, how)


def _stretch(lines: Sequence[Line], chance: random.Random, longest: int) -> Sequence[Line]:
    start = chance.randrange(len(lines))
    return lines[start : start + chance.randint(1, longest)]


def _held_back(lines: Sequence[Line], chance: random.Random) -> list[Line]:
    """Some sources are offline for a while; then all of theirs comes at once."""
    stretch = _stretch(lines, chance, 40)
    back = stretch[-1].arrives + chance.choice((0, SECOND, 20 * MINUTE, 2 * HOUR))
    return [_moved(line, back, HELD_BACK) for line in stretch if chance.random() < 0.4]


def _overtaken(lines: Sequence[Line], chance: random.Random) -> list[Line]:
    """Single lines come behind those that were sent after them."""
    found = [line for line in lines if chance.random() < 0.2]
    late = (SECOND // 2, SECOND, 10 * SECOND, 3 * MINUTE)
    return [_moved(line, line.arrives + chance.choice(late), OVERTAKEN) for line in found]


def _again(lines: Sequence[Line], chance: random.Random) -> list[Line]:
    found = [line for line in lines if chance.random() < 0.1]
    return [_moved(line, line.arrives + chance.choice((0, 1, SECOND)), AGAIN) for line in found]


def _resent(lines: Sequence[Line], chance: random.Random) -> list[Line]:
    """A source gets no answer and sends its last lines once more."""
    stretch = _stretch(lines, chance, 15)
    # Not all of the stretch need be in order of time: some were held back, or told twice.
    back = max(line.arrives for line in stretch) + chance.choice((SECOND, MINUTE, HOUR))
    return [_moved(line, back, RESENT) for line in stretch]


WAYS: Mapping[str, Callable[[Sequence[Line], random.Random], list[Line]]] = {
    HELD_BACK: _held_back,
    OVERTAKEN: _overtaken,
    AGAIN: _again,
    RESENT: _resent,
}


# --- turns -------------------------------------------------------------------------------------


def _settled(rules: dict[str, Any], kind: str, rests: bool) -> dict[str, Any]:
    """Let the end come to rest, and nothing be forgotten where the order must not matter."""
    settings = dict(rules["settings"])
    if rests:
        settings["drain"] = LONG_DRAIN
    if kind != WILD:
        for window in ("dedupe_window", "count_window", "reservation_window"):
            settings[window] = LONGER_THAN_ANY_STORY
    return {**rules, "settings": settings}


def _change_rules(
    events: list[Event], rules: Rules, kind: str, rests: bool, chance: random.Random
) -> None:
    wanted = {name: told["granularity"] for name, told in rules["channels"].items()}
    for _ in range(chance.choice((1, 1, 2))):
        other = _other_rules(wanted, chance)
        if other is not None:
            wanted |= {name: told["granularity"] for name, told in other["channels"].items()}
            place = chance.randint(1, len(events))
            events.insert(place, NewRules(_settled(other, kind, rests)))


def _other_rules(wanted: Mapping[str, str], chance: random.Random) -> dict[str, Any] | None:
    """Return rules under which every channel that is wanted has its granularity, if it is there."""
    first = chance.randrange(1 << 30)
    for number in range(first, first + ATTEMPTS):
        other = random_rules(number)
        found = {name: told["granularity"] for name, told in other["channels"].items()}
        if all(wanted.get(name, granularity) == granularity for name, granularity in found.items()):
            return other
    return None


def _place_orders(events: list[Event], chance: random.Random) -> None:
    exception = f"x-{chance.randint(1, 4):08d}"
    asked: Sequence[dict[str, Any]] = (
        {"order": "snapshot"},
        {"order": "snapshot"},
        {"order": "replay", "exception": exception, "accept_old": True},
        {"order": "replay", "exception": exception, "set": {"quantity": "3", "schema": ""}},
        {"order": "dismiss", "exception": exception, "reason": "seen to"},
    )
    for _ in range(chance.choice((1, 2))):
        events.insert(chance.randint(1, len(events)), Order(chance.choice(asked)))


# --- faults ------------------------------------------------------------------------------------


def _faults(chance: random.Random) -> list[Fault]:
    found = []
    at = 0
    for _ in range(chance.randint(0, FAULTS)):
        at += chance.randint(1, WRITES_BETWEEN_FAULTS)
        found.append(Fault(at, chance.choice(WRITE_FAULTS), chance.random()))
    return found
