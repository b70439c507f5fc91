"""`POST /v1/observations`, over every runtime."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.contracts.outcomes import OBSERVATION_OUTCOMES
from tests.api.service_under_test import Shop, movement, now, unique


def observation(sku: str, quantity: object, **more: Any) -> dict[str, Any]:
    """What a warehouse believes of a SKU at DC."""
    return {
        "source": "wms",
        "sku": sku,
        "location": "DC",
        "quantity": quantity,
        "observed_at": now(),
        **more,
    }


def observe(shop: Shop, *observations: Any) -> dict[str, Any]:
    """Send observations; what became of them."""
    answer = shop.http.post("/v1/observations", json=list(observations))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_each_observation_is_answered_in_order_with_its_finding(shop: Shop) -> None:
    """It agrees, differs, came before, or is refused and kept as an exception."""
    sku = shop.stocked(40)
    agreeing, short = observation(sku, 40), observation(sku, 37, source="erp")
    wrong = observation(sku, "many")
    told = observe(shop, agreeing, short, agreeing, wrong)
    outcomes = told.pop("outcomes")
    assert told == {"received": 4, "agrees": 1, "differs": 1, "duplicate": 1, "refused": 1}
    assert [one["outcome"] for one in outcomes] == ["agrees", "differs", "duplicate", "refused"]
    assert {(one["sku"], one["location"], one["disposition"]) for one in outcomes[:3]} == {
        (sku, "DC", "sellable")
    }
    finding = outcomes[1]["finding"]
    assert (finding["expected"], finding["observed"], finding["difference"]) == (40, 37, -3)
    assert (finding["class"], finding["action"], finding["source"]) == ("shrink", "review", "erp")
    assert [one["finding"] for one in (outcomes[0], outcomes[2], outcomes[3])] == [None] * 3
    assert (outcomes[3]["code"], outcomes[3]["sku"]) == ("invalid_field", sku)
    assert "quantity" in outcomes[3]["message"]


def test_the_metrics_tell_how_observations_ended(shop: Shop) -> None:
    """By what became of them, and the differences by their class."""
    sku = shop.stocked(12)
    before = counted(shop)
    agreeing = observation(sku, 12)
    observe(shop, agreeing, agreeing, observation(sku, 11, source="erp"), observation(sku, "x"))
    after = counted(shop)
    names = [f'observations_total{{outcome="{name}"}}' for name in OBSERVATION_OUTCOMES]
    for name in (*names, 'findings_total{class="shrink"}'):
        assert after[name] == before.get(name, 0.0) + 1, name


def counted(shop: Shop) -> dict[str, float]:
    """What `/metrics` tells now, by name and label."""
    lines = shop.http.get("/metrics").text.splitlines()
    told = (line.rpartition(" ") for line in lines if line.startswith("sellable_"))
    return {name.removeprefix("sellable_"): float(value) for name, _, value in told}


def test_an_observation_is_compared_with_the_book_as_of_its_time(shop: Shop) -> None:
    """What moved since makes no difference."""
    sku = unique("SKU")
    shop.send(movement("receipt", sku, location="DC", quantity=9, occurred_at=now(minutes=-50)))
    shop.send(movement("sale", sku, location="DC", quantity=4, occurred_at=now(minutes=-10)))
    told = observe(shop, observation(sku, 9, observed_at=now(minutes=-30)), observation(sku, 5))
    assert [one["expected"] for one in told["outcomes"]] == [9, 5]
    assert told["agrees"] == 2


def test_nothing_is_adjusted_where_no_policy_says_so(shop: Shop) -> None:
    """The stock stays, whatever others believe."""
    sku = shop.stocked(12)
    assert observe(shop, observation(sku, 0))["differs"] == 1
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 12


def test_lines_are_taken_as_well_as_an_array(shop: Shop) -> None:
    """As NDJSON, with blank lines."""
    sku = shop.stocked(3)
    body = f"\n{json.dumps(observation(sku, 3))}\r\n\n{json.dumps(observation(sku, 2, source='e'))}"
    headers = {"Content-Type": "application/x-ndjson"}
    answer = shop.http.post("/v1/observations", content=body, headers=headers)
    assert [one["outcome"] for one in answer.json()["outcomes"]] == ["agrees", "differs"]


def test_what_is_refused_is_kept_and_can_be_mended_and_replayed(shop: Shop) -> None:
    """An observation whose location was missing is compared once it has one."""
    sku = shop.stocked(8)
    wrong = observation(sku, 6, source=unique("wms"))
    del wrong["location"]
    (refused,) = observe(shop, wrong)["outcomes"]
    exception = refused["exception"]
    replayed = shop.http.post(
        f"/v1/exceptions/{exception}/replay", json={"set": {"location": "DC"}}
    )
    assert replayed.status_code == 200, replayed.text
    assert replayed.json() == {"exception": exception, "outcome": "differs"}
    assert observe(shop, {**wrong, "location": "DC"})["duplicate"] == 1


@pytest.mark.parametrize("body", ["{}", "7", "[", "\udc80"])
def test_a_body_that_holds_no_observations_is_refused_whole(shop: Shop, body: str) -> None:
    """With what to send."""
    content = body.encode(errors="surrogateescape")
    headers = {"Content-Type": "application/json"}
    answer = shop.http.post("/v1/observations", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_more_than_a_thousand_at_once_are_turned_away(shop: Shop) -> None:
    """And nothing of them was taken."""
    sku = shop.stocked(1)
    one = observation(sku, 1)
    answer = shop.http.post("/v1/observations", json=[one] * 1001)
    assert answer.status_code == 422
    assert "1,001 observations" in answer.json()["detail"]
    assert observe(shop, one)["agrees"] == 1
