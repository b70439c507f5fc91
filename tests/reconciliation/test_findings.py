"""Observations one by one: what they are compared with, which class a difference is of, and what
is done about it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.instants import parse_instant
from engine.contracts.outcomes import ObservationOutcome
from engine.ledger import counts
from engine.reconciliation import evidence
from tests.core.harness import EngineRun, rules_folder

Make = Callable[..., "Story"]


class Story:
    """Movements and observations of one SKU on one day, by the event clock."""

    def __init__(self, folder: Path, policy: dict[str, Any], restarts: float, clock: str) -> None:
        rules = {"channels": {"web": {}}, "settings": {"reconciliation": policy, "drain": "10s"}}
        self.run = EngineRun(rules_folder(rules, folder), clock, restarts=restarts)
        self._number = 0

    def moves(self, at: str, kind: str, quantity: int | None, **more: Any) -> Story:
        """One movement of SKU A at L."""
        self._number += 1
        told: dict[str, object] = {"id": f"m{self._number}", "source": "t", "type": kind}
        told |= {"sku": "A", "location": "L", "quantity": quantity, "occurred_at": _time(at)}
        told |= more
        self.run.feed(json.dumps(told).encode())
        return self

    def line(self, at: str, quantity: object, **more: Any) -> bytes:
        """One observation of SKU A at L."""
        told: dict[str, object] = {"source": "wms", "sku": "A", "location": "L"}
        told["quantity"] = quantity
        return json.dumps({**told, "observed_at": _time(at), **more}).encode()

    def seen(self, at: str, quantity: object, **more: Any) -> ObservationOutcome:
        """What became of an observation."""
        return self.run.observe(self.line(at, quantity, **more))[0]

    def class_and_action(self, at: str, quantity: int, **more: Any) -> tuple[str, str]:
        """The class and the action of the finding that an observation gives."""
        finding = self.seen(at, quantity, **more).finding
        assert finding is not None
        return finding.class_, finding.action

    @property
    def sellable(self) -> int:
        """What is there now."""
        return int(self.run.state("A", "L")["sellable"])


def _time(text: str) -> str:
    day, _, time = text.rpartition("/")
    return f"2026-11-{day or '20'}T{time}:00Z"


@pytest.fixture(params=[0.0, 1.0], ids=["in memory", "restarted"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes stories, with nothing between two lines or a restart after every commit."""

    def make(clock: str = "event", **policy: Any) -> Story:
        return Story(tmp_path, policy, request.param, clock)

    return make


# --- compared with the book as of its time --------------------------------------------------------


def test_an_observation_agrees_with_the_book_as_it_was_then(story: Make) -> None:
    """Whatever moved since, and a late movement that occurred before."""
    day = story().moves("08:00", "receipt", 20).moves("10:00", "sale", 5).moves("09:00", "sale", 3)
    assert [day.seen(at, units).outcome for at, units in (("08:30", 20), ("09:30", 17))] == [
        "agrees",
        "agrees",
    ]
    assert day.seen("11:00", 12).expected == 12
    assert day.run.findings == []
    assert day.run.engine.standing.observed.agreeing == 3


def test_a_later_count_does_not_change_what_the_book_was(story: Make) -> None:
    """Nor does a movement that comes after two counts and occurred before them."""
    day = story().moves("08:00", "receipt", 20).moves("09:00", "count", 15)
    day.moves("10:00", "sale", 1).moves("11:00", "count", 10).moves("08:30", "sale", 2)
    expected = [("08:10", 20), ("08:40", 18), ("09:00", 15), ("10:30", 14), ("11:00", 10)]
    assert [(at, day.seen(at, 0).expected) for at, _ in expected] == expected


