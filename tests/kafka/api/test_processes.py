"""Processes that serve one engine on Kafka: together, killed, started again, and left alone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from redis import Redis

from tests.api.service_under_test import Shop, movement, now, unique, until
from tests.api.wire import Wire
from tests.kafka.api.conftest import KafkaEngine

CLIENTS: Final = 16
UNITS: Final = 40
KILLED_AFTER: Final = 15
RETRY_SECONDS: Final = 0.02


@pytest.fixture(scope="module")
def second(service: KafkaEngine) -> Iterator[str]:
    """A second process beside the first, by its name."""
    service.serve("api-2")
    yield "api-2"
    service.fleet.stop("api-2")


@pytest.fixture
def other(service: KafkaEngine, second: str) -> Iterator[Shop]:
    """A caller of the second process."""
    made = Shop(service.url_of(second))
    yield made
    made.close()


def lines(*wanted: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A reservation of several SKUs."""
    told = [{"sku": sku, "quantity": quantity} for sku, quantity in wanted]
    return {"reservation": unique("basket"), "lines": told, **more}


def state(shop: Shop, sku: str, name: str) -> dict[str, Any]:
    """How a reservation stands."""
    found: dict[str, Any] = shop.http.get(f"/v1/reservations/{sku}/{name}").json()
    return found


def forget_answer(service: KafkaEngine, name: str) -> None:
    """Leave Redis as a process does that is killed before it can keep its answer."""
    redis = Redis.from_url(service.redis.url)
    for key in redis.scan_iter("*:answer:*"):
        stored = redis.get(key)
        assert isinstance(stored, bytes)
        fingerprint, at, answer = msgspec.msgpack.decode(stored)
        if answer is not None and name.encode() in answer:
            redis.set(key, msgspec.msgpack.encode([fingerprint, at, None]))
    redis.close()


def forget_everything(service: KafkaEngine) -> None:
    """Lose all that was answered, and since when it was remembered."""
    redis = Redis.from_url(service.redis.url)
    redis.delete(*redis.scan_iter("*:answer*"))
    redis.close()


# --- several SKUs ------------------------------------------------------------------------------


def test_lines_that_are_all_held_are_confirmed(shop: Shop) -> None:
    """Without an expiry of their own they have none afterwards."""
    one, two, three = (shop.stocked(2) for _ in range(3))
    body = lines((one, 1), (two, 2), (three, 1))
    assert shop.http.post("/v1/reservations", json=body).status_code == 201
    for sku in (one, two, three):
        found = state(shop, sku, body["reservation"])
        assert (found["status"], found["confirmed"]) == ("open", True)


def test_lines_with_an_expiry_are_held_until_then_and_not_confirmed(shop: Shop) -> None:
    """As the caller has asked for it."""
    one, two = shop.stocked(2), shop.stocked(2)
    body = lines((one, 1), (two, 2), expires_at=now(hours=1))
    assert shop.http.post("/v1/reservations", json=body).status_code == 201
    found = state(shop, two, body["reservation"])
    assert (found["status"], found["confirmed"]) == ("open", False)
    assert found["expires_at"] is not None


def test_what_was_held_is_given_back_when_another_line_is_short(shop: Shop) -> None:
    """The decisions tell both, and nothing is reserved afterwards."""
    there, short = shop.stocked(2), shop.stocked(2)
    body = lines((there, 1), (short, 3))
    told = shop.http.post("/v1/reservations", json=body).json()
    outcomes = [(one["sku"], one["outcome"]) for one in told["decisions"]]
    assert sorted(outcomes) == sorted(
        [(there, "accepted"), (short, "rejected"), (there, "released")]
    )
    assert state(shop, there, body["reservation"])["status"] == "ended"


def test_a_line_that_is_held_by_a_process_that_died_ends_by_itself(shop: Shop) -> None:
    """What such a process leaves is a reservation with an expiry, like any other."""
    sku, name = shop.stocked(2), unique("basket")
    held = {"reservation": name, "expires_at": now(milliseconds=300)}
    shop.send(movement("reserve", sku, quantity=2, **held))
    until(lambda: state(shop, sku, name)["status"] == "expired")
    assert shop.reserve(sku, 2).status_code == 201


# --- idempotency keys --------------------------------------------------------------------------


