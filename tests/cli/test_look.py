"""`sellable stock`, `availability` and `explain`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call, Live, until

LEVELS = [
    "location",
    "sellable",
    "inspecting",
    "damaged",
    "on_hand",
    "reserved",
    "incoming",
    "version",
    "counted_at",
]


def test_stock_is_told_by_location(replayed: Call) -> None:
    """The JSON of stock has exactly these names, on hand being the sum of what is there."""
    found = replayed("stock 10-0001 --data data --json").data
    assert list(found) == ["sku", "unallocated_reserved", "locations"]
    assert found["unallocated_reserved"] == 3
    assert [line["location"] for line in found["locations"]] == ["DC-EAST", "S-0101", "S-0102"]
    store = found["locations"][1]
    assert list(store) == LEVELS
    assert (store["sellable"], store["inspecting"], store["on_hand"]) == (18, 1, 19)
    assert store["counted_at"] == {
        "sellable": "2026-11-10T11:30:00Z",
        "inspecting": None,
        "damaged": None,
    }


def test_stock_at_one_location_shows_that_alone(replayed: Call) -> None:
    """--location narrows the answer."""
    found = replayed("stock 10-0001 --location DC-EAST --data data --json").data
    assert [line["location"] for line in found["locations"]] == ["DC-EAST"]
    assert found["locations"][0]["incoming"] == 96


def test_a_table_has_a_row_for_each_location_and_one_for_all(replayed: Call) -> None:
    """The table for people ends with the sums, and with what is reserved without a location."""
    lines = replayed("stock 10-0001 --data data").out.splitlines()
    assert lines[0].split()[:2] == ["location", "sellable"]
    assert lines[-2].split()[:2] == ["all", "69"]
    assert lines[-1] == "3 units more reserved without a location."


def test_an_unknown_sku_is_a_wrong_call(replayed: Call) -> None:
    """The error names the SKU, as JSON when JSON was asked for."""
    done = replayed("stock 99-9999 --data data --json")
    assert (done.status, done.out) == (2, "")
    assert "99-9999" in json.loads(done.err)["error"]


def test_a_folder_without_an_engine_is_a_wrong_call(call: Call) -> None:
    """Reading never makes a data folder."""
    done = call("stock 10-0001 --data data")
    assert done.status == 2
    assert "there is no data folder at data" in done.err
    assert not Path("data").exists()


def test_availability_shows_each_channel_and_location(replayed: Call) -> None:
    """Published and computed stand side by side; a channel by location has a key for each."""
    found = replayed("availability 10-0001 --data data --json").data
    keys = {(key["channel"], key["location"]): key for key in found["channels"]}
    assert set(keys) == {
        ("web-shop", None),
        ("amazon-us", None),
        ("walmart", None),
        ("ebay", None),
        ("click-and-collect", "S-0101"),
        ("click-and-collect", "S-0102"),
    }
    for key in keys.values():
        assert key["available"] == key["computed"]
        assert not key["pending"]
        assert key["due"] is None
    assert keys["amazon-us", None]["cause"]["id"] == "o-2"


def test_availability_on_an_unknown_channel_is_a_wrong_call(replayed: Call) -> None:
    """The error tells which channels there are."""
    done = replayed("availability 10-0001 --channel amazn --data data")
    assert done.status == 2
    assert "amazon-us" in done.err


def test_the_terms_of_an_explanation_add_up_to_the_number(replayed: Call) -> None:
    """Every term is signed, and their sum is what was published."""
    found = replayed("explain 10-0001 --channel web-shop --data data --json").data
    assert sum(step["quantity"] for step in found["steps"]) == found["available"] == 49
    assert found["published"]["available"] == 49
    assert not found["pending"]
    winners = [decision["winner"] for decision in found["decisions"] if decision["winner"]]
    assert [(each["name"], each["file"]) for each in winners] == [
        ("store shelf buffer", "base.rules.yaml")
    ]
    assert winners[0]["line"] > 0
    assert [move["id"] for move in found["last_movements"]] == ["o-4", "r-1", "o-2", "o-1"]


def test_an_explanation_reads_like_a_ledger(replayed: Call) -> None:
    """People see signed terms, the winner with its file and line, and why the others lost."""
    text = replayed("explain 10-0001 --channel click-and-collect --location S-0101 --data data").out
    lines = text.splitlines()
    assert lines[0] == "10-0001 on click-and-collect at S-0101: 12 available, in_stock"
    assert any(line.split()[:3] == ["+18", "sellable", "S-0101"] for line in lines)
    assert any(line.split()[:2] == ["-4", "cap"] for line in lines)
    assert "won   store shelf buffer (base.rules.yaml:" in text
    assert "lost  peak store buffer (peak.rules.yaml:" in text
    assert "not in force before 2026-11-26T05:00:00Z" in text
    assert "nothing is pending" in text


def test_a_location_is_asked_for_where_the_channel_has_one_number_each(replayed: Call) -> None:
    """Leaving it out is a wrong call that says what to add."""
    done = replayed("explain 10-0001 --channel click-and-collect --data data")
    assert done.status == 2
    assert "Name a location" in done.err


def test_a_running_engine_can_be_looked_at(live: Live, call: Call) -> None:
    """Stock, availability and explanations are read while an engine writes the folder."""
    live.send(id="c1", type="count", sku="10-0001", location="DC-EAST", quantity=40)
    until(lambda: call("stock 10-0001 --data data").status == 0)
    live.send(id="t1", type="sale", sku="10-0001", location="DC-EAST", quantity=3)

    def sold() -> bool:
        found = call("stock 10-0001 --data data --json").data
        return bool(found["locations"][0]["sellable"] == 37)

    until(sold)

    def published() -> bool:
        found = call("availability 10-0001 --channel web-shop --data data --json").data
        return bool(found["channels"][0]["available"] == 37)

    until(published)
    explained = call("explain 10-0001 --channel web-shop --data data --json").data
    assert explained["published"]["cause"]["id"] == "t1"
    assert explained["available"] == 37
    assert live.stop().status == 0


def test_what_is_held_back_is_told_with_its_time(live: Live, call: Call) -> None:
    """A change that waits out the channel's interval is pending, and due when that has passed."""
    live.send(id="c1", type="count", sku="10-0001", location="DC-EAST", quantity=400)

    def first_told() -> bool:
        done = call("availability 10-0001 --channel ebay --data data --json")
        return done.status == 0 and done.data["channels"][0]["version"] == 1

    until(first_told)
    live.send(id="t1", type="sale", sku="10-0001", location="DC-EAST", quantity=90)

    def held() -> bool:
        return bool(
            call("availability 10-0001 --channel ebay --data data --json").data["channels"][0][
                "pending"
            ]
        )

    until(held)
    key = call("availability 10-0001 --channel ebay --data data --json").data["channels"][0]
    assert key["computed"] < key["available"]
    assert key["due"] > key["computed_at"]
    text = call("explain 10-0001 --channel ebay --data data").out
    assert f"is pending, due at {key['due']}" in text


