"""What a reader of a data folder is told, beside the engine that writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import NotFoundError, UsageError
from engine.contracts.instants import format_instant, parse_instant
from engine.stores.memory import MemoryStore
from tests.core.harness import EngineRun, rules_folder
from tests.oracle import generate, random_rules
from tests.oracle.generate import DEFAULT_SKUS
from tests.oracle.scenarios import movement_line

RULES: dict[str, Any] = {
    "channels": {
        "web": {"publish": {"min_interval": "30s"}},
        "shop": {"granularity": "location", "locations": {"ids": ["L"]}},
    }
}


def told(folder: Path, *story: str, rules: dict[str, Any] | None = None) -> EngineRun:
    """An engine that has taken some movements."""
    run = EngineRun(rules_folder(rules or RULES, folder))
    run.feed_all([movement_line(text, number) for number, text in enumerate(story)])
    return run


def due_by_key(run: EngineRun) -> dict[tuple[str, str, str | None], str]:
    """When each key that is held back may be told, as a reader finds it."""
    found = {}
    view = run.view()
    for sku in DEFAULT_SKUS:
        try:
            keys = view.availability(run.rules, sku)
        except NotFoundError:
            continue
        for key in keys:
            if key.due is not None:
                found[key.channel, sku, key.location] = format_instant(key.due)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_key_is_published_when_a_reader_was_told_that_it_would_be(
    seed: int, tmp_path: Path
) -> None:
    """On channels without a rate, where nothing but the key's own limits holds it back."""
    rules = random_rules(seed)
    rules["settings"] = {**rules["settings"], "drain": "60d"}
    rules["rules"] = [each for each in rules["rules"] if not {"from", "until"} & set(each)]
    for channel in rules["channels"].values():
        channel.get("publish", {}).pop("max_rate", None)
    run = EngineRun(rules_folder(rules, tmp_path))
    lines = generate(seed, 60, channels=list(rules["channels"]))
    run.feed_all([line for line in lines if b"expires_at" not in line])
    due = due_by_key(run)
    before = {channel: len(records) for channel, records in run.publications.items()}
    run.finish()
    came = {
        (channel, record["sku"], record["location"]): record["computed_at"]
        for channel, records in run.publications.items()
        for record in records[before[channel] :]
    }
    assert due == came
    assert due_by_key(run) == {}


def test_a_key_held_back_by_a_rule_of_its_own_is_due_when_that_allows(tmp_path: Path) -> None:
    """A rule's interval takes the place of the channel's, at one location too."""
    rule = {"name": "hourly", "min_interval": "1h", "when": {"skus": ["A"]}}
    story = ("12:00:00 receipt A@L 10", "12:00:02 receipt B@L 5", "12:00:09 sale A@L 1")
    run = told(tmp_path, *story, rules={**RULES, "rules": [rule]})
    assert due_by_key(run) == {}
    due = {
        key.channel: None if key.due is None else format_instant(key.due)
        for key in run.view().availability(run.rules, "A")
    }
    assert due == {"web": "2026-11-20T13:00:01Z", "shop": "2026-11-20T13:00:01Z"}


def test_a_key_held_back_by_the_rate_is_due_when_that_allows_the_next(tmp_path: Path) -> None:
    """With one publication a minute, of which the first is told."""
    rules = {"channels": {"web": {"publish": {"max_rate": "1/min"}}}}
    story = ("12:00:00 receipt A@L 10", "12:00:00 receipt B@L 5", "12:00:09 expect A@L 1")
    run = told(tmp_path, *story, rules=rules)
    (key,) = run.view().availability(run.rules, "B")
    assert (key.published, key.due) == (None, parse_instant("2026-11-20T12:01:01Z"))
    run.finish()
    assert [told["computed_at"][11:19] for told in run.publications["web"]] == [
        "12:00:01",
        "12:01:01",
    ]


def test_stock_that_never_was_at_a_location_is_not_found(tmp_path: Path) -> None:
    """The answer says what to leave out."""
    view = told(tmp_path, "12:00:00 receipt A@L 10").view()
    assert [row.sellable for row in view.stock("A", "L")[1]] == [10]
    with pytest.raises(NotFoundError, match="A was ever at M") as caught:
        view.stock("A", "M")
    assert "Leave the location out" in caught.value.advice
    with pytest.raises(NotFoundError):
        view.stock("B")


@pytest.mark.parametrize("name", ["x-00000002", "x-", "7", "x-seven"])
def test_an_exception_that_is_not_there_is_not_found(name: str, tmp_path: Path) -> None:
    """Whatever it is called."""
    run = told(tmp_path, "12:00:00 sale A@L 1")
    assert run.view().exception("x-00000001").record.code == "negative_stock"
    with pytest.raises(NotFoundError, match="no exception"):
        run.view().exception(name)