def test_what_is_too_old_for_any_observation_is_not_remembered(
    story: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A movement that is replayed, from before a count that nobody can ask about any more."""
    monkeypatch.setattr(counts, "RECENT_LENGTH", 4)
    day = story().moves("20/08:00", "count", 15)
    for minute in range(6):
        day.moves(f"24/08:0{minute}", "sale", 1)
    day.moves("20/07:00", "sale", 2)
    (refused,) = day.run.exceptions
    replayed = day.run.replay(refused["exception"], refused["payload"].encode(), accept_old=True)
    assert replayed.outcome == "absorbed"
    assert day.seen("24/08:03", 11).outcome == "agrees"


def test_every_disposition_has_a_book_of_its_own(story: Make) -> None:
    """Sellable unless it says otherwise."""
    day = story().moves("08:00", "receipt", 4).moves("08:10", "return", 2, disposition="damaged")
    told = [day.seen("09:00", 0, disposition=name).expected for name in ("damaged", "inspecting")]
    assert [*told, day.seen("09:00", 0).expected] == [2, 0, 4]


def test_before_any_movement_the_book_is_empty(story: Make) -> None:
    """An observation starts no clock; it is compared with nothing."""
    day = story()
    assert day.seen("09:00", 0).outcome == "agrees"
    assert day.class_and_action("09:00", 7, source="erp") == ("missed", "review")
    assert day.run.engine.clock is None


# --- identity and refusals ------------------------------------------------------------------------


def test_the_same_again_is_a_duplicate_and_with_another_quantity_refused(story: Make) -> None:
    """What is believed of one shelf at one time is told once."""
    day = story().moves("08:00", "receipt", 9)
    assert [day.seen("08:30", n).outcome for n in (8, 8, 7)] == ["differs", "duplicate", "refused"]
    assert [one["code"] for one in day.run.exceptions] == ["conflicting_duplicate"]
    assert len(day.run.findings) == 1
    observed = day.run.engine.standing.observed
    assert (observed.duplicate, observed.refused, observed.findings) == (1, 1, {"shrink": 1})


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "malformed"),
        (b"[1]", "malformed"),
        (b'{"quantity":' + b" " * 70_000 + b"1}", "oversize"),
        (b'{"schema":2}', "unsupported_schema"),
        (b'{"source":"w","sku":"A","location":"L","quantity":1}', "invalid_field"),
    ],
)
def test_what_is_no_observation_is_kept_as_an_exception(
    story: Make, line: bytes, code: str
) -> None:
    """It counts among exceptions, and not among movements."""
    day = story()
    (told,) = day.run.observe(line)
    assert (told.outcome, told.code) == ("refused", code)
    (kept,) = day.run.exceptions
    assert (kept["exception"], kept["code"], kept["severity"]) == (told.exception, code, "medium")
    figures = day.run.engine.standing.figures
    assert (figures.received, figures.refused, figures.exceptions) == (0, 0, {code: 1})


def test_times_too_far_from_the_clock_are_refused(story: Make) -> None:
    """Older than the window of counts, or further ahead than a movement may be."""
    day = story().moves("24/08:00", "receipt", 1)
    codes = [day.seen(at, 1).code for at in ("21/07:59", "21/08:00", "24/09:00")]
    assert codes == ["count_too_old", None, None]
    far = day.run.observe(day.line("24/09:00", 1, observed_at="2027-01-20T00:00:00Z"))
    assert far[0].code == "future_dated"


def test_what_nobody_can_tell_from_a_repetition_is_replayed_by_an_operator_only(
    tmp_path: Path,
) -> None:
    """Older than the memory of identities, and not older than the window of counts."""
    day = Story(tmp_path, {}, 0.0, "event")
    rules = {"channels": {"web": {}}, "settings": {"dedupe_window": "1h"}}
    day.run.change_rules(rules)
    day.moves("08:00", "receipt", 3).moves("12:00", "receipt", 1)
    line = day.line("09:00", 3)
    assert day.run.observe(line)[0].code == "too_old"
    refused = day.run.replay("x-00000001", line)
    assert refused.refusal is not None
    assert day.run.view().exception("x-00000001").status == "open"
    assert day.run.replay("x-00000001", line, accept_old=True).outcome == "agrees"
    assert day.run.view().exception("x-00000001").status == "replayed"


# --- classes --------------------------------------------------------------------------------------


def test_in_flight_is_what_one_movement_close_by_explains(story: Make) -> None:
    """One that the other system lacks, or has already; further away it explains nothing."""
    day = story().moves("08:00", "receipt", 50).moves("09:00", "sale", 4).moves("09:30", "sale", 7)
    assert day.class_and_action("09:10", 50) == ("in_flight", "none")
    assert day.class_and_action("09:20", 39) == ("in_flight", "none")
    assert day.class_and_action("09:16", 50) == ("unknown", "review")
    assert day.class_and_action("09:15", 39, source="erp") == ("in_flight", "none")


def test_in_flight_is_a_system_that_is_early_or_late(story: Make) -> None:
    """It believes what the book said at another moment close by, of several movements."""
    day = story().moves("08:00", "receipt", 50)
    for minute in (1, 2, 3):
        day.moves(f"09:0{minute}", "sale", minute)
    assert day.class_and_action("09:05", 50) == ("in_flight", "none")
    assert day.class_and_action("09:06", 49) == ("in_flight", "none")
    assert day.class_and_action("09:00", 44) == ("in_flight", "none")
    assert day.class_and_action("09:16", 49) == ("in_flight", "none")
    assert day.class_and_action("09:17", 49, source="erp") == ("unknown", "review")


def test_missed_is_an_arrival_that_was_expected_or_a_place_never_heard_of(story: Make) -> None:
    """No more than is on its way."""
    day = story().moves("08:00", "receipt", 5).moves("08:00", "expect", 24)
    assert day.class_and_action("09:00", 29) == ("missed", "review")
    assert day.class_and_action("09:01", 30) == ("unknown", "review")
    assert day.class_and_action("09:02", 3, location="M") == ("missed", "review")


def test_missed_is_a_transfer_whose_arrival_alone_was_told(story: Make) -> None:
    """Elsewhere just so much has arrived."""
    day = story().moves("08:00", "receipt", 30)
    day.moves("08:30", "receipt", 6, location="M", from_location="L")
    assert day.class_and_action("09:00", 24) == ("missed", "review")
    assert day.class_and_action("09:01", 25) == ("shrink", "review")


def test_a_duplicate_is_a_movement_that_the_book_has_twice(story: Make) -> None:
    """Of the same instant and quantity under two identities; what counts correct is none."""
    day = story().moves("08:00", "receipt", 30).moves("08:10", "sale", 2).moves("08:10", "sale", 2)
    assert day.class_and_action("09:00", 28) == ("duplicate", "review")
    assert day.class_and_action("09:01", 30) == ("unknown", "review")
    day.moves("10:00", "count", 20).moves("09:50", "sale", 3).moves("09:55", "sale", 3)
    assert day.class_and_action("11:00", 17) == ("shrink", "review")


def test_a_reservation_leak_lacks_what_is_reserved(story: Make) -> None:
    """By one open reservation at the place, or by all of them together."""
    day = story().moves("08:00", "receipt", 30).moves("08:01", "receipt", 9, location="M")
    for name, units, place in (("a", 4, "L"), ("b", 6, "L"), ("c", 5, "M"), ("d", 2, "L")):
        day.moves("08:30", "reserve", units, reservation=name, location=place)
    day.moves("08:40", "release", None, reservation="d", location=None)
    for at, units, kind in (
        ("09:00", 26, "reservation_leak"),
        ("09:01", 24, "reservation_leak"),
        ("09:02", 20, "reservation_leak"),
        ("09:03", 25, "shrink"),
        ("09:04", 28, "shrink"),
        ("09:05", 19, "shrink"),
    ):
        assert day.class_and_action(at, units)[0] == kind, units


def test_less_than_nothing_is_unknown(story: Make) -> None:
    """No shelf holds it."""
    day = story().moves("08:00", "receipt", 3)
    assert day.class_and_action("09:00", -1) == ("unknown", "review")


def test_causes_are_looked_for_among_the_newest_movements_alone(
    story: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one observation of a busy key has a bounded cost."""
    monkeypatch.setattr(evidence, "MOVEMENTS_LOOKED_AT", 1)
    day = story().moves("08:00", "receipt", 50).moves("09:00", "sale", 4).moves("09:01", "sale", 9)
    assert day.class_and_action("09:10", 46) == ("in_flight", "none")
    assert day.class_and_action("09:11", 41) == ("unknown", "review")


def test_chunks_from_before_the_day_that_is_looked_through_are_left_alone(
    story: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened two days ago explains no difference of today."""
    monkeypatch.setattr(counts, "RECENT_LENGTH", 4)
    day = story(in_flight="1m").moves("20/08:00", "receipt", 90)
    for minute in range(6):
        day.moves(f"20/09:0{minute}", "sale", 7)
        day.moves(f"22/09:0{minute}", "sale", 1)
    assert day.class_and_action("22/12:00", 42 + 7) == ("unknown", "review")


def test_chunks_of_a_busy_key_are_looked_through(story: Make) -> None:
    """A key with hundreds of movements keeps the older ones in records of their own."""
    day = story(in_flight="1m").moves("08:00", "receipt", 1000)
    for minute in range(60):
        for second in (0, 1, 2):
            at = f"2026-11-20T10:{minute:02}:{second:02}Z"
            day.moves("10:00", "sale", 1 + minute % 7, occurred_at=at)
    day.moves("10:00", "sale", 100, occurred_at="2026-11-20T10:05:30Z")
    assert day.seen("09:00", 1000).outcome == "agrees"
    expected = day.seen("10:06", 0).expected
    assert expected is not None
    assert day.class_and_action("10:06", expected + 100, source="erp")[0] == "in_flight"
    assert day.class_and_action("09:59", 900, source="erp")[0] == "shrink"


# --- actions --------------------------------------------------------------------------------------


def test_nothing_is_adjusted_unless_the_policy_says_so(story: Make) -> None:
    """By default every difference that is not in flight is for people to review."""
    day = story().moves("08:00", "receipt", 9)
    assert day.class_and_action("09:00", 1) == ("shrink", "review")
    assert day.sellable == 9


def test_an_adjustment_is_a_movement_with_the_name_of_the_finding(story: Make) -> None:
    """Occurred when it was observed, so what moved since stays; booked, traced and told once."""
    day = story(adjust=["shrink"]).moves("08:00", "receipt", 9).moves("10:00", "sale", 2)
    told = day.seen("09:00", 6, correlation_id="walk")
    assert told.finding is not None
    assert told.finding.action == "adjusted"
    assert day.sellable == 4
    assert day.seen("09:00", 6).outcome == "duplicate"
    assert day.seen("09:30", 6).outcome == "agrees"
    trail = day.run.engine.parts.book.sku("A").record.trail[-1]
    assert trail[:4] == ("reconciliation", told.finding.finding, "walk", "adjustment")
    day.run.finish()
    booked = [one for one in day.run.postings if one["type"] == "adjustment"]
    assert [line["quantity"] for one in booked for line in one["lines"]] == [-3]
    assert day.run.engine.standing.observed.adjusted == 1


@pytest.mark.parametrize(
    ("policy", "units", "action"),
    [
        ({"adjust": ["shrink"]}, 90, "adjusted"),
        ({"adjust": ["shrink"]}, 89, "review"),
        ({"adjust": ["shrink"], "adjust_up_to": 11}, 89, "adjusted"),
        ({"adjust": ["unknown"]}, 99, "review"),
        ({"adjust": ["unknown"]}, 101, "adjusted"),
        ({"tolerance": 2}, 98, "none"),
        ({"tolerance": 2}, 97, "review"),
        ({"tolerance_percent": 2.5}, 98, "none"),
        ({"tolerance_percent": 2.5}, 97, "review"),
        ({"tolerance_percent": 3, "tolerance": 1, "adjust": ["shrink"]}, 97, "none"),
    ],
)
def test_the_policy_decides_by_class_and_size(
    story: Make, policy: dict[str, Any], units: int, action: str
) -> None:
    """Tolerated, adjusted within limits, or reviewed."""
    day = story(**policy).moves("08:00", "receipt", 100)
    assert day.class_and_action("09:00", units)[1] == action


def test_what_a_count_has_settled_since_needs_no_action(story: Make) -> None:
    """An observation no newer than the count is compared, and changes nothing.

    Nor can one be adjusted by that the event clock would put at the very instant of the count.
    """
    day = story(adjust=["shrink"]).moves("08:00", "receipt", 9).moves("10:00", "count", 8)
    assert day.class_and_action("09:00", 7) == ("shrink", "none")
    assert day.class_and_action("10:00", 7) == ("shrink", "none")
    assert day.class_and_action("10:01", 7) == ("shrink", "review")
    day.moves("11:00", "sale", 2)
    assert day.class_and_action("10:02", 7) == ("shrink", "adjusted")
    assert day.sellable == 5


def test_two_systems_that_find_the_same_adjust_it_once(story: Make) -> None:
    """The one that observed earlier and comes later finds it settled; other keys are untouched."""
    day = story(adjust=["shrink"], in_flight="0s").moves("08:00", "receipt", 9)
    day.moves("14:00", "receipt", 1, location="M")
    assert day.class_and_action("12:00", 7) == ("shrink", "adjusted")
    assert day.class_and_action("11:00", 7, source="erp") == ("shrink", "none")
    assert day.seen("13:00", 7, source="erp").outcome == "agrees"
    assert day.sellable == 7


def test_an_observation_ahead_of_an_event_clock_does_not_move_it(story: Make) -> None:
    """Its adjustment occurs at the clock."""
    day = story(adjust=["shrink"]).moves("08:00", "receipt", 9)
    clock = day.run.engine.clock
    assert day.class_and_action("18:00", 8) == ("shrink", "adjusted")
    assert (day.run.engine.clock, day.sellable) == (clock, 8)


def test_an_adjustment_starts_the_clock_where_nothing_has_moved(story: Make) -> None:
    """As the first movement does."""
    day = story(adjust=["missed"])
    assert day.class_and_action("09:00", 4) == ("missed", "adjusted")
    assert day.run.engine.clock is not None
    assert day.sellable == 4


def test_by_the_wall_clock_an_adjustment_occurs_when_it_was_observed(story: Make) -> None:
    """A few minutes ahead are as good for an observation as for a movement, more are not."""
    day = story("wall", adjust=["shrink"])
    now = parse_instant(_time("08:00"))
    day.run.advance(now)
    day.moves("08:00", "receipt", 5)
    told = day.run.observe(day.line("08:04", 3), day.line("08:06", 1), now=now)
    assert [(one.outcome, one.code) for one in told] == [
        ("differs", None),
        ("refused", "future_dated"),
    ]
    assert day.sellable == 3
    assert day.run.engine.parts.book.sku("A").record.trail[-1][-1] == parse_instant(_time("08:04"))


def test_a_name_that_somebody_has_used_sends_the_finding_to_review(story: Make) -> None:
    """The book is not adjusted: that identity belongs to another movement."""
    day = story(adjust=["shrink"]).moves("08:00", "receipt", 9)
    twin = Story(day.run.folder, {}, 0.0, "event").moves("08:00", "receipt", 9)
    finding = twin.seen("09:00", 8).finding
    assert finding is not None
    day.moves("08:30", "sale", 2, id=finding.finding, source="reconciliation")
    told = day.seen("09:00", 6).finding
    assert told is not None
    assert (told.finding, told.class_, told.action) == (finding.finding, "shrink", "review")
    assert day.sellable == 7
    assert [one["code"] for one in day.run.exceptions] == ["conflicting_duplicate"]
