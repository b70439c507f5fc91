"""Trying other rules over HTTP, on live stock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service_under_test import Shop, unique

CHANNELS = """\
channels:
  web-shop: {publish: {low_stock: 5}}
  slow: {publish: {min_interval: 1h}}
  click-and-collect: {granularity: location, locations: {types: [store]}}
"""
WALK_INS = "rules:\n- {name: kept for walk-ins, when: {channels: [slow]}, buffer: {units: 1}}\n"


def try_out(shop: Shop, files: dict[str, str], **asked: Any) -> Any:
    """Ask what would change."""
    return shop.http.post("/v1/rules/what-if", json={"files": files}, params=asked)


def capped(sku: str, cap: int) -> dict[str, str]:
    """The rules in force, and a cap for one SKU."""
    more = f"rules:\n- {{name: capped, when: {{skus: [{sku}]}}, cap: {cap}}}\n"
    return {"channels.yaml": CHANNELS, "a.rules.yaml": WALK_INS, "capped.rules.yaml": more}


def test_what_would_change_is_told_and_nothing_is_changed(shop: Shop) -> None:
    """Now and then, of every key that would be told something else."""
    sku = shop.stocked(9)
    shop.stocked(4, "S-1", sku)
    shop.published(sku, "web-shop", 13)
    before = shop.http.get("/v1/rules").headers["etag"]
    answer = try_out(shop, capped(sku, 3))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["compared_with"] == "rules"
    assert told["fingerprint"] not in before
    changes = {(one["sku"], one["channel"], one["location"]): one for one in told["changes"]}
    assert set(changes) == {
        (sku, "web-shop", None),
        (sku, "slow", None),
        (sku, "click-and-collect", "S-1"),
    }
    assert changes[sku, "web-shop", None] == {
        "sku": sku,
        "channel": "web-shop",
        "location": None,
        "now": 13,
        "status_now": "in_stock",
        "then": 3,
        "status_then": "low_stock",
        "difference": -10,
    }
    assert told["changed"] == 3 <= told["keys"]
    sums = {one["channel"]: one for one in told["channels"]}
    assert sums["web-shop"]["available_now"] - sums["web-shop"]["available_then"] == 10
    assert shop.http.get("/v1/rules").headers["etag"] == before
    shop.published(sku, "web-shop", 13)


def test_the_rules_in_force_change_nothing(shop: Shop) -> None:
    """Settings and catalogue stay without being sent, and so is the fingerprint the same."""
    shop.stocked(2)
    told = try_out(shop, {"channels.yaml": CHANNELS, "a.rules.yaml": WALK_INS}).json()
    assert f'"{told["fingerprint"]}"' == shop.http.get("/v1/rules").headers["etag"]
    assert (told["changed"], told["changes"]) == (0, [])


def test_one_channel_and_the_largest_changes_can_be_asked_for(shop: Shop) -> None:
    """All changes are counted all the same."""
    sku, other = shop.stocked(9), shop.stocked(5)
    files = {
        "channels.yaml": CHANNELS,
        "a.rules.yaml": WALK_INS,
        "b.rules.yaml": f"rules:\n- {{name: none, when: {{skus: [{sku}, {other}]}}, cap: 0}}\n",
    }
    told = try_out(shop, files, channel="web-shop", limit=1).json()
    assert [one["channel"] for one in told["channels"]] == ["web-shop"]
    assert told["changed"] == told["channels"][0]["sold_out"] == 2
    assert [(one["sku"], one["difference"]) for one in told["changes"]] == [(sku, -9)]
    missing = try_out(shop, files, channel="nope")
    assert missing.status_code == 404
    assert "web-shop" in missing.json()["advice"]


def test_mistakes_are_all_told_with_file_line_and_remedy(shop: Shop) -> None:
    """None of them alone."""
    files = {
        "channels.yaml": "channels:\n  web-shop: {publish: {min_interval: soon}}\n",
        "a.rules.yaml": "rules:\n- {name: x, capp: 3}\n",
    }
    answer = try_out(shop, files)
    told = answer.json()
    assert (answer.status_code, told["title"]) == (422, "The rules have mistakes")
    found = {(one["file"], one["line"]) for one in told["mistakes"]}
    assert {("channels.yaml", 2), ("a.rules.yaml", 2)} <= found
    assert all(one["message"] and one["remedy"] for one in told["mistakes"])
    assert try_out(shop, {}).json()["mistakes"][0]["file"] == "channels.yaml"


def test_what_is_allowed_and_hardly_meant_is_a_warning(shop: Shop) -> None:
    """As `rules check` tells it."""
    more = "rules:\n- {name: far, when: {locations: [NOWHERE]}, exclude: true}\n"
    told = try_out(shop, {"channels.yaml": CHANNELS, "far.rules.yaml": more}).json()
    assert [one["file"] for one in told["warnings"]] == ["far.rules.yaml"]


@pytest.mark.parametrize(
    "name", ["../a.rules.yaml", "/etc/passwd", "tests/../a.yaml", "a.txt", ".hid.rules.yaml"]
)
def test_a_file_that_no_rules_folder_holds_is_refused(shop: Shop, name: str) -> None:
    """With where it stands in the body."""
    answer = try_out(shop, {"channels.yaml": CHANNELS, name: "rules: []\n"})
    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/files/" + name.replace("/", "~1")


def test_too_many_and_too_large_files_are_refused(shop: Shop) -> None:
    """Before anything is read of them."""
    many = {f"{unique('r')}.rules.yaml": "" for _ in range(201)}
    assert try_out(shop, many).status_code == 422
    large = {"channels.yaml": CHANNELS, "a.rules.yaml": "#" * (4 * 1024 * 1024 + 1)}
    assert try_out(shop, large).json()["pointer"] == "/files/a.rules.yaml"
    huge = {f"{n}.rules.yaml": "#" * (3 * 1024 * 1024) for n in range(3)}
    assert try_out(shop, huge).status_code == 413
