"""Lookups, explanations, channels and rules, over every runtime."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.api.service_under_test import RULES, Shop, movement, unique


def test_a_lookup_tells_what_was_published_last(shop: Shop) -> None:
    """With version, status, tick and cause."""
    sku = shop.stocked(7)
    item = shop.published(sku, "web-shop", 7)
    assert (item["version"], item["status"]) == (1, "in_stock")
    assert item["cause"]["source"] == "test"
    shop.send(movement("sale", sku, location="DC", quantity=4))
    item = shop.published(sku, "web-shop", 3)
    assert (item["version"], item["status"]) == (2, "low_stock")
    assert item["pending_since"] is None


def test_every_answer_says_how_old_it_is(shop: Shop) -> None:
    """`as_of` and the seconds since, on every call that tells of stock."""
    sku = shop.stocked(7)
    shop.published(sku, "web-shop", 7)
    name = shop.reserve(sku, 1).json()["reservation"]
    for path in (
        f"/v1/availability?sku={sku}",
        "/v1/availability?channel=web-shop",
        f"/v1/availability/{sku}",
        f"/v1/stock/{sku}",
        f"/v1/explain?sku={sku}&channel=web-shop",
        f"/v1/reservations/{sku}/{name}",
        "/v1/channels",
        "/v1/exceptions",
        "/v1/rules",
        "/readyz",
    ):
        told = shop.http.get(path).json()
        assert datetime.fromisoformat(told["as_of"]).tzinfo is not None, path
        assert 0 <= told["staleness_seconds"] < 60, path


def test_a_number_that_is_held_back_says_since_when(shop: Shop) -> None:
    """The channel may be told once an hour; until then the lookup tells the old number."""
    sku = shop.stocked(7)
    shop.published(sku, "slow", 6)
    shop.send(movement("receipt", sku, location="DC", quantity=3))
    shop.published(sku, "web-shop", 10)
    item = shop.look_up(sku=sku, channel="slow")["items"][0]
    assert item["available"] == 6
    assert item["pending_since"] is not None
    (key,) = shop.http.get(f"/v1/availability/{sku}?channel=slow").json()["channels"]
    assert (key["available"], key["computed"], key["pending"]) == (6, 9, True)
    assert key["due"] > key["computed_at"]


def test_a_number_that_has_not_changed_needs_no_body(shop: Shop) -> None:
    """304 for the ETag of the version; another one once it was published anew."""
    sku = shop.stocked(7)
    shop.published(sku, "web-shop", 7)
    asked = {"sku": sku, "channel": "web-shop"}
    tag = shop.http.get("/v1/availability", params=asked).headers["etag"]
    same = shop.http.get("/v1/availability", params=asked, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == tag
    assert same.headers["sellable-as-of"]
    shop.send(movement("sale", sku, location="DC", quantity=4))
    shop.published(sku, "web-shop", 3)
    other = shop.http.get("/v1/availability", params=asked, headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_a_tag_is_known_among_others_weak_or_not_and_any_by_a_star(shop: Shop) -> None:
    """As RFC 9110 compares If-None-Match; what only looks like the tag is another one."""
    sku = shop.stocked(7)
    shop.published(sku, "web-shop", 7)
    asked = {"sku": sku, "channel": "web-shop"}
    tag = shop.http.get("/v1/availability", params=asked).headers["etag"]
    strong = tag.removeprefix("W/")
    expected = {f'"x", {tag}': 304, f'{strong},"x"': 304, "*": 304, '"x"': 200, strong[1:-1]: 200}
    for told, status in expected.items():
        answer = shop.http.get("/v1/availability", params=asked, headers={"If-None-Match": told})
        assert answer.status_code == status, told


def test_the_nearest_stores_are_told_in_the_order_asked_for(shop: Shop) -> None:
    """Also those where the SKU never was."""
    sku = unique("SKU")
    shop.stocked(2, "S-2", sku)
    shop.stocked(1, "S-1", sku)
    shop.published(sku, "click-and-collect", 2, "S-2")
    shop.published(sku, "click-and-collect", 1, "S-1")
    found = shop.look_up(sku=sku, channel="click-and-collect", location=["S-2", "S-9", "S-1"])[
        "items"
    ]
    assert [(one["location"], one["available"]) for one in found] == [
        ("S-2", 2),
        ("S-9", None),
        ("S-1", 1),
    ]


def test_without_locations_every_store_that_has_it_is_told(shop: Shop) -> None:
    """A warehouse that the channel does not sell from is not among them."""
    sku = unique("SKU")
    for place in ("S-1", "S-2", "DC"):
        shop.stocked(2, place, sku)
    shop.published(sku, "click-and-collect", 2, "S-2")
    found = shop.look_up(sku=sku, channel="click-and-collect")["items"]
    assert [one["location"] for one in found] == ["S-1", "S-2"]


def test_several_skus_on_every_channel(shop: Shop) -> None:
    """Without a channel all of them are told."""
    one, other = shop.stocked(2), shop.stocked(3)
    shop.published(other, "web-shop", 3)
    found = shop.look_up(sku=[one, other])["items"]
    assert [(item["sku"], item["channel"]) for item in found] == [
        (one, "web-shop"),
        (one, "slow"),
        (other, "web-shop"),
        (other, "slow"),
    ]


def test_a_list_of_keys_is_answered_in_its_order(shop: Shop) -> None:
    """A key that was never published has no number, and version 0."""
    sku = unique("SKU")
    shop.stocked(4, "S-1", sku)
    shop.published(sku, "web-shop", 4)
    shop.published(sku, "click-and-collect", 4, "S-1")
    keys = [
        {"sku": "nobody", "channel": "web-shop"},
        {"sku": sku, "channel": "click-and-collect", "location": "S-1"},
        {"sku": sku, "channel": "web-shop"},
    ]
    told = shop.http.post("/v1/availability/lookup", json={"keys": keys}).json()
    found = [(one["sku"], one["location"], one["available"]) for one in told["items"]]
    assert found == [("nobody", None, None), (sku, "S-1", 4), (sku, None, 4)]
    assert told["items"][0]["version"] == 0


def test_a_thousand_keys_are_looked_up_and_one_more_is_not(shop: Shop) -> None:
    """422 with advice."""
    key = {"sku": shop.stocked(1), "channel": "web-shop"}
    path = "/v1/availability/lookup"
    assert len(shop.http.post(path, json={"keys": [key] * 1_000}).json()["items"]) == 1_000
    assert shop.http.post(path, json={"keys": [key] * 1_001}).status_code == 422


def test_a_channel_can_be_read_page_by_page(shop: Shop) -> None:
    """Every key comes once, in order, whatever the size of a page."""
    mine = [shop.stocked(2, "S-1") for _ in range(5)]
    shop.published(mine[-1], "web-shop", 2)
    shop.published(mine[-1], "click-and-collect", 2, "S-1")
    for channel in ("web-shop", "click-and-collect"):
        whole = [one["sku"] for one in pages(shop, channel=channel, limit=1_000)]
        assert [one["sku"] for one in pages(shop, channel=channel, limit=2)] == whole
        assert whole == sorted(whole)
        assert set(mine) <= set(whole)
    both = pages(shop, limit=3)
    assert {one["channel"] for one in both} == set(RULES["channels"])
    assert len({(one["channel"], one["sku"], one["location"]) for one in both}) == len(both)


def pages(shop: Shop, **asked: Any) -> list[dict[str, Any]]:
    """All rows, page after page."""
    told = shop.look_up(**asked)
    found: list[dict[str, Any]] = told["items"]
    while told["next"] is not None:
        told = shop.look_up(**asked, after=told["next"])
        found += told["items"]
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/v1/availability?sku=nobody",
        "/v1/availability?sku=nobody&sku=nobody-else",
        "/v1/availability?sku=nobody&channel=nowhere",
        "/v1/availability?after=nowhere/x",
        "/v1/availability/nobody",
        "/v1/stock/nobody",
        "/v1/explain?sku=nobody&channel=web-shop",
        "/v1/reservations/nobody/none",
        "/v1/%ff",
        "/v1/stock/%ff",
        "/v1/nothing",
        "/",
    ],
)
def test_what_is_not_there_is_a_problem_with_advice(shop: Shop, path: str) -> None:
    """404, whatever is missing."""
    answer = shop.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["advice"]


def test_a_channel_by_location_is_explained_there_only(shop: Shop) -> None:
    """Without a location, or with one too much, there is no such key."""
    sku = unique("SKU")
    shop.stocked(4, "S-1", sku)
    path = f"/v1/explain?sku={sku}&channel="
    assert shop.http.get(f"{path}click-and-collect").status_code == 404
    assert shop.http.get(f"{path}web-shop&location=S-1").status_code == 404
    told = shop.http.get(f"{path}click-and-collect&location=S-1").json()
    assert told["available"] == 4


def test_an_explanation_adds_up_to_the_number(shop: Shop) -> None:
    """Every term with its sign, the rule that won, what was told and who moved it."""
    sku = shop.stocked(7)
    shop.published(sku, "slow", 6)
    told = shop.http.get(f"/v1/explain?sku={sku}&channel=slow").json()
    assert sum(step["quantity"] for step in told["steps"]) == told["available"] == 6
    (decision,) = told["decisions"]
    assert decision["winner"]["name"] == "kept for walk-ins"
    assert told["published"]["version"] == 1
    assert told["last_movements"][0]["type"] == "receipt"


def test_stock_may_be_asked_for_at_one_location(shop: Shop) -> None:
    """Without, every location is told."""
    sku = unique("SKU")
    shop.stocked(4, "S-1", sku)
    shop.stocked(5, "DC", sku)
    told = shop.http.get(f"/v1/stock/{sku}?location=DC").json()
    assert [line["sellable"] for line in told["locations"]] == [5]
    assert len(shop.http.get(f"/v1/stock/{sku}").json()["locations"]) == 2
    assert shop.http.get(f"/v1/stock/{sku}?location=S-2").status_code == 404


def test_the_channels_say_how_far_they_are_behind(shop: Shop) -> None:
    """In the order of the rules, each with what its limits hold back."""
    told = shop.http.get("/v1/channels").json()["channels"]
    assert [one["channel"] for one in told] == list(RULES["channels"])
    assert [one["granularity"] for one in told] == ["sku", "sku", "location"]
    assert all(one["pending"] >= 0 and one["lag_seconds"] >= 0 for one in told)


def test_the_rules_in_force_are_told_with_a_tag(shop: Shop) -> None:
    """304 as long as nothing changes that matters to a number."""
    answer = shop.http.get("/v1/rules")
    told = answer.json()
    (rule,) = told["rules"]
    assert (rule["name"], rule["effects"]) == ("kept for walk-ins", {"location_buffer": "1 unit"})
    assert rule["when"] == {"channels": ["slow"]}
    assert answer.headers["etag"] == f'"{told["fingerprint"]}"'
    again = shop.http.get("/v1/rules", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