def test_another_process_gives_the_same_answer_under_the_same_key(shop: Shop, other: Shop) -> None:
    """Byte for byte, and told to be a repetition."""
    sku, key, name = shop.stocked(5), unique("key"), unique("basket")
    first = shop.reserve(sku, 2, key=key, reservation=name)
    second = other.reserve(sku, 2, key=key, reservation=name)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert other.reserve(sku, 1, key=key, reservation=name).status_code == 409


def test_a_call_whose_answer_nobody_kept_is_answered_from_how_it_stands(
    service: KafkaEngine, shop: Shop, other: Shop
) -> None:
    """It was taken: 201 again, and it is not taken twice; once it has ended, 409."""
    sku, key, name = shop.stocked(5), unique("key"), unique("basket")
    assert shop.reserve(sku, 2, key=key, reservation=name).status_code == 201
    forget_answer(service, name)
    again = other.reserve(sku, 2, key=key, reservation=name)
    assert again.status_code == 201
    assert again.json()["lines"][0]["quantity"] == 2
    assert other.http.get(f"/v1/stock/{sku}").json()["unallocated_reserved"] == 2
    forget_answer(service, name)
    assert shop.step(sku, name, "release").status_code == 200
    ended = other.reserve(sku, 2, key=key, reservation=name)
    assert (ended.status_code, ended.json()["title"]) == (409, "Decided before")


