"""`POST /v1/movements`, over every runtime."""

from __future__ import annotations

import json
import re

import pytest

from tests.api.service_under_test import Shop, movement, now, unique


def test_each_movement_is_answered_with_its_outcome_in_the_order_of_their_coming(
    shop: Shop,
) -> None:
    """Applied, absorbed, rejected, refused and duplicate in one call."""
    sku = unique("SKU")
    receipt = movement("receipt", sku, location="DC", quantity=5)
    late = movement("sale", sku, location="DC", quantity=1, occurred_at=now(minutes=-2))
    count = movement("count", sku, location="DC", quantity=7, occurred_at=now(minutes=-1))
    reserve = movement("reserve", sku, quantity=50, reservation=unique("r"))
    wrong = movement("sale", sku, location="DC", quantity="2")
    found = shop.send(receipt, count, late, reserve, wrong, receipt)
    assert [one["outcome"] for one in found] == [
        "applied",
        "applied",
        "absorbed",
        "rejected",
        "refused",
        "duplicate",
    ]
    assert [one["id"] for one in found] == [
        one["id"] for one in (receipt, count, late, reserve, wrong, receipt)
    ]
    assert {(one["source"], one["sku"]) for one in found} == {("test", sku)}
    assert [one["code"] for one in found] == [None] * 4 + ["invalid_field", None]


def test_an_answered_movement_is_in_the_stock(shop: Shop) -> None:
    """Whoever has the answer finds it in the very next lookup."""
    sku = shop.stocked(5)
    shop.send(movement("sale", sku, location="DC", quantity=2))
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 3


def test_the_same_call_again_harms_nothing(shop: Shop) -> None:
    """Every movement is a duplicate then, and the stock is what it was."""
    sku = unique("SKU")
    movements = [movement("receipt", sku, location="DC", quantity=n) for n in (1, 2, 3)]
    shop.send(*movements)
    assert {one["outcome"] for one in shop.send(*movements)} == {"duplicate"}
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 6


def test_what_is_refused_is_kept_as_it_came_and_the_answer_names_it(shop: Shop) -> None:
    """Also what is no movement at all, whose identity nobody can read."""
    wrong = movement("sale", unique("SKU"), location="DC", quantity=0)
    found = shop.send(wrong, 7, {"id": 5, "sku": "A"})  # type: ignore[arg-type]
    assert [one["code"] for one in found] == ["invalid_field", "malformed", "unknown_type"]
    assert [one["sku"] for one in found] == [wrong["sku"], None, "A"]
    names = [one["exceptions"][0]["exception"] for one in found]
    all_kept = {one["exception"]: one for one in shop.exceptions()}
    kept = [all_kept[name] for name in names]
    assert json.loads(kept[0]["payload"]) == wrong
    assert kept[1]["payload"] == "7"
    calls, numbers = zip(*(re.split("[#@]", one["origin"]) for one in kept), strict=True)
    assert len(set(calls)) == 1
    assert [int(number) - int(numbers[0]) for number in numbers] == [0, 1, 2]


def test_a_warning_is_told_with_the_movement_that_raised_it(shop: Shop) -> None:
    """The sale is applied, and the shelf has proved the book wrong."""
    sku = shop.stocked(1)
    fine, wrong = (
        movement("sale", sku, location="DC", quantity=1),
        movement("sale", sku, location="DC", quantity=1),
    )
    found = shop.send(fine, wrong)
    assert [one["outcome"] for one in found] == ["applied", "applied"]
    assert found[0]["exceptions"] == []
    assert [one["code"] for one in found[1]["exceptions"]] == ["negative_stock"]


def test_lines_are_taken_like_an_array(shop: Shop) -> None:
    """NDJSON with a byte order mark, blank lines, both ends of line, one that is no JSON."""
    sku = unique("SKU")
    one, other = (movement("receipt", sku, location="DC", quantity=n) for n in (1, 2))
    body = b"\xef\xbb\xbf" + json.dumps(one).encode() + b"\r\n\n  \n{oops\n"
    body += json.dumps(other).encode()
    answer = shop.http.post(
        "/v1/movements", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    told = answer.json()
    assert [one["outcome"] for one in told["outcomes"]] == ["applied", "refused", "applied"]
    assert (told["received"], told["applied"], told["refused"]) == (3, 2, 1)


@pytest.mark.parametrize("body", [b"[]", b""])
def test_nothing_sent_is_nothing_taken(shop: Shop, body: bytes) -> None:
    """An empty array, and lines of which there are none."""
    kind = "application/json" if body else "application/x-ndjson"
    answer = shop.http.post("/v1/movements", content=body, headers={"Content-Type": kind})
    assert answer.json()["outcomes"] == []


def test_a_thousand_are_taken_and_one_more_is_not(shop: Shop) -> None:
    """The call is refused whole, with advice."""
    sku = unique("SKU")
    movements = [movement("receipt", sku, location="DC", quantity=1) for _ in range(1_001)]
    assert shop.http.post("/v1/movements", json=movements).status_code == 422
    assert shop.http.get(f"/v1/stock/{sku}").status_code == 404
    assert len(shop.send(*movements[1:])) == 1_000
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 1_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[1,", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"id":"x"}', 422),
        (b"7", 422),
        (b'"text"', 422),
    ],
)
def test_a_body_that_is_no_array_is_a_problem_and_nothing_is_taken(
    shop: Shop, body: bytes, status: int
) -> None:
    """It says what is wrong, and how to mend it."""
    answer = shop.http.post(
        "/v1/movements", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["advice"]


def test_a_reservation_made_by_a_movement_is_there_for_its_steps(shop: Shop) -> None:
    """Movements and reservations are the same book."""
    sku, name = shop.stocked(5), unique("r")
    shop.send(movement("reserve", sku, quantity=2, reservation=name))
    assert shop.step(sku, name, "confirm").json()["reservation"]["confirmed"] is True
