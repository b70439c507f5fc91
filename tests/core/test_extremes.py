"""Times and quantities at the ends of what may come in stop nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.core.agreement import differences_between
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.promises import broken_promises
from tests.oracle.scenarios import movement_line

RULES: dict[str, Any] = {
    "channels": {
        "slow": {"publish": {"min_interval": "30s", "max_rate": "1/s", "min_change": 2}},
        "free": {},
        "places": {"granularity": "location"},
    },
    "settings": {"snapshot": {"every": "1h"}},
    "locations": [
        {"location": "L", "type": "store", "timezone": "Asia/Kolkata"},
        {"location": "M", "type": "store", "timezone": "America/New_York"},
    ],
}
STORY = (
    "receipt A@L 5",
    "sale A@M 1",
    "sale A@L 1",
    "reserve A@L 1 reservation=r expires_at={when}",
    "reserve A@L 1 reservation=s channel=slow",
    "count A@L 3",
    "transfer A@L 1000000000 to_location=M",
)


@pytest.mark.parametrize(
    "when",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00.5Z",
        "1969-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00.000001Z",
        "9999-12-31T00:00:00Z",
        "9999-12-31T23:59:58Z",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_a_stream_at_the_end_of_the_calendar_is_taken_and_published(
    when: str, tmp_path: Path
) -> None:
    """The first movement sets the event clock to the first or last day that can be told."""
    rules_folder(RULES, tmp_path)
    lines = [
        movement_line(f"{when} {text.format(when=when)}", number)
        for number, text in enumerate(STORY)
    ]
    runs = [EngineRun(tmp_path), EngineRun(tmp_path, "event", random.Random(1), restarts=1.0)]
    for run in runs:
        run.feed_all(lines)
        run.finish()
        assert run.publications["slow"][-1]["available"] == run.computed("slow", "A")
        assert sum(outcome == "applied" for outcome, _ in run.outcomes) == len(STORY) - 1
    assert differences_between(*runs) == []


def test_a_reservation_of_long_ago_expires_after_a_restart(tmp_path: Path) -> None:
    """Before 1970, where instants are negative."""
    run = EngineRun(rules_folder(RULES, tmp_path))
    expires = "expires_at=1969-12-31T23:00:00Z"
    run.feed_all(
        [
            movement_line("1969-12-31T22:00:00Z receipt A@L 5", 0),
            movement_line(f"1969-12-31T22:00:00Z reserve A@L 2 reservation=r {expires}", 1),
        ]
    )
    run.restart()
    run.feed_all([movement_line("1969-12-31T23:00:01Z expect A@L 1", 2)])
    assert run.state("A", "L")["reserved"] == 0
    assert [told["outcome"] for told in run.decisions] == ["accepted", "expired"]


def test_the_largest_quantities_add_up_exactly(tmp_path: Path) -> None:
    """Ten thousand million units, to the last one."""
    run = EngineRun(rules_folder(RULES, tmp_path))
    run.feed_all(
        [movement_line(f"12:00:00 receipt A@L {10**9}", number) for number in range(10)]
        + [movement_line("12:00:01 sale A@L 1", 10)]
    )
    run.finish()
    assert run.state("A", "L")["sellable"] == 10**10 - 1
    assert run.computed("free", "A") == 10**10 - 1
    assert broken_promises(RULES, run) == []
