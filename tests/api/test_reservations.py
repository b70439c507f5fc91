"""Reservations and their steps, over every runtime."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service_under_test import EmbeddedEngine, Shop, movement, now, unique, until


def stock(shop: Shop, sku: str) -> dict[str, Any]:
    """The stock of a SKU that is in one place."""
    found: dict[str, Any] = shop.http.get(f"/v1/stock/{sku}").json()
    return {**found["locations"][0], "unallocated_reserved": found["unallocated_reserved"]}


def name_of(answer: Any) -> str:
    """The name of the reservation that an answer is about."""
    name: str = answer.json()["reservation"]
    return name


def test_what_is_there_is_held_and_the_answer_carries_the_decision(shop: Shop) -> None:
    """201, the decision record, and where the reservation can be looked at."""
    sku = shop.stocked(5)
    answer = shop.reserve(sku, 2, channel="web-shop", correlation_id="c-1")
    assert answer.status_code == 201
    told = answer.json()
    assert told["outcome"] == "accepted"
    (decision,) = told["decisions"]
    assert (decision["outcome"], decision["quantity"], decision["requested"]) == ("accepted", 2, 2)
    assert (decision["sku"], decision["channel"]) == (sku, "web-shop")
    assert decision["correlation_id"] == "c-1"
    state = shop.http.get(answer.headers["location"]).json()
    assert (state["status"], state["quantity"], state["confirmed"]) == ("open", 2, False)
    assert stock(shop, sku)["unallocated_reserved"] == 2


def test_what_is_not_there_is_not_held_and_the_answer_says_what_is_available(shop: Shop) -> None:
    """409 with the decision record; nothing is reserved."""
    sku = shop.stocked(3)
    answer = shop.reserve(sku, 4)
    assert answer.status_code == 409
    told = answer.json()
    assert told["title"] == "Not enough stock"
    assert "3 available" in told["detail"]
    assert told["lines"][0]["outcome"] == "rejected"
    assert (told["decisions"][0]["outcome"], told["decisions"][0]["reason"]) == ("rejected", "3")
    assert stock(shop, sku)["unallocated_reserved"] == 0


def test_a_part_is_held_where_that_was_asked_for(shop: Shop) -> None:
    """The outcome is partial, and the quantity what there was."""
    sku = shop.stocked(3)
    told = shop.reserve(sku, 4, allow_partial=True).json()
    assert (told["outcome"], told["lines"][0]["quantity"]) == ("partial", 3)


def test_what_was_sold_elsewhere_is_always_held(shop: Shop) -> None:
    """With the policy force, and a warning where it is not there."""
    sku = shop.stocked(1)
    told = shop.reserve(sku, 4, location="DC", policy="force").json()
    assert told["outcome"] == "accepted"
    assert [one["code"] for one in told["exceptions"]] == ["oversold"]


def test_a_channel_may_take_what_its_buffer_leaves(shop: Shop) -> None:
    """One piece is kept back from the slow channel, whatever it has been told."""
    sku = shop.stocked(3)
    assert shop.reserve(sku, 3, location="DC", channel="slow").status_code == 409
    assert shop.reserve(sku, 2, location="DC", channel="slow").status_code == 201


# --- several SKUs ------------------------------------------------------------------------------


def lines(*wanted: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A reservation of several SKUs."""
    told = [{"sku": sku, "quantity": quantity} for sku, quantity in wanted]
    return {"reservation": unique("basket"), "lines": told, **more}


def test_several_skus_are_held_together(shop: Shop) -> None:
    """Every line has its decision."""
    one, other = shop.stocked(2), shop.stocked(2)
    answer = shop.http.post("/v1/reservations", json=lines((one, 1), (other, 2)))
    assert answer.status_code == 201
    assert [line["outcome"] for line in answer.json()["lines"]] == ["accepted", "accepted"]
    assert [one["sku"] for one in answer.json()["decisions"]] == [one, other]
    assert [stock(shop, sku)["unallocated_reserved"] for sku in (one, other)] == [1, 2]


def test_of_several_skus_nothing_is_held_when_one_is_short(shop: Shop) -> None:
    """The short one has its decision, and says what is available."""
    there, short = shop.stocked(2), shop.stocked(2)
    answer = shop.http.post("/v1/reservations", json=lines((there, 1), (short, 3)))
    assert answer.status_code == 409
    told = answer.json()
    assert [line["outcome"] for line in told["lines"]] == ["not_taken", "rejected"]
    assert "2 available" in told["detail"]
    assert [one["outcome"] for one in told["decisions"] if one["sku"] == short] == ["rejected"]
    assert [stock(shop, sku)["unallocated_reserved"] for sku in (there, short)] == [0, 0]


