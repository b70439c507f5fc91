"""Working through exceptions over HTTP, over every runtime."""

from __future__ import annotations

from typing import Any

from tests.api.service_under_test import Shop, movement, unique


def refused(shop: Shop, sku: str | None = None, **change: Any) -> str:
    """Send a movement that is refused, and return its exception."""
    wrong = movement("sale", sku or unique("SKU"), **{"location": "DC", "quantity": 0, **change})
    name: str = shop.send(wrong)[0]["exceptions"][0]["exception"]
    return name


def found(shop: Shop, exception: str) -> dict[str, Any]:
    """One exception."""
    (told,) = (one for one in shop.exceptions() if one["exception"] == exception)
    return told


def test_a_refused_movement_is_mended_and_replayed(shop: Shop) -> None:
    """Its outcome is told, the exception is closed, and the stock has it."""
    sku = shop.stocked(5)
    exception = refused(shop, sku)
    answer = shop.http.post(f"/v1/exceptions/{exception}/replay", json={"set": {"quantity": 2}})
    assert answer.json() == {"exception": exception, "outcome": "applied"}
    assert found(shop, exception)["status"] == "replayed"
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 3


def test_a_movement_that_is_refused_again_stays_open(shop: Shop) -> None:
    """409 with the reason; it can be mended another time."""
    exception = refused(shop)
    answer = shop.http.post(f"/v1/exceptions/{exception}/replay")
    assert answer.status_code == 409
    assert "invalid_field" in answer.json()["detail"]
    assert found(shop, exception)["status"] == "open"


def test_fields_are_set_by_the_types_that_they_have(shop: Shop) -> None:
    """Text, number, flag, and null, which takes a field out."""
    sku = shop.stocked(5)
    wrong = movement("reserve", sku, quantity=0, reservation=unique("r"), location="nowhere ")
    exception = shop.send(wrong)[0]["exceptions"][0]["exception"]
    changes = {"quantity": 9, "location": None, "allow_partial": True, "reason": "mended"}
    answer = shop.http.post(f"/v1/exceptions/{exception}/replay", json={"set": changes})
    assert answer.json()["outcome"] == "applied"
    assert shop.http.get(f"/v1/stock/{sku}").json()["unallocated_reserved"] == 5


def test_an_exception_is_dismissed_with_a_reason(shop: Shop) -> None:
    """Once; a second time there is nothing to do."""
    exception = refused(shop)
    path = f"/v1/exceptions/{exception}/dismiss"
    assert shop.http.post(path, json={"reason": ""}).status_code == 422
    assert shop.http.post(path, json={"reason": "a test"}).json()["status"] == "dismissed"
    told = found(shop, exception)
    assert (told["status"], told["note"]) == ("dismissed", "a test")
    assert shop.http.post(path, json={"reason": "again"}).status_code == 409
    assert shop.http.post(f"/v1/exceptions/{exception}/replay").status_code == 409


def test_a_reason_of_spaces_is_none(shop: Shop) -> None:
    """Refused, and the exception stays open."""
    exception = refused(shop)
    answer = shop.http.post(f"/v1/exceptions/{exception}/dismiss", json={"reason": "  "})
    assert answer.status_code == 409
    assert found(shop, exception)["status"] == "open"


def test_an_exception_that_is_not_there_is_not_found(shop: Shop) -> None:
    """Whatever the name looks like."""
    for name in ("x-99999999", "x--0000001", "x-" + "9" * 40, "seven", "x-\u0661"):
        path = f"/v1/exceptions/{name}"
        assert shop.http.post(f"{path}/dismiss", json={"reason": "r"}).status_code == 404
        assert shop.http.post(f"{path}/replay").status_code == 404


def test_exceptions_are_listed_by_what_they_are(shop: Shop) -> None:
    """By code, severity and status, each given as often as one likes, page by page."""
    names = [refused(shop) for _ in range(5)]
    shop.http.post(f"/v1/exceptions/{names[1]}/dismiss", json={"reason": "a test"})
    shop.send(7)  # type: ignore[arg-type]
    asked = {"code": "invalid_field", "status": "open", "limit": 2}
    told = [one["exception"] for one in shop.exceptions(**asked)]
    assert [name for name in names if name != names[1]] == [one for one in told if one in names]
    high = shop.http.get("/v1/exceptions?severity=high&severity=low&code=malformed").json()
    assert {one["code"] for one in high["exceptions"]} == {"malformed"}


def test_a_filter_that_means_nothing_is_told(shop: Shop) -> None:
    """422, with what there is to choose from."""
    for query in ("code=oops", "severity=oops", "status=oops", "limit=0", "limit=x", "after=7"):
        answer = shop.http.get(f"/v1/exceptions?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["pointer"].startswith(f"?{query.partition('=')[0]}")
