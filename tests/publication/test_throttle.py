"""The throttle of one channel, asked directly: as the workers on Kafka use it."""

from __future__ import annotations

from msgspec.structs import replace

from engine.contracts.instants import MINUTE, SECOND
from engine.contracts.records import PublishedRecord
from engine.publication.throttle import IN_STOCK, SPARE_RANKS, Change, Throttle, risk_of
from engine.rules.model import Publish, Rate

ONE_A_SECOND = Rate(1, SECOND)


def throttle(
    max_rate: Rate | None = ONE_A_SECOND, min_interval: int = 0, max_staleness: int = 15 * MINUTE
) -> Throttle:
    """A throttle with ticks of a second."""
    publish = Publish(
        min_interval=min_interval,
        max_rate=max_rate,
        max_per_key=None,
        min_change=1,
        low_stock=0,
        max_staleness=max_staleness,
    )
    return Throttle(publish, SECOND)


def rise(sku: str, considered: int, min_interval: int = 0, since: int = 0) -> Change:
    """A key that was told 5 at the very beginning and is worth 9."""
    published = PublishedRecord(value=5, status=IN_STOCK, version=1, at=0, since=since)
    return Change((sku, ""), 9, IN_STOCK, published, min_interval, 0, considered)


def taken(found: Throttle, now: int) -> list[str]:
    """The SKUs that are let through on a tick."""
    return [change.ref[0] for change in found.take(now)]


def test_what_waits_is_counted_and_the_longest_wait_is_told() -> None:
    """Nothing waits at first; a key that was let through waits no more."""
    found = throttle()
    assert (len(found), found.oldest()) == (0, None)
    found.offer(rise("A", SECOND, since=3))
    found.offer(rise("B", SECOND, since=2))
    assert (len(found), found.oldest()) == (2, 2)
    assert taken(found, SECOND) == ["B"]
    assert (len(found), found.oldest()) == (1, 3)


def test_what_only_the_rate_holds_back_is_counted_by_itself() -> None:
    """A key whose interval has not passed would wait with any rate."""
    found = throttle()
    for sku, interval in (("A", 0), ("B", 0), ("C", 60 * SECOND)):
        found.offer(rise(sku, SECOND, interval))
    assert taken(found, SECOND) == ["A"]
    assert (len(found), found.by_rate()) == (2, 1)


def test_a_tick_that_is_asked_twice_lets_no_more_through() -> None:
    """Nor does one before it: a clock that goes back brings no tokens."""
    found = throttle()
    for sku in "ABC":
        found.offer(rise(sku, SECOND))
    assert taken(found, SECOND) == ["A"]
    assert taken(found, SECOND) == []
    assert taken(found, 0) == []
    assert taken(found, 2 * SECOND) == ["B"]


def test_a_key_that_was_withdrawn_is_no_reason_for_a_tick() -> None:
    """Neither from the queue nor from those that wait out an interval."""
    found = throttle(min_interval=MINUTE)
    found.offer(rise("A", SECOND))
    found.offer(rise("B", SECOND, MINUTE))
    assert found.next_due(SECOND) == 2 * SECOND
    found.withdraw(("A", ""))
    assert found.next_due(SECOND) == MINUTE
    found.withdraw(("B", ""))
    assert found.next_due(SECOND) is None


def test_a_key_that_has_waited_too_long_goes_first() -> None:
    """It is ahead of all that came after, whatever their risk."""
    found = throttle(max_staleness=3 * SECOND)
    found.offer(rise("Z", SECOND, since=SECOND))
    found.offer(rise("A", SECOND, since=SECOND))
    assert taken(found, SECOND) == ["A"]
    found.offer(replace(rise("B", 2 * SECOND, since=2 * SECOND), value=0, status=0))
    assert taken(found, 2 * SECOND) == ["B"]
    found.offer(replace(rise("C", 4 * SECOND, since=4 * SECOND), value=0, status=0))
    assert taken(found, 4 * SECOND) == ["Z"]
    assert taken(found, 5 * SECOND) == ["C"]


def test_a_fall_that_grows_faster_again_and_again_leaves_no_ranks_behind() -> None:
    """The queue holds little beside the keys that wait, and their order stays right."""
    found = throttle()
    for sold in range(1, 5 * SPARE_RANKS):
        for sku, times in (("A", 2), ("B", 3)):
            fall = replace(rise(sku, SECOND), value=1, risk=risk_of(sold * times, 1))
            found.offer(fall)
            found.rest()
    assert len(found._queue) <= 2 * len(found) + SPARE_RANKS
    assert [taken(found, at * SECOND) for at in (1, 2, 3)] == [["B"], ["A"], []]


def test_what_is_told_on_the_tick_it_is_offered_on_never_waited() -> None:
    """Nobody has to keep a record of it; of what the rate leaves behind somebody has."""
    found = throttle()
    found.offer(rise("A", SECOND))
    assert taken(found, SECOND) == ["A"]
    assert not found.changed
    for sku in "AB":
        found.offer(rise(sku, 2 * SECOND))
    assert taken(found, 2 * SECOND) == ["A"]
    assert ("B", "") in found.changed
    assert set(found.pending) == {("B", "")}


def test_a_key_that_is_worth_something_else_on_the_same_tick_is_told_once() -> None:
    """With the value that it was offered last."""
    found = throttle(max_rate=None)
    found.offer(rise("A", SECOND))
    found.offer(replace(rise("A", SECOND), value=8))
    assert [change.value for change in found.take(SECOND)] == [8]
    assert len(found) == 0


def test_a_tick_that_breaks_off_for_a_commit_keeps_what_was_offered() -> None:
    """It waits, and is told in the same order as if nothing had come between."""
    found = throttle(max_rate=None)
    found.offer(rise("B", SECOND, since=5))
    found.rest()
    assert set(found.pending) == {("B", "")}
    found.offer(rise("A", SECOND, since=5))
    assert taken(found, SECOND) == ["A", "B"]