def test_in_the_embedded_engine_nothing_is_held_even_for_a_moment(own: EmbeddedEngine) -> None:
    """One engine has all SKUs: it looks at every line before it takes one."""
    own.start()
    shop = Shop(own.url)
    there, short = shop.stocked(2), shop.stocked(2)
    body = lines((there, 1), (short, 3))
    told = shop.http.post("/v1/reservations", json=body).json()
    assert [one["sku"] for one in told["decisions"]] == [short]
    assert stock(shop, there)["version"] == 1
    missing = shop.http.get(f"/v1/reservations/{there}/{body['reservation']}")
    shop.close()
    assert missing.status_code == 404


def test_of_several_skus_a_part_may_be_held_line_by_line(shop: Shop) -> None:
    """A line that says so takes what is there; the others are taken whole."""
    there, short = shop.stocked(2), shop.stocked(2)
    body = lines((there, 1), (short, 3))
    body["lines"][1]["allow_partial"] = True
    told = shop.http.post("/v1/reservations", json=body).json()
    assert told["outcome"] == "partial"
    assert [line["quantity"] for line in told["lines"]] == [1, 2]


def test_of_several_skus_none_is_held_when_a_name_is_taken(shop: Shop) -> None:
    """The refused line says why, and no exception waits for an operator."""
    there, taken = shop.stocked(2), shop.stocked(2)
    name = name_of(shop.reserve(taken, 1))
    body = {**lines((there, 1), (taken, 1)), "reservation": name}
    told = shop.http.post("/v1/reservations", json=body).json()
    assert [line["outcome"] for line in told["lines"]] == ["not_taken", "refused"]
    assert told["lines"][1]["code"] == "reservation_exists"
    assert (told["decisions"], told["exceptions"]) == ([], [])


# --- the same call again -----------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [2, 9])
def test_the_same_call_under_the_same_key_is_done_once_and_answered_alike(
    shop: Shop, quantity: int
) -> None:
    """Whether it was taken or not, byte for byte, and told to be a repetition."""
    sku, key = shop.stocked(5), unique("key")
    body = {"reservation": unique("basket"), "sku": sku, "quantity": quantity}
    headers = {"Idempotency-Key": key}
    first, second = (
        shop.http.post("/v1/reservations", json=body, headers=headers) for _ in range(2)
    )
    assert first.status_code == second.status_code
    told, again = first.json(), second.json()
    for one in (told, again):
        one.pop("instance", None)
    assert told == again
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert stock(shop, sku)["unallocated_reserved"] == (2 if quantity == 2 else 0)


def test_a_key_that_belongs_to_another_call_is_refused(shop: Shop) -> None:
    """Nothing is taken."""
    sku, key = shop.stocked(5), unique("key")
    shop.reserve(sku, 1, key=key)
    answer = shop.reserve(sku, 1, key=key)
    assert answer.status_code == 409
    assert answer.json()["title"] == "The idempotency key belongs to another request"
    assert stock(shop, sku)["unallocated_reserved"] == 1


def test_the_same_call_without_a_key_is_told_that_the_name_is_taken(shop: Shop) -> None:
    """Nobody can tell whether it is a repetition; nothing is taken twice."""
    sku = shop.stocked(5)
    name = name_of(shop.reserve(sku, 1))
    answer = shop.reserve(sku, 1, reservation=name)
    assert answer.status_code == 409
    assert answer.json()["lines"][0]["code"] == "reservation_exists"
    assert "Idempotency-Key" in answer.json()["advice"]
    assert stock(shop, sku)["unallocated_reserved"] == 1


def test_a_step_under_a_key_is_taken_once(shop: Shop) -> None:
    """A part is given back once, however often the call is repeated."""
    sku = shop.stocked(5)
    name = name_of(shop.reserve(sku, 4))
    path, headers = f"/v1/reservations/{sku}/{name}/release", {"Idempotency-Key": unique("key")}
    answers = [shop.http.post(path, json={"quantity": 1}, headers=headers) for _ in range(3)]
    assert [answer.json()["reservation"]["quantity"] for answer in answers] == [3, 3, 3]
    assert [answer.headers.get("idempotent-replayed") for answer in answers[1:]] == ["true"] * 2
    assert stock(shop, sku)["unallocated_reserved"] == 3


