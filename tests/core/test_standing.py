"""What an engine tells of where it stands: backlogs, exceptions, since when keys differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.availability import Availability
from engine.contracts.instants import SECOND, parse_instant
from engine.core.dead_letters import DeadLetter, Wanted, exception_name
from engine.core.engine import Engine
from engine.embedded.view import View
from engine.rules.loader import load_rules
from engine.rules.relaying import relaying
from engine.stores.memory import MemoryStore
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line

NOON = parse_instant("2026-11-20T12:00:00Z")


def run_of(folder: Path, *story: str) -> EngineRun:
    channels = {"web": {"publish": {"min_interval": "1h"}}}
    run = EngineRun(rules_folder({"channels": channels}, folder))
    for text in story:
        run.feed_all([movement_line(text, run.taken)])
    return run


def test_a_backlog_tells_how_many_keys_wait_and_since_when(tmp_path: Path) -> None:
    """A first value is told at once; the next one waits for its interval."""
    run = run_of(
        tmp_path, "12:00:00 receipt A@L 10", "12:00:05 sale A@L 1", "12:00:08 expect B@L 1"
    )
    (backlog,) = run.engine.backlogs()
    assert (backlog.channel.name, backlog.pending) == ("web", 1)
    assert backlog.oldest_since == NOON + 5 * SECOND


def test_what_is_held_back_is_counted_by_channel(tmp_path: Path) -> None:
    """An interval holds this one back, and not the channel's rate, as it has none."""
    run = run_of(
        tmp_path, "12:00:00 receipt A@L 10", "12:00:05 sale A@L 1", "12:00:08 expect B@L 1"
    )
    (held_back,) = run.engine.held_back()
    assert (held_back.channel.name, held_back.pending, held_back.by_rate) == ("web", 1, 0)


def letter_of(run: EngineRun) -> DeadLetter:
    return next(iter(View(run.store).exceptions()))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(codes=frozenset({"malformed"})), True),
        (Wanted(codes=frozenset({"too_old"})), False),
        (Wanted(severities=frozenset({"critical"})), False),
        (Wanted(statuses=frozenset({"dismissed"})), False),
    ],
)
def test_an_exception_fits_when_nothing_else_was_asked_for(
    wanted: Wanted, fits: bool, tmp_path: Path
) -> None:
    """By code, severity and status."""
    run = run_of(tmp_path)
    run.feed_all([b"{"])
    run.finish()
    assert wanted.fits(letter_of(run)) is fits


@pytest.mark.parametrize("text", ["x-", "x-1a", "y-00000001", "x-" + "9" * 40, "x-\u0661"])
def test_what_names_no_exception_is_said_to(text: str) -> None:
    """Before the store is asked for it."""
    with pytest.raises(ValueError, match="does not name an exception"):
        exception_name(text)


def test_an_engine_that_leaves_the_telling_to_another_says_since_when_a_place_differs(
    tmp_path: Path,
) -> None:
    """The instant of the first movement since the last tick, for each location told."""
    channels = {"shop": {"granularity": "location"}}
    rules = relaying(load_rules(rules_folder({"channels": channels}, tmp_path)))
    engine = Engine(MemoryStore(), rules, "event")
    story = ("12:00:00 receipt A@L 10", "12:00:05 sale A@L 1", "12:00:08 expect B@L 1")
    lines = [movement_line(text, number) for number, text in enumerate(story)]
    engine.take(engine.prepare(lines, str), 0)
    (outlet,) = engine.parts.publisher.outlets
    told = [record for record in outlet.records if isinstance(record, Availability)]
    assert [record.available for record in told] == [10, 9]
    assert outlet.began == [NOON, NOON + 5 * SECOND]
