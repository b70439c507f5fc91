"""Rules that change while the engine runs, and rules that begin and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.contracts import records
from engine.contracts.errors import UsageError
from engine.contracts.instants import SECOND, parse_duration, parse_instant
from engine.core import parts, timeline
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet
from tests.core.harness import EngineRun, rules_folder
from tests.oracle.scenarios import movement_line

Rules = dict[str, Any]


def running(rules: Rules, folder: Path, *story: str) -> EngineRun:
    """An engine that has taken some movements."""
    run = EngineRun(rules_folder(rules, folder))
    tell(run, *story)
    return run


def tell(run: EngineRun, *story: str) -> None:
    """Feed movements told in short."""
    for text in story:
        run.feed_all([movement_line(text, run.taken)])


def values(run: EngineRun, channel: str) -> list[tuple[str, int, str]]:
    """SKU, quantity and time of every publication of a channel."""
    return [
        (told["sku"], told["available"], told["computed_at"][11:19])
        for told in run.topics.get(f"availability.{channel}", [])
    ]


def test_a_new_buffer_takes_effect_on_every_key_on_the_next_tick(tmp_path: Path) -> None:
    """Also on a key that no movement has touched since, and with the rules as the cause."""
    run = running(
        {"channels": {"web": {}}},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:00 receipt B@L 20",
        "12:00:05 sale B@L 1",
    )
    run.change_rules({"channels": {"web": {}}, "rules": [{"name": "b", "buffer": {"units": 2}}]})
    tell(run, "12:00:07 expect C@L 1")
    assert sorted(values(run, "web")[-2:]) == [("A", 8, "12:00:06"), ("B", 17, "12:00:06")]
    causes = {told["sku"]: told["cause"]["source"] for told in run.topics["availability.web"]}
    assert causes["A"] == "rules"


@pytest.mark.parametrize("granularity", ["sku", "location"])
def test_another_limit_of_low_stock_is_told_though_the_number_stays(
    granularity: str, tmp_path: Path
) -> None:
    """A publication is new when its status is."""

    def web(low_stock: int) -> Rules:
        publish = {"low_stock": low_stock}
        return {"channels": {"web": {"granularity": granularity, "publish": publish}}}

    run = running(web(0), tmp_path, "12:00:00 receipt A@L 10")
    run.finish()
    run.change_rules(web(10))
    run.finish()
    told = [(each["available"], each["status"]) for each in run.publications["web"]]
    assert told == [(10, "in_stock"), (10, "low_stock")]


def test_a_channel_that_is_added_is_told_every_key(tmp_path: Path) -> None:
    """One of each granularity, beside one that stays as it was."""
    run = running(
        {"channels": {"web": {}}}, tmp_path, "12:00:00 receipt A@L 10", "12:00:02 receipt B@M 3"
    )
    run.finish()
    run.change_rules({"channels": {"new": {}, "web": {}, "shop": {"granularity": "location"}}})
    run.finish()
    assert [told[:2] for told in values(run, "web")] == [("A", 10), ("B", 3)]
    assert sorted(told[:2] for told in values(run, "new")) == [("A", 10), ("B", 3)]
    assert sorted(told[:2] for told in values(run, "shop")) == [("A", 10), ("B", 3)]


def test_a_channel_that_is_taken_away_and_comes_back_goes_on_with_its_versions(
    tmp_path: Path,
) -> None:
    """While it is away it is told nothing; then only what has changed."""
    throttled = {"publish": {"min_interval": "30s"}}
    both: Rules = {"channels": {"web": {}, "shop": throttled}}
    run = running(both, tmp_path, "12:00:00 receipt A@L 10", "12:00:05 sale A@L 1")
    run.feed_all([movement_line("12:00:07 expect B@L 1", 90)])
    run.change_rules({"channels": {"web": {}}})
    tell(run, "12:01:00 sale A@L 2")
    run.finish()
    assert [told[1] for told in values(run, "shop")] == [10]
    run.restart()
    run.change_rules(both)
    run.finish()
    shop = run.topics["availability.shop"]
    assert [(told["available"], told["version"]) for told in shop if told["sku"] == "A"] == [
        (10, 1),
        (7, 2),
    ]


def test_channels_in_another_order_change_no_number(tmp_path: Path) -> None:
    """Claims, published values and rates belong to a channel by its name."""
    first = {"locations": {"ids": ["L"]}, "publish": {"max_rate": "1/s"}}
    run = running(
        {"channels": {"a": first, "b": {}}},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:00 receipt A@M 5",
        "12:00:01 reserve A 4 reservation=r channel=a",
    )
    run.finish()
    run.change_rules({"channels": {"b": {}, "a": first}})
    run.finish()
    assert [told[1] for told in values(run, "a")] == [10, 6]
    assert [told[1] for told in values(run, "b")] == [15, 11]
    assert run.computed("a", "A") == 6


def test_a_claim_of_a_channel_that_is_gone_is_a_claim_on_every_location(tmp_path: Path) -> None:
    """It stays open, and may be released."""
    run = running(
        {"channels": {"a": {"locations": {"ids": ["L"]}}, "b": {"locations": {"ids": ["M"]}}}},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:00 receipt A@M 5",
        "12:00:01 reserve A 4 reservation=r channel=a",
    )
    run.finish()
    assert run.computed("b", "A") == 5
    run.change_rules({"channels": {"b": {"locations": {"ids": ["M"]}}}})
    run.finish()
    assert [told[1] for told in values(run, "b")] == [5, 1]
    tell(run, "12:30:00 release A reservation=r")
    run.finish()
    assert [told[1] for told in values(run, "b")] == [5, 1, 5]


def test_a_retired_channel_publishes_nothing_but_zeros(tmp_path: Path) -> None:
    """Both for keys by SKU and by location."""
    run = running(
        {"channels": {"web": {}, "shop": {"granularity": "location"}}},
        tmp_path,
        "12:00:00 receipt A@L 10",
    )
    run.finish()
    retired = {"web": {"retired": True}, "shop": {"granularity": "location", "retired": True}}
    run.change_rules({"channels": retired})
    run.finish()
    assert [told[1] for told in values(run, "web")] == [10, 0]
    assert [told[1] for told in values(run, "shop")] == [10, 0]


@pytest.mark.parametrize(("before", "after"), [("1s", "7s"), ("7s", "1s"), ("500ms", "2s")])
def test_ticks_of_another_length_are_whole_multiples_of_it_at_once(
    before: str, after: str, tmp_path: Path
) -> None:
    """No tick is left out, none is taken twice."""
    run = running(
        {"channels": {"web": {}}, "settings": {"publish_tick": before}},
        tmp_path,
        "12:00:10 receipt A@L 10",
        "12:00:12.3 sale A@L 1",
    )
    changed_at = run.engine.clock or 0
    run.change_rules({"channels": {"web": {}}, "settings": {"publish_tick": after}})
    told = len(values(run, "web"))
    run.feed_all([movement_line("12:00:40 sale A@L 1", 50)])
    run.finish()
    times = [parse_instant(record["computed_at"]) for record in run.topics["availability.web"]]
    assert times == sorted(set(times))
    tick = parse_duration(after)
    first_after = changed_at - changed_at % tick + tick
    assert all(time % tick == 0 for time in times[told:])
    assert times[told] == first_after
    assert values(run, "web")[-1][1] == 8


@pytest.mark.parametrize("restarted", [False, True])
def test_no_shorter_tick_lies_behind_the_clock(restarted: bool, tmp_path: Path) -> None:
    """The last long tick was seconds ago: what is due now is due after the clock, and is told."""
    told: Rules = {"channels": {"web": {}}, "settings": {"publish_tick": "7s"}}
    run = running(told, tmp_path, "12:00:03 receipt A@L 10")
    clock = run.engine.clock or 0
    run.change_rules({"channels": {"web": {}}, "settings": {"publish_tick": "1s"}})
    if restarted:
        run.restart()
    due = run.engine.next_publication()
    assert due is not None
    assert due > clock
    run.finish()
    assert values(run, "web") == [("A", 10, "12:00:04")]


BUFFER_FROM_TEN_SECONDS = {
    "channels": {"web": {}},
    "rules": [{"name": "b", "buffer": {"units": 1}, "from": "2026-11-20T12:00:10Z"}],
}


@pytest.mark.parametrize("movement", ["reserve B@L 1 reservation=r", "sale B@L 1"])
def test_what_is_stored_of_a_new_sku_does_not_depend_on_where_an_engine_started(
    movement: str, tmp_path: Path
) -> None:
    """Whether the engine had looked for it before the rule edge that came first, or had not."""
    stored = []
    for restarted in (False, True):
        folder = tmp_path / str(restarted)
        folder.mkdir()
        run = running(BUFFER_FROM_TEN_SECONDS, folder, "12:00:00 receipt A@L 10")
        line = movement_line(f"12:00:20 {movement}", run.taken)
        batch = run.engine.prepare([line], lambda _: "test:1")
        assert run.engine.take(batch, 0) == 0, "the edge comes first, and asks for a commit"
        run.advance(run.engine.clock or 0)
        if restarted:
            run.restart()
        run.feed_all([line])
        stored.append(run.store.get(records.sku_name("B")))
    assert stored[0] == stored[1]


def test_by_the_wall_clock_many_keys_are_looked_at_again_some_each_tick_while_others_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two keys a tick, seven keys take four ticks; those that move come with their tick."""
    monkeypatch.setattr(timeline, "SWEEP_SKUS", 2)
    run = EngineRun(rules_folder(BUFFER_FROM_TEN_SECONDS, tmp_path), "wall")
    noon = parse_instant("2026-11-20T12:00:00Z")
    for number in range(7):
        run.feed(movement_line(f"12:00:00 receipt S{number}@L 10", number), noon)
    run.feed(movement_line("12:00:10.5 sale S6@L 1", 7), noon + 21 * SECOND // 2)
    run.advance(noon + 20 * SECOND)
    assert sorted(values(run, "web")[7:]) == sorted(
        [
            *[(f"S{number}", 9, "12:00:10") for number in (0, 1)],
            *[(f"S{number}", 9, "12:00:11") for number in (2, 3)],
            ("S6", 8, "12:00:11"),
            *[(f"S{number}", 9, "12:00:12") for number in (4, 5)],
        ]
    )


@pytest.mark.parametrize("restarts", [0.0, 1.0])
def test_by_the_event_clock_the_next_tick_tells_all_that_rules_change_however_many(
    restarts: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the engine starts again after each part of them."""
    monkeypatch.setattr(timeline, "SWEEP_SKUS", 2)
    run = EngineRun(rules_folder(BUFFER_FROM_TEN_SECONDS, tmp_path), restarts=restarts)
    tell(run, *(f"12:00:00 receipt S{number}@L 10" for number in range(7)))
    tell(run, "12:00:10.5 sale S6@L 1")
    run.finish()
    assert sorted(values(run, "web")[7:]) == sorted(
        [*((f"S{number}", 9, "12:00:10") for number in range(7)), ("S6", 8, "12:00:11")]
    )


def test_an_edge_on_the_tick_of_a_movement_comes_before_the_tick_and_both_before_the_movement(
    tmp_path: Path,
) -> None:
    """At one instant: the rule begins, the tick publishes under it, and then the goods are sold."""
    rule = {"name": "b", "buffer": {"units": 1}, "from": "2026-11-20T12:00:10Z"}
    run = running(
        {"channels": {"web": {}}, "rules": [rule]},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:10 sale A@L 3",
    )
    run.finish()
    assert values(run, "web") == [
        ("A", 10, "12:00:01"),
        ("A", 9, "12:00:10"),
        ("A", 6, "12:00:11"),
    ]


def test_an_edge_on_the_tick_of_the_last_publication_does_not_hold_up_the_end(
    tmp_path: Path,
) -> None:
    """The key is due at the very instant at which a rule begins."""
    rule = {"name": "b", "buffer": {"units": 1}, "from": "2026-11-20T12:00:31Z"}
    web = {"publish": {"min_interval": "30s"}}
    run = running(
        {"channels": {"web": web}, "rules": [rule]},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:05 sale A@L 3",
    )
    run.finish()
    assert values(run, "web") == [("A", 10, "12:00:01"), ("A", 6, "12:00:31")]


@pytest.mark.parametrize("granularity", ["sku", "location"])
def test_a_key_that_a_rule_held_back_is_told_once_when_the_rule_ends(
    granularity: str, tmp_path: Path
) -> None:
    """The channel has no interval of its own: with the rule's end the key is free."""
    rule = {"name": "hourly", "min_interval": "1h", "until": "2026-11-20T12:00:20Z"}
    run = running(
        {"channels": {"web": {"granularity": granularity}}, "rules": [rule]},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:05 sale A@L 3",
        "12:00:30 expect B@L 3",
    )
    run.finish()
    assert [told for told in values(run, "web") if told[0] == "A"] == [
        ("A", 10, "12:00:01"),
        ("A", 7, "12:00:20"),
    ]
    assert run.engine.pending() == 0


def test_rules_with_more_channels_than_the_folder_can_name_are_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules in force stay in force."""
    monkeypatch.setattr(parts, "MAX_CHANNELS", 2)
    run = running({"channels": {"a": {}, "b": {}}}, tmp_path, "12:00:00 receipt A@L 10")
    with pytest.raises(UsageError, match="3 channels"):
        run.change_rules({"channels": {"a": {}, "c": {}}})
    assert [channel.name for channel in run.engine.rules.channels] == ["a", "b"]
    tell(run, "12:00:05 sale A@L 3")
    run.finish()
    assert [told[1] for told in values(run, "b")] == [10, 7]


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [("sku", "location", [None, "L", "L"]), ("location", "sku", ["L", None, None])],
)
def test_what_was_held_back_under_another_granularity_is_not_told_any_more(
    before: str, after: str, places: list[str | None], tmp_path: Path
) -> None:
    """The keys of the channel are others now; who touched them last is known all the same."""

    def web(granularity: str) -> Rules:
        publish = {"min_interval": "30s"}
        return {"channels": {"web": {"granularity": granularity, "publish": publish}}}

    story = ("12:00:00 receipt A@L 10", "12:00:05 sale A@L 1", "12:00:07 expect B@L 1")
    run = running(web(before), tmp_path, *story)
    run.change_rules(web(after))
    run.finish()
    told = run.topics["availability.web"]
    assert [(each["sku"], each["location"], each["available"]) for each in told] == list(
        zip("AAB", places, (10, 9, 0), strict=True)
    )
    assert [each["cause"]["source"] for each in told] == ["test", "rules", "test"]
    assert run.engine.pending() == 0


def test_a_snapshot_while_keys_are_still_looked_at_again_holds_values_under_the_new_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`computed` is what the key is worth now, `available` what the channel was told last."""
    monkeypatch.setattr(timeline, "SWEEP_SKUS", 1)
    run = EngineRun(rules_folder({"channels": {"web": {}}}, tmp_path), "wall")
    noon = parse_instant("2026-11-20T12:00:00Z")
    for number in range(3):
        run.feed(movement_line(f"12:00:00 receipt S{number}@L 10", number), noon)
    run.feed(movement_line("12:00:02 receipt S0@L 1", 3), noon + 2 * SECOND)
    run.change_rules({"channels": {"web": {}}, "rules": [{"name": "b", "buffer": {"units": 1}}]})
    run.engine.order_snapshot()
    run.advance((run.engine.clock or 0) + SECOND)
    (web,) = [cut["rows"] for cut in run.snapshots if cut["channel"] == "web"]
    assert [(row["sku"], row["available"], row["computed"]) for row in web] == [
        ("S0", 10, 10),
        ("S1", 9, 9),
        ("S2", 10, 9),
    ]


def test_rules_may_change_before_the_clock_runs(tmp_path: Path) -> None:
    """Then they hold from the first movement on."""
    run = EngineRun(rules_folder({"channels": {"web": {}}}, tmp_path))
    assert run.engine.clock is None
    assert run.engine.next_due() is None
    assert run.engine.next_publication() is None
    run.change_rules({"channels": {"web": {}}, "rules": [{"name": "b", "buffer": {"units": 2}}]})
    run.finish()
    tell(run, "12:00:00 receipt A@L 10")
    run.finish()
    assert [told[1] for told in values(run, "web")] == [8]


def test_what_was_booked_keeps_its_business_date_when_the_time_zone_changes(
    tmp_path: Path,
) -> None:
    """Also when the engine starts again before the window is posted."""
    rules: Rules = {"channels": {"web": {}}, "locations": [{"location": "L"}]}
    run = running(rules, tmp_path, "12:00:00 receipt A@L 10")
    elsewhere = {"location": "L", "timezone": "Pacific/Auckland"}
    run.change_rules({**rules, "locations": [elsewhere]})
    run.restart()
    tell(run, "12:00:10 receipt A@L 5")
    run.restart()
    run.finish()
    dates = {told["business_date"]: told["lines"][0]["quantity"] for told in run.postings}
    assert dates == {"2026-11-20": 10, "2026-11-21": 5}


def test_a_window_that_ends_at_the_instant_of_an_edge_is_posted_though_the_engine_starts_again(
    tmp_path: Path,
) -> None:
    """The edge asks for a commit before the window ends; what comes then is of the next window."""
    rule = {"name": "b", "buffer": {"units": 1}, "from": "2026-11-20T12:15:00Z"}
    rules: Rules = {
        "settings": {"publish_tick": "13s"},
        "channels": {"web": {}},
        "rules": [rule],
    }
    run = EngineRun(rules_folder(rules, tmp_path), restarts=1.0)
    tell(run, "12:14:50 receipt A@L 10", "12:15:01 sale A@L 3")
    run.finish()
    ends = [(told["type"], told["window_end"][11:19]) for told in run.postings]
    assert ends == [("receipt", "12:15:00"), ("sale", "12:30:00")]


def test_keys_held_back_are_counted_though_another_location_has_just_moved(
    tmp_path: Path,
) -> None:
    """The first location waits out its interval; the second was touched since the tick."""
    web = {"granularity": "location", "publish": {"min_interval": "1h"}}
    run = running(
        {"channels": {"web": web}},
        tmp_path,
        "12:00:00 receipt A@L 10",
        "12:00:02 receipt A@L 5",
        "12:00:04 expect A@M 1",
    )
    assert run.engine.pending() == 2
    run.restart()
    assert run.engine.pending() == 2


def test_what_waits_for_a_window_to_come_goes_into_one_of_the_new_length(tmp_path: Path) -> None:
    """The open window keeps its length; the next has the new one, also after a start."""
    run = EngineRun(
        rules_folder({"channels": {"web": {}}, "settings": {"erp": {"window": "2m"}}}, tmp_path),
        "wall",
    )
    noon = parse_instant("2026-11-20T12:00:00Z")
    run.feed(movement_line("12:00:30 receipt A@L 9", 1), noon + 30 * SECOND)
    run.feed(movement_line("12:03:40 sale A@L 1", 2), noon + 31 * SECOND)
    run.restart({"channels": {"web": {}}, "settings": {"erp": {"window": "1m"}}})
    run.advance(noon + 130 * SECOND)
    run.restart()
    run.feed(movement_line("12:02:20 sale A@L 2", 3), noon + 140 * SECOND)
    run.advance(noon + 300 * SECOND)
    booked = [
        (told["window_start"][14:19], told["window_end"][14:19], told["lines"][0]["quantity"])
        for told in run.postings
    ]
    assert booked == [("00:00", "02:00", 9), ("02:00", "03:00", -2), ("03:00", "04:00", -1)]


@pytest.mark.parametrize("granularity", ["sku", "location"])
def test_the_end_of_an_interval_is_no_cause_of_what_it_held_back(
    granularity: str, tmp_path: Path
) -> None:
    """The sale is, which came long before."""
    rule = {"name": "hourly", "min_interval": "1h", "until": "2026-11-20T12:10:00Z"}
    rules = {"channels": {"web": {"granularity": granularity}}, "rules": [rule]}
    run = running(rules, tmp_path, "12:00:00 receipt A@L 10", "12:00:02 sale A@L 1")
    sold = msgspec.json.decode(movement_line("12:00:02 sale A@L 1", 1))
    run.finish()
    (_, told) = run.topics["availability.web"]
    assert (told["available"], told["computed_at"][11:19]) == (9, "12:10:00")
    assert (told["cause"]["source"], told["cause"]["id"]) == (sold["source"], sold["id"])


@pytest.mark.parametrize("before", [{}, {"max_per_key": "5/day"}])
@pytest.mark.parametrize("granularity", ["sku", "location"])
def test_a_budget_of_a_key_that_comes_later_counts_the_last_publication_before_it(
    granularity: str, before: Rules, tmp_path: Path
) -> None:
    """And those that an earlier budget counted; how many others there were is not known."""

    def rules(**publish: str) -> Rules:
        return {"channels": {"web": {"granularity": granularity, "publish": publish}}}

    earlier = ["09:00:00 receipt A@L 10", "10:00:00 sale A@L 1", "11:00:00 sale A@L 1"]
    run = running(rules(**before), tmp_path, *earlier)
    run.change_rules(rules(max_per_key="2/day"))
    tell(run, "12:00:00 sale A@L 1")
    run.finish()
    told = [each["computed_at"][8:19] for each in run.topics["availability.web"]]
    third = "21T09:00:01" if before else "20T11:00:01"
    fourth = [] if before else ["21T10:00:01"]
    assert told == ["20T09:00:01", "20T10:00:01", third, *fourth]


def test_a_budget_that_was_gone_for_a_while_counts_on_when_it_comes_back(tmp_path: Path) -> None:
    """What was told meanwhile is known of the last time alone."""
    budget = {"channels": {"web": {"publish": {"max_per_key": "2/day"}}}}
    run = running(budget, tmp_path, "08:00:00 receipt A@L 10", "09:00:00 sale A@L 1")
    run.change_rules({"channels": {"web": {}}})
    tell(run, "10:00:00 sale A@L 1", "11:00:00 sale A@L 1")
    run.change_rules(budget)
    tell(run, "12:00:00 sale A@L 1")
    run.finish()
    told = [each["computed_at"][8:19] for each in run.topics["availability.web"]]
    assert told == ["20T08:00:01", "20T09:00:01", "20T10:00:01", "21T08:00:01"]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_waits_for_a_window_to_come_keeps_its_business_date(
    restarts: bool, tmp_path: Path
) -> None:
    """It has that of when it was booked, whatever the catalogue says when its window opens."""

    def rules(timezone: str) -> dict[str, Any]:
        return {
            "channels": {"web": {}},
            "settings": {"erp": {"window": "1m"}},
            "locations": [{"location": "L", "timezone": timezone}],
        }

    run = EngineRun(rules_folder(rules("UTC"), tmp_path), "wall")
    noon = parse_instant("2026-11-20T12:00:00Z")
    run.feed(movement_line("12:00:30 receipt A@L 9", 1), noon + 30 * SECOND)
    run.feed(movement_line("12:03:40 sale A@L 1", 2), noon + 31 * SECOND)
    run.restart(rules("Pacific/Kiritimati"))
    run.advance(noon + 130 * SECOND)
    if restarts:
        run.restart()
    run.advance(noon + 300 * SECOND)
    assert [told["business_date"] for told in run.postings] == ["2026-11-20", "2026-11-20"]


def test_whether_other_rules_can_be_put_in_force_is_told_before(tmp_path: Path) -> None:
    """A data folder holds so many channels, those that are gone among them."""
    run = running({"channels": {"web": {}}}, tmp_path, "12:00:00 receipt A@L 10")

    def rules_with(channels: int) -> RuleSet:
        named: Rules = {f"c-{number}": {} for number in range(channels)}
        return load_rules(rules_folder({"channels": named}, tmp_path / str(channels)))

    run.engine.check_rules(rules_with(254))
    with pytest.raises(UsageError, match="256 channels"):
        run.engine.check_rules(rules_with(255))
    assert [channel.name for channel in run.engine.rules.channels] == ["web"]