# --- steps -------------------------------------------------------------------------------------


def test_a_reservation_goes_from_basket_to_parcel(shop: Shop) -> None:
    """Confirmed, allocated, fulfilled in two parts: the goods are gone, and nothing is held."""
    sku = shop.stocked(5)
    name = name_of(shop.reserve(sku, 3, channel="web-shop", expires_at=now(hours=1)))
    assert shop.step(sku, name, "confirm").json()["reservation"]["confirmed"] is True
    placed = shop.step(sku, name, "allocate", location="DC").json()
    assert placed["reservation"]["location"] == "DC"
    part = shop.step(sku, name, "fulfil", location="DC", quantity=2).json()
    assert (part["reservation"]["status"], part["reservation"]["quantity"]) == ("open", 1)
    assert part["decisions"][0]["outcome"] == "fulfilled"
    rest = shop.step(sku, name, "fulfil", location="DC", quantity=1).json()
    assert rest["reservation"]["status"] == "ended"
    state = stock(shop, sku)
    assert (state["sellable"], state["reserved"], state["unallocated_reserved"]) == (2, 0, 0)


def test_what_is_released_is_available_again(shop: Shop) -> None:
    """All of it when no quantity is given, also without a body."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 3))
    answer = shop.http.post(f"/v1/reservations/{sku}/{name}/release")
    assert answer.json()["decisions"][0]["quantity"] == 3
    assert shop.reserve(sku, 3).status_code == 201


def test_a_basket_that_nobody_confirms_expires_by_itself(shop: Shop) -> None:
    """It is available again, and can not be confirmed any more."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 3, expires_at=now(milliseconds=150)))
    path = f"/v1/reservations/{sku}/{name}"
    until(lambda: shop.http.get(path).json()["status"] == "expired")
    answer = shop.step(sku, name, "confirm")
    assert answer.status_code == 409
    assert answer.json()["title"] == "The reservation has ended"
    assert [one["code"] for one in answer.json()["exceptions"]] == ["confirmed_after_end"]
    assert shop.reserve(sku, 3).status_code == 201


def test_a_customer_who_paid_in_time_gets_it_again(shop: Shop) -> None:
    """The confirmation comes late, but it happened before the expiry: it is taken again."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 3, expires_at=now(milliseconds=150)))
    in_time = now()
    until(lambda: shop.http.get(f"/v1/reservations/{sku}/{name}").json()["status"] == "expired")
    answer = shop.step(sku, name, "confirm", occurred_at=in_time)
    assert answer.status_code == 200
    assert answer.json()["decisions"][0]["reason"] == "reinstated"
    assert stock(shop, sku)["unallocated_reserved"] == 3


def test_an_expiry_that_has_passed_holds_nothing(shop: Shop) -> None:
    """It is taken and expires at once; whoever asked is told that nothing is held."""
    sku = shop.stocked(3)
    answer = shop.reserve(sku, 1, expires_at=now(minutes=-1))
    assert answer.status_code == 409
    assert answer.json()["outcome"] == "expired"
    assert [one["outcome"] for one in answer.json()["decisions"]] == ["accepted", "expired"]
    assert stock(shop, sku)["unallocated_reserved"] == 0


def test_giving_back_too_much_gives_back_what_is_left_and_says_so(shop: Shop) -> None:
    """The warning is in the answer."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 2))
    told = shop.step(sku, name, "release", quantity=5).json()
    assert told["decisions"][0]["quantity"] == 2
    assert [one["code"] for one in told["exceptions"]] == ["excess_release"]