def test_a_channel_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    """The answer names those that are."""
    run = told(tmp_path, "12:00:00 receipt A@L 1")
    with pytest.raises(UsageError) as caught:
        run.view().availability(run.rules, "A", "wep")
    assert "web, shop" in caught.value.advice


def test_a_channel_that_the_engine_has_not_met_has_published_nothing(tmp_path: Path) -> None:
    """A reader may come with newer rules than the engine has in force."""
    run = told(tmp_path, "12:00:00 receipt A@L 3", "12:00:05 reserve A 1 reservation=r channel=web")
    newer = EngineRun(rules_folder({"channels": {"new": {}}}, tmp_path / "newer")).rules
    (key,) = run.view().availability(newer, "A")
    assert (key.channel, key.published, key.computed) == ("new", None, 2)
    answer = run.view().explain(newer, "A", "new", None)
    assert answer.explanation.available == 2


def test_a_location_is_shown_only_where_the_channel_sells_from_it_or_has_sold(
    tmp_path: Path,
) -> None:
    """`shop` sells from L; a key that was published once stays, with 0."""
    run = told(tmp_path, "12:00:00 receipt A@L 3", "12:00:00 receipt A@M 3")
    run.finish()
    shop = [(key.location, key.computed) for key in run.view().availability(run.rules, "A", "shop")]
    assert shop == [("L", 3)]
    elsewhere = {"granularity": "location", "locations": {"ids": ["M"]}}
    run.change_rules({"channels": {"shop": elsewhere}})
    shop = [(key.location, key.computed) for key in run.view().availability(run.rules, "A", "shop")]
    assert shop == [("L", 0), ("M", 3)]


def test_an_explanation_names_the_movements_that_bear_on_a_location(tmp_path: Path) -> None:
    """Newest first; those elsewhere are left out, those without a location are not."""
    story = (
        "12:00:00 receipt A@L 9",
        "12:00:01 sale A@M 1",
        "12:00:02 reserve A 1 reservation=r",
        "12:00:03 sale A@L 1",
    )
    view, rules = (run := told(tmp_path, *story)).view(), run.rules
    assert [trace[1] for trace in view.explain(rules, "A", "shop", "L").last_movements] == [
        "m3",
        "m2",
        "m0",
    ]
    assert len(view.explain(rules, "A", "web", None).last_movements) == 4


def test_the_last_movement_of_a_location_is_named_however_many_came_elsewhere(
    tmp_path: Path,
) -> None:
    """Also where a channel by SKU sells from some locations only, and where a transfer goes."""
    run = EngineRun(
        rules_folder({"channels": {"web": {"locations": {"ids": ["L", "K"]}}, "all": {}}}, tmp_path)
    )
    story = ["12:00:00 receipt A@L 9", "12:00:01 transfer A@M 1 to_location=K"]
    story += [f"12:01:0{number} receipt A@M 1" for number in range(6)]
    for number, text in enumerate(story):
        run.feed_all([movement_line(text, number)])
    view, rules = run.view(), run.rules
    named = [trace[1] for trace in view.explain(rules, "A", "web", None).last_movements]
    assert named == ["m1", "m0"]
    named = [trace[1] for trace in view.explain(rules, "A", "all", None).last_movements]
    assert named == ["m7", "m6", "m5", "m4"]


def test_a_reader_goes_on_among_the_skus_after_any_of_them(tmp_path: Path) -> None:
    """So that it may rest in between, and finds each of them once."""
    names = ("A", "A-1", "B")
    run = told(tmp_path, *(f"12:00:00 receipt {name}@L 1" for name in names))
    view = run.view()
    assert [stored.sku for stored in view.skus()] == list(names)
    assert [stored.sku for stored in view.skus("A")] == ["A-1", "B"]
    assert [stored.sku for stored in view.skus("B")] == []


def test_what_is_stored_of_a_sku_is_read_once_however_many_keys_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So looking at a SKU that is in a thousand stores takes no thousand times as long."""
    places = [f"L{number}" for number in range(20)]
    rules = {"channels": {"web": {}, "shop": {"granularity": "location"}}}
    run = told(tmp_path, *(f"12:00:00 receipt A@{place} 10" for place in places), rules=rules)
    view, scans = run.view(), []

    def scan(prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        scans.append(prefix)
        return MemoryStore.scan(run.store, prefix, start)

    monkeypatch.setattr(run.store, "scan", scan)
    assert len(view.availability(run.rules, "A")) == 1 + len(places)
    assert scans == [b"KA|"]