def test_a_repetition_that_redis_has_lost_is_answered_from_how_the_reservation_stands(
    service: KafkaEngine, shop: Shop
) -> None:
    """Nothing is taken twice, nobody is told that nothing is held, and no exception stays open."""
    one, two, name = shop.stocked(5), shop.stocked(5), unique("basket")
    body, headers = {**lines((one, 2), (two, 1)), "reservation": name}, {"Idempotency-Key": name}
    step = {"Idempotency-Key": f"{name}-fulfil"}
    shipped = {"location": "DC", "quantity": 1}
    for _ in range(2):
        answer = shop.http.post("/v1/reservations", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        assert [line["quantity"] for line in answer.json()["lines"]] == [2, 1]
        assert answer.json()["exceptions"] == []
        forget_everything(service)
    for outcome in ("applied", "duplicate"):
        path = f"/v1/reservations/{one}/{name}/fulfil"
        answer = shop.http.post(path, json=shipped, headers=step)
        assert (answer.status_code, answer.json()["outcome"]) == (200, outcome)
        assert answer.json()["reservation"]["quantity"] == 1
        forget_everything(service)
    assert shop.http.get(f"/v1/stock/{one}").json()["unallocated_reserved"] == 1
    assert shop.http.get(f"/v1/stock/{two}").json()["unallocated_reserved"] == 1
    raised = [each for each in shop.exceptions(limit=100) if name in (each["payload"] or "")]
    assert raised
    assert {each["status"] for each in raised} == {"dismissed"}


def test_several_skus_of_a_process_that_died_are_completed_by_a_repetition(
    service: KafkaEngine, shop: Shop, other: Shop
) -> None:
    """Held before, confirmed now."""
    one, two, key = shop.stocked(2), shop.stocked(2), unique("key")
    body, headers = lines((one, 1), (two, 1)), {"Idempotency-Key": key}
    assert shop.http.post("/v1/reservations", json=body, headers=headers).status_code == 201
    forget_answer(service, body["reservation"])
    again = other.http.post("/v1/reservations", json=body, headers=headers)
    assert again.status_code == 201
    assert [line["outcome"] for line in again.json()["lines"]] == ["accepted", "accepted"]
    assert other.http.get(f"/v1/stock/{two}").json()["unallocated_reserved"] == 1


def test_without_redis_writes_without_a_key_go_on(service: KafkaEngine, shop: Shop) -> None:
    """Published numbers and calls under a key get 503 with Retry-After until it is back."""
    sku = shop.stocked(5)
    shop.published(sku, "web-shop", 5)
    service.redis.stop()
    try:
        for answer in (
            shop.http.get("/v1/availability", params={"sku": sku}),
            shop.reserve(sku, 1, key=unique("key")),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert shop.reserve(sku, 1).status_code == 201
        assert shop.http.get(f"/v1/stock/{sku}").json()["unallocated_reserved"] == 1
    finally:
        service.redis.start()
    shop.published(sku, "web-shop", 4)


# --- the last units ----------------------------------------------------------------------------


class Scramble:
    """Callers of two processes want the last units of a SKU; one process is killed meanwhile."""

    def __init__(self, service: KafkaEngine, sku: str) -> None:
        self.service = service
        self.sku = sku
        self.answers: dict[str, int] = {}

    async def play(self) -> None:
        """Let all callers ask until nothing is left."""
        await asyncio.gather(*(self.client(number) for number in range(CLIENTS)))

    async def client(self, number: int) -> None:
        """Reserve unit after unit, each as often as its answer does not come."""
        port = self.service.ports["api-1" if number % 2 else "api-2"]
        wire = Wire(port)
        for basket in range(UNITS):
            if await self.reserve(wire, f"{self.sku}-{number}-{basket}") == 409:
                break
        wire.close()

    async def reserve(self, wire: Wire, name: str) -> int:
        """Reserve one unit."""
        body = {"reservation": name, "sku": self.sku, "quantity": 1}
        while True:
            try:
                status, _ = await wire.ask("POST", "/v1/reservations", body, key=name)
            except ConnectionError:
                status = 503
            if status != 503:
                self.answers[name] = status
                if len(self.answers) == KILLED_AFTER:
                    # Killed in the midst of it all; its callers wait until it is there again.
                    self.service.fleet.kill("api-2")
                    self.service.begin("api-2")
                return status
            await asyncio.sleep(RETRY_SECONDS)


def test_of_the_last_units_exactly_those_are_taken_over_two_processes(
    service: KafkaEngine, shop: Shop, second: str
) -> None:
    """Though one is killed -9 in the middle: none is sold twice, every caller is told the truth."""
    assert second == "api-2"
    run = Scramble(service, shop.stocked(UNITS))
    asyncio.run(run.play())
    service.fleet.wait("api-2")
    taken = [name for name, status in run.answers.items() if status == 201]
    assert set(run.answers.values()) == {201, 409}
    assert len(taken) == UNITS
    assert shop.http.get(f"/v1/stock/{run.sku}").json()["unallocated_reserved"] == UNITS
    for name in taken[::5]:
        assert state(shop, run.sku, name)["status"] == "open"


# --- busy, starting, stopping ------------------------------------------------------------------


def test_while_the_ledger_stands_still_writes_are_told_so_and_lookups_go_on(
    service: KafkaEngine, shop: Shop
) -> None:
    """503 with Retry-After; the same call again, once the ledger goes on, is told what became."""
    sku = shop.stocked(5)
    shop.published(sku, "web-shop", 5)
    sale = movement("sale", sku, location="DC", quantity=1)
    service.fleet.freeze("ledger")
    try:
        answer = shop.http.post("/v1/movements", json=[sale])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["title"] == "The outcome is not known"
        assert shop.look_up(sku=sku, channel="web-shop")["items"][0]["available"] == 5
        assert shop.http.get(f"/v1/stock/{sku}").status_code == 200
    finally:
        service.fleet.thaw("ledger")
    (again,) = shop.send(sale)
    assert again["outcome"] == "duplicate"
    assert shop.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 4


def test_a_process_that_starts_again_knows_what_it_knew(
    service: KafkaEngine, shop: Shop, second: str
) -> None:
    """It ends with 0 on SIGTERM; what happened meanwhile it finds in the changelog."""
    sku = shop.stocked(5)
    service.fleet.stop(second)
    shop.send(movement("sale", sku, location="DC", quantity=2))
    service.serve(second)
    again = Shop(service.url_of(second))
    assert again.http.get("/readyz").json()["status"] == "serving"
    assert again.http.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 3
    again.close()


def test_the_metrics_tell_of_the_whole_engine(shop: Shop) -> None:
    """Movements and exceptions of all partitions, and what waits here."""
    shop.stocked(5)
    text = shop.http.get("/metrics").text
    assert "sellable_ready 1.0" in text
    assert "sellable_waiting_movements 0.0" in text
    assert 'sellable_publications_total{channel="web-shop"}' in text
    assert 'sellable_movements_total{outcome="applied"}' in text


def test_an_address_that_others_can_reach_needs_keys(service: KafkaEngine) -> None:
    """The process does not start, and says what to do."""
    child = service.start_alone("api-3", "0.0.0.0:0")
    assert child.stop(signal.SIGCONT) == 2
    assert "keys create" in child.said()