def test_goods_that_left_for_an_ended_reservation_have_left(shop: Shop) -> None:
    """The stock goes down, with a warning."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 2))
    shop.step(sku, name, "release")
    told = shop.step(sku, name, "fulfil", location="DC", quantity=1).json()
    assert [one["code"] for one in told["exceptions"]] == ["fulfilled_after_end"]
    assert stock(shop, sku)["sellable"] == 2


def test_a_reservation_that_has_a_place_gets_no_other(shop: Shop) -> None:
    """409; it stays where it is."""
    sku = shop.stocked(3)
    name = name_of(shop.reserve(sku, 2, location="DC"))
    answer = shop.step(sku, name, "allocate", location="S-1")
    assert answer.status_code == 409
    assert answer.json()["reservation"]["location"] == "DC"


@pytest.mark.parametrize("kind", ["confirm", "release", "fulfil", "allocate"])
def test_a_step_of_a_reservation_that_nobody_made_is_not_found(shop: Shop, kind: str) -> None:
    """It is not remembered either: a misspelt name must not wait for its reserve."""
    sku, name = shop.stocked(3), unique("nobody")
    body = {"location": "DC", "quantity": 1} if kind == "fulfil" else {"location": "DC"}
    assert shop.step(sku, name, kind, **body).status_code == 404
    assert shop.http.get(f"/v1/reservations/{sku}/{name}").status_code == 404


def test_names_with_slashes_and_other_letters_are_found(shop: Shop) -> None:
    """In a path they are percent-encoded."""
    sku = shop.stocked(3, sku=unique("Öl/5% ✓"))
    answer = shop.reserve(sku, 1, reservation="bästa/kund?#1")
    assert answer.status_code == 201
    assert shop.http.get(answer.headers["location"]).json()["reservation"] == "bästa/kund?#1"
    path = answer.headers["location"] + "/confirm"
    assert shop.http.post(path).json()["reservation"]["confirmed"] is True


def test_a_name_that_reaches_into_another_skus_reservations_finds_none(shop: Shop) -> None:
    """No SKU has a | in it, though a reservation's name may."""
    sku = shop.stocked(3)
    shop.reserve(sku, 1, reservation="left|right")
    assert shop.http.get(f"/v1/reservations/{sku}/left%7Cright").status_code == 200
    assert shop.http.get(f"/v1/reservations/{sku}%7Cleft/right").status_code == 404
    assert shop.step(f"{sku}%7Cleft", "right", "release").status_code == 404


# --- what is not sound -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"quantity": 0}, "/quantity"),
        ({"quantity": "2"}, "/quantity"),
        ({"quantity": None}, "/quantity"),
        ({"sku": None}, "/sku"),
        ({"sku": " A"}, "/sku"),
        ({"sku": "A|B"}, "/sku"),
        ({"location": ""}, "/location"),
        ({"policy": "perhaps"}, "/policy"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"reservation": "a\u0007b"}, "/reservation"),
        ({"lines": [{"sku": "A", "quantity": 1}]}, "/lines"),
        ({"sku": None, "quantity": None, "lines": []}, "/lines"),
        ({"sku": None, "quantity": None, "lines": [{"sku": "A"}]}, "/lines/0"),
    ],
)
def test_a_field_that_is_not_sound_is_told_with_its_place(
    shop: Shop, change: dict[str, Any], pointer: str
) -> None:
    """422, with a JSON pointer to the field."""
    body = {"reservation": unique("basket"), "sku": "A", "quantity": 1, **change}
    answer = shop.http.post("/v1/reservations", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["pointer"] == pointer


def test_two_lines_of_one_sku_are_refused(shop: Shop) -> None:
    """A reservation's name serves once per SKU."""
    sku = shop.stocked(5)
    answer = shop.http.post("/v1/reservations", json=lines((sku, 1), (sku, 2)))
    assert answer.status_code == 409
    assert stock(shop, sku)["unallocated_reserved"] == 0


def test_a_channel_that_is_not_configured_is_not_found(shop: Shop) -> None:
    """404, and no exception waits for an operator."""
    before = len(shop.http.get("/v1/exceptions?code=unknown_channel").json()["exceptions"])
    assert shop.reserve(shop.stocked(1), 1, channel="nowhere").status_code == 404
    after = len(shop.http.get("/v1/exceptions?code=unknown_channel").json()["exceptions"])
    assert before == after


def test_what_only_the_engine_can_refuse_is_a_conflict_with_its_code(shop: Shop) -> None:
    """A letter that is not printable in a SKU: no schema says that."""
    sku = shop.stocked(1)
    answer = shop.http.post(
        "/v1/reservations",
        json={"reservation": unique("basket"), "sku": f"{sku}\u200b", "quantity": 1},
    )
    assert answer.status_code == 409
    assert answer.json()["lines"][0]["code"] == "invalid_field"


def test_a_step_from_the_far_future_is_refused(shop: Shop) -> None:
    """Nothing is changed."""
    sku = shop.stocked(1)
    name = name_of(shop.reserve(sku, 1))
    answer = shop.step(sku, name, "release", occurred_at=now(days=1))
    assert answer.status_code == 409
    assert answer.json()["exceptions"][0]["code"] == "future_dated"
    assert movement("sale", sku)["sku"] == sku
    assert stock(shop, sku)["unallocated_reserved"] == 1