def test_where_the_channel_has_no_key_nothing_is_pending(replayed: Call) -> None:
    """Neither at a location that it does not sell from, nor where the item never was."""
    for location in ("DC-EAST", "S-0999"):
        asked = f"explain 10-0001 --channel click-and-collect --location {location} --data data"
        found = replayed(f"{asked} --json").data
        assert (found["available"], found["published"]) == (0, None)
        assert (found["pending"], found["due"]) == (False, None)
        assert replayed(asked).out.endswith("nothing yet\n  nothing is pending\n")


def test_under_rules_that_are_broken_meanwhile_it_is_told_who_still_has_those_in_force(
    replayed: Call, workspace: Path
) -> None:
    """The data folder knows them by their fingerprint only."""
    (workspace / "rules/channels.yaml").write_text("channels: [")
    for line in ("explain 10-0001 --channel web-shop", "availability 10-0001"):
        done = replayed(f"{line} --data data --json")
        assert (done.status, done.out) == (2, "")
        told = json.loads(done.err)
        assert "channels.yaml:1" in told["error"]
        assert "--url" in told["advice"]
        assert "--rules" in told["advice"]


def test_a_number_explained_under_other_rules_than_those_in_force_says_so(
    replayed: Call, workspace: Path
) -> None:
    """Somebody has edited the folder, and no engine has taken it up yet."""
    line = "explain 10-0001 --channel web-shop --data data"
    assert replayed(line).err == ""
    (workspace / "rules/more.rules.yaml").write_text("rules: [{name: none, cap: 0, priority: 9}]")
    done = replayed(f"{line} --json")
    assert done.err.startswith("note: ")
    assert done.data["available"] == 0
    assert replayed(f"{line} --rules rules").err == ""
