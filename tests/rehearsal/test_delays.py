"""Delays run from when a movement was due, whatever the engine or the generator did then."""

from __future__ import annotations

import os
from pathlib import Path

from engine.rehearsal.delays import Offered, Told, by_second, delay_of, told_by_channel
from engine.rehearsal.playing import wall
from engine.rehearsal.watching import Watcher
from tests.rehearsal.samples import append, line, load_of, publication

SECOND = 1_000_000


def watched(out: Path, start: int, *told: tuple[int, str, str | None]) -> Told:
    """What the channel `web` was told of A, of which 9 were known: value, status, cause.

    A was offered m-1 at the start, m-2 a second later, m-3 two seconds later.
    """
    topic = out / "availability.web.ndjson"
    append(topic, publication("A", 9, "in_stock", "m-0"))
    watcher = Watcher(out)
    load = load_of([line(number) for number in (1, 2, 3)], [0, 1, 2])
    for available, status, cause in told:
        append(topic, publication("A", available, status, cause))
        watcher.look()
    return told_by_channel(watcher, Offered(load, start))["web"]


def test_an_engine_that_stands_still_does_not_stop_the_clock(tmp_path: Path) -> None:
    """What was due ten seconds ago and is told now took ten seconds, though nobody offered more."""
    found = watched(tmp_path, wall() - 10 * SECOND, (0, "out_of_stock", "m-1"))
    ((_, delay),) = found.urgent
    assert delay >= 10 * SECOND


def test_urgent_is_what_sells_out_or_falls_to_little(tmp_path: Path) -> None:
    """A rise is not, nor is a fall to much, nor a fall that nothing offered has caused."""
    found = watched(
        tmp_path,
        wall(),
        (8, "in_stock", "m-1"),
        (3, "low_stock", "m-2"),
        (4, "low_stock", "m-3"),
        (0, "out_of_stock", None),
    )
    assert (found.publications, len(found.all), len(found.urgent)) == (4, 3, 1)


def test_changes_told_as_one_are_counted_from_the_first_of_them_too(tmp_path: Path) -> None:
    """A publication names the last cause: the wait of the first must not be lost."""
    start = wall() - 10 * SECOND
    found = watched(tmp_path, start, (8, "in_stock", "m-1"), (0, "out_of_stock", "m-3"))
    (seen, delay), (_, untold) = found.urgent[0], found.untold[0]
    assert seen - delay == start + 2 * SECOND
    assert seen - untold == start + SECOND


def test_a_line_that_was_cut_off_counts_from_when_it_came_to_stay(tmp_path: Path) -> None:
    """A killed engine cuts its outputs at its start, and writes them again."""
    topic = tmp_path / "availability.web.ndjson"
    topic.touch()
    watcher = Watcher(tmp_path)
    append(topic, publication("A", 5, "in_stock", "m-1"))
    watcher.look()
    os.truncate(topic, 0)
    watcher.look()
    before = wall()
    append(topic, publication("A", 5, "in_stock", "m-1"))
    watcher.look()
    ((seen, _),) = watcher.lines("availability.web")
    assert seen is not None
    assert seen >= before


def test_quantiles_are_told_in_seconds() -> None:
    """Of nothing there are none; a second in which nothing was told has none either."""
    pairs = [(0, SECOND), (1, 3 * SECOND), (2 * SECOND, 5 * SECOND)]
    told = delay_of(pairs)
    assert (told.count, told.p50, told.max) == (3, 3.0, 5.0)
    assert delay_of([]).p99 is None
    assert by_second(pairs, 0, 3, 1.0) == [3.0, None, 5.0]
