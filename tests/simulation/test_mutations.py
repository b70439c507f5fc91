"""Every invariant and every kind of fault can fail: what is broken on purpose is noticed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from engine.contracts import records
from tests.simulation import breaking
from tests.simulation.check import ENDS, HALTS, NEVER_BREAKS, Failure, play
from tests.simulation.drawing import LINES, MAKERS, delivered, draw
from tests.simulation.endings import AT_THE_END
from tests.simulation.invariants import AFTER_EVERY_STEP
from tests.simulation.story import (
    AGAIN,
    CLOCK_JUMP,
    CRASH_AFTER,
    CRASH_BEFORE,
    DELIVERY_FAULTS,
    DISK_FULL,
    FLIPPED_BIT,
    HELD_BACK,
    LOST_ACKNOWLEDGEMENT,
    OFFSET_REWOUND,
    ORDERLESS,
    OVERTAKEN,
    RESENT,
    RULES_CHANGE,
    TORN,
    WRITE_FAULTS,
    Event,
    Fault,
    NewRules,
    Order,
    Story,
)

Broken = Callable[[], AbstractContextManager[None]]

MOST_STORIES = 60  # played until the mutation is noticed

BY_INVARIANT: dict[str, Broken] = {
    "rebuild from the log gives the same bytes": lambda: breaking.forgets(records.SKU),
    "versions increase": lambda: breaking.tells_twice("availability."),
    "no oversell among strict reservations": breaking.takes_every_reservation,
    "reserved is the sum of the open reservations": lambda: breaking.forgets(records.RESERVATION),
    "a reservation resolves once": lambda: breaking.swallows("reservations.decisions"),
    "every movement has one outcome": lambda: breaking.swallows("exceptions"),
    "postings have no gaps": lambda: breaking.swallows("erp.postings"),
    "snapshots are whole": lambda: breaking.swallows("reconciliation.snapshots"),
    "the clock never goes back": breaking.brings_back_an_older_record,
    "publication equals computation": lambda: breaking.works_with_other_rules(buffer=None),
    "replay changes nothing": lambda: breaking.drops(records.IDENTITY_RECENT),
    "conservation": lambda: breaking.forgets(records.KEY),
    "at rest everything was told": breaking.never_drains,
    "limits are kept": lambda: breaking.works_with_other_rules(min_interval=None),
    "other cuts give the same bytes": breaking.posts_with_every_commit,
    "no fault leaves a trace": breaking.forgets_positions,
    "the order does not matter": breaking.goes_by_the_order_of_arrival,
    "a start without input changes nothing": breaking.forgets_positions,
    "all told again changes nothing": lambda: breaking.drops(records.IDENTITY_RECENT),
    HALTS: breaking.answers_orders_with_every_error,
    NEVER_BREAKS: breaking.breaks_in_the_middle,
}

# What is broken so that nothing but the one kind of fault brings it to light.
BY_FAULT: dict[str, Broken] = {
    CRASH_BEFORE: breaking.commits_positions_first,
    TORN: breaking.leaves_what_was_half_written,
    CRASH_AFTER: breaking.commits_positions_later,
    LOST_ACKNOWLEDGEMENT: breaking.tries_a_failed_commit_again,
    DISK_FULL: breaking.goes_on_with_a_full_disk,
    FLIPPED_BIT: breaking.reads_without_checksums,
    OFFSET_REWOUND: breaking.forgets_identities_at_the_start,
    CLOCK_JUMP: breaking.follows_a_clock_that_goes_back,
    AGAIN: breaking.knows_no_duplicate,
    RESENT: breaking.knows_no_duplicate,
    OVERTAKEN: breaking.goes_by_the_order_of_arrival,
    HELD_BACK: breaking.goes_by_the_order_of_arrival,
    RULES_CHANGE: breaking.leaves_rules_as_they_are,
}
NOTHING = "nothing"

# These know a movement again only by its identity, and start on the store after every step: the
# broken memory would be noticed without an offset that goes back.
WITHOUT_THE_FAULT = frozenset({"replay changes nothing", "all told again changes nothing"})


def test_there_is_a_mutation_for_every_invariant_and_every_kind_of_fault() -> None:
    """A new one needs its proof."""
    assert BY_INVARIANT.keys() | {ENDS} == {
        *AFTER_EVERY_STEP,
        *AT_THE_END,
        HALTS,
        NEVER_BREAKS,
        ENDS,
    }
    assert BY_FAULT.keys() == {*WRITE_FAULTS, *DELIVERY_FAULTS, RULES_CHANGE}


@pytest.mark.parametrize("invariant", BY_INVARIANT)
def test_each_invariant_notices_by_itself_what_it_is_there_for(
    invariant: str, tmp_path: Path
) -> None:
    """No other invariant is asked."""
    steps = {name: AFTER_EVERY_STEP[name] for name in {invariant} & AFTER_EVERY_STEP.keys()}
    endings = {name: AT_THE_END[name] for name in {invariant} & AT_THE_END.keys()}
    with BY_INVARIANT[invariant]():
        for seed in range(MOST_STORIES):
            failure = play(draw(seed), tmp_path / str(seed), steps, endings).failure
            if failure is not None and failure.invariant == invariant:
                return
    pytest.fail(f"nothing noticed in {MOST_STORIES} stories")


def test_an_engine_that_never_comes_to_its_end_is_noticed(tmp_path: Path) -> None:
    """It is not started for ever: here every write crashes, more often than anybody would try."""
    faults = tuple(Fault(write, CRASH_BEFORE, 0.0) for write in range(1, 1_000))
    story = dataclasses.replace(draw(1), faults=faults)
    failure = play(story, tmp_path).failure
    assert failure is not None
    assert failure.invariant == ENDS


def only(story: Story, kind: str) -> Story:
    """A story in which everything goes well but for one kind of fault, which strikes often."""
    timed = MAKERS[story.kind](story.seed, LINES, list(story.rules["channels"]))
    ways = {kind} & set(DELIVERY_FAULTS)
    events: list[Event] = [*delivered(timed, random.Random(story.seed), ways)]
    if kind == RULES_CHANGE:
        events[LINES // 2 : LINES // 2] = [e for e in story.events if isinstance(e, NewRules)][:1]
    writes = range(4, 80, 9) if kind in WRITE_FAULTS else ()
    faults = tuple(Fault(write, kind, write * 0.37 % 1) for write in writes)
    return dataclasses.replace(story, events=tuple(events), faults=faults, small_memory=False)


def stories_with(kind: str) -> Iterator[Story]:
    """Stories in which the kind of fault strikes, and nothing else happens."""
    for seed in range(MOST_STORIES):
        story = draw(seed)
        if kind == CLOCK_JUMP and story.clock != "wall":
            continue
        if kind in (OFFSET_REWOUND, RULES_CHANGE) and story.from_files:
            continue
        if kind in DELIVERY_FAULTS and story.kind != ORDERLESS:
            continue
        yield only(story, kind)


def first_failure(stories: Iterator[Story], folder: Path) -> Failure | None:
    """What is noticed first."""
    steps = {k: v for k, v in AFTER_EVERY_STEP.items() if k not in WITHOUT_THE_FAULT}
    endings = {k: v for k, v in AT_THE_END.items() if k not in WITHOUT_THE_FAULT}
    for number, story in enumerate(stories):
        failure = play(story, folder / str(number), steps, endings).failure
        if failure is not None:
            return failure
    return None


@pytest.mark.parametrize("kind", BY_FAULT)
def test_each_kind_of_fault_brings_to_light_what_nothing_else_would(
    kind: str, tmp_path: Path
) -> None:
    """The same broken engine passes the same stories as long as the fault does not strike."""
    with BY_FAULT[kind]():
        struck = list(stories_with(kind))
        quiet = [only(dataclasses.replace(story, faults=()), NOTHING) for story in struck[:4]]
        assert first_failure(iter(quiet), tmp_path / "quiet") is None
        assert first_failure(iter(struck), tmp_path / "struck") is not None


def test_an_order_that_fails_with_the_disk_is_part_of_the_stories() -> None:
    """What `halts` stands for: somebody asks for a snapshot while there is no room for it."""
    drawn = [draw(seed) for seed in range(MOST_STORIES)]
    assert any(isinstance(event, Order) for story in drawn for event in story.events)
