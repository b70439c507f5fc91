"""Starting, restoring, being busy, stopping: every caller is told the truth."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.api import audit, embedded
from engine.api.audit import AuditFile, AuditRecord
from engine.api.binding import Security
from engine.contracts.errors import SellableError
from engine.embedded import group
from engine.embedded.runtime import Runtime
from tests.api.service_under_test import RULES, EmbeddedEngine, Shop, movement, unique, until

MakeEngine = Callable[..., EmbeddedEngine]
LOOKUPS = ("/v1/availability?sku=A", "/v1/stock/A", "/v1/rules", "/v1/exceptions", "/v1/channels")


def test_while_the_engine_restores_its_state_calls_are_asked_to_come_again(
    own: EmbeddedEngine,
) -> None:
    """503 with Retry-After on every call; the process lives, and is not ready."""
    own.start_server()
    assert own.client.get("/healthz").status_code == 200
    ready = own.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "restoring")
    for path in LOOKUPS[:-1]:
        answer = own.client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
    answer = own.client.post("/v1/movements", json=[])
    assert answer.status_code == 503
    assert "Nothing was taken" in answer.json()["advice"]
    assert own.client.get("/metrics").status_code == 200
    own.start_engine()
    assert own.client.get("/readyz").json()["status"] == "serving"
    assert own.client.post("/v1/movements", json=[]).status_code == 200


def test_everything_is_there_after_a_stop_and_a_start(own: EmbeddedEngine) -> None:
    """Stock, reservations, published numbers, and the answers under idempotency keys."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)
    first = shop.reserve(sku, 2, key="again", reservation="r")
    shop.published(sku, "web-shop", 3)
    shop.close()
    own.stop()
    own.start()
    shop = Shop(own.url)
    again = shop.reserve(sku, 2, key="again", reservation="r")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.look_up(sku=sku, channel="web-shop")["items"][0]["available"] == 3
    assert shop.http.get(f"/v1/stock/{sku}").json()["unallocated_reserved"] == 2
    shop.close()


def test_a_graceful_stop_finishes_what_it_accepted(own: EmbeddedEngine) -> None:
    """Callers who wait when the stop comes are answered, and what they were told is kept."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(10_000)
    shop.close()
    taken: list[int] = []
    begun = threading.Event()

    def call() -> None:
        with httpx.Client(base_url=own.url, trust_env=False) as client:
            for _ in range(1_000):
                body = {"reservation": unique("r"), "sku": sku, "quantity": 1}
                try:
                    answer = client.post("/v1/reservations", json=body)
                except httpx.TransportError:
                    return
                begun.set()
                if answer.status_code == 503:
                    return
                assert answer.status_code == 201
                taken.append(1)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call) for _ in range(8)]
        begun.wait()
        own.stop()
        for done in calls:
            done.result()
    own.start()
    found = own.client.get(f"/v1/stock/{sku}").json()
    assert found["unallocated_reserved"] == len(taken) > 0


def busy(own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make the engine wait in the middle of a group until the event is set."""
    go_on = threading.Event()
    flush = group.Group.flush

    def wait(self: group.Group) -> None:
        go_on.wait(30)
        flush(self)

    monkeypatch.setattr(group.Group, "flush", wait)
    return go_on


def test_lookups_go_on_while_the_engine_is_busy(
    own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They read what is committed, and say how old it is."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)
    shop.published(sku, "web-shop", 5)
    go_on = busy(own, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.send, movement("sale", sku, location="DC", quantity=1))
        until(lambda: own.visitors._counter._begun)
        for path in (f"/v1/availability?sku={sku}", f"/v1/stock/{sku}", "/v1/rules", "/metrics"):
            assert own.client.get(path).status_code == 200, path
        time.sleep(0.2)
        assert own.client.get(f"/v1/stock/{sku}").json()["staleness_seconds"] >= 0.2
        assert not waiting.done()
        go_on.set()
        assert waiting.result()[0]["outcome"] == "applied"
    shop.close()


def test_writes_beyond_the_bound_of_the_queue_are_turned_away(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, and nothing of them is taken; what fits is taken."""
    own = make_engine(waiting_movements=100)
    own.start()
    go_on = busy(own, monkeypatch)
    sku = unique("SKU")

    def send(count: int) -> httpx.Response:
        movements = [movement("receipt", sku, location="DC", quantity=1) for _ in range(count)]
        return httpx.post(f"{own.url}/v1/movements", json=movements, timeout=60, trust_env=False)

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(send, 1)
        until(lambda: own.visitors._counter._begun)
        second = pool.submit(send, 90)
        until(lambda: own.visitors._counter.waiting == 90)
        refused = send(20)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "Nothing was taken" in refused.json()["advice"]
        third = pool.submit(send, 10)
        until(lambda: own.visitors._counter.waiting == 100)
        go_on.set()
        assert [one.result().status_code for one in (first, second, third)] == [200] * 3
    assert own.client.get(f"/v1/stock/{sku}").json()["locations"][0]["sellable"] == 101


def test_a_write_that_waits_too_long_is_taken_back(
    own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and it is not taken later, when the caller has given up."""
    monkeypatch.setattr(embedded, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "SWEEP_SECONDS", 0.05)
    own.start()
    go_on = busy(own, monkeypatch)
    skus = [unique("SKU") for _ in range(2)]

    def send(sku: str) -> httpx.Response:
        body = [movement("receipt", sku, location="DC", quantity=1)]
        return httpx.post(f"{own.url}/v1/movements", json=body, timeout=60, trust_env=False)

    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(send, skus[0])
        until(lambda: own.visitors._counter._begun)
        refused = send(skus[1])
        assert refused.status_code == 503
        assert "it was taken back" in refused.json()["detail"]
        go_on.set()
        assert begun.result().status_code == 200
    assert own.client.get(f"/v1/stock/{skus[1]}").status_code == 404


def test_when_the_disk_is_full_nobody_is_told_that_a_write_was_taken(
    own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine ends; the caller is told that the outcome is not known, and what to do."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)
    commit = Runtime.commit

    def fail(self: Runtime) -> None:
        if own.visitors._counter._begun:
            raise SellableError("no room", "Free some.")
        commit(self)

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "commit", fail)
        patch.setattr(threading, "excepthook", lambda _: None)
        answer = shop.reserve(sku, 1, key="again", reservation="r")
        assert answer.status_code == 503
        assert answer.json()["title"] == "The outcome is not known"
        assert own.client.get("/readyz").json()["status"] == "stopping"
        assert shop.reserve(sku, 1).status_code == 503
        shop.close()
        own.stop()
    own._failed = None
    own.start()
    shop = Shop(own.url)
    answer = shop.reserve(sku, 1, key="again", reservation="r")
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert own.client.get(f"/v1/stock/{sku}").json()["unallocated_reserved"] == 1
    shop.close()


def test_the_event_clock_serves_too(make_engine: MakeEngine) -> None:
    """Reservations are made at the engine's time, and move it no further."""
    own = make_engine(clock="event")
    own.start()
    shop = Shop(own.url)
    when = "2026-01-05T09:00:00Z"
    sku = unique("SKU")
    shop.send(movement("receipt", sku, location="DC", quantity=5, occurred_at=when))
    told = shop.reserve(sku, 5, expires_at="2026-01-05T09:10:00Z").json()
    assert told["decided_at"] == when
    assert shop.reserve(sku, 1).status_code == 409
    later = "2026-01-05T09:10:00Z"
    shop.send(movement("sale", sku, location="DC", quantity=1, occurred_at=later))
    assert shop.reserve(sku, 4).status_code == 201
    shop.close()


def test_changed_rules_are_told_without_a_restart(own: EmbeddedEngine) -> None:
    """Lookups, explanations and the rules themselves follow the files."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)
    shop.published(sku, "slow", 4)
    tag = own.client.get("/v1/rules").headers["etag"]
    (own.data.parent / "rules" / "more.rules.yaml").write_text(
        "rules: [{name: more, when: {channels: [web-shop]}, buffer: {units: 2}}]\n"
    )
    until(lambda: own.client.get("/v1/rules").headers["etag"] != tag)
    shop.published(sku, "web-shop", 3)
    told = own.client.get(f"/v1/explain?sku={sku}&channel=web-shop").json()
    assert told["decisions"][0]["winner"]["name"] == "more"
    shop.close()


# --- the audit record --------------------------------------------------------------------------


def audited(own: EmbeddedEngine) -> list[dict[str, Any]]:
    """What is recorded."""
    return [json.loads(line) for line in (own.data / "audit.ndjson").read_text().splitlines()]


def test_every_write_is_recorded_before_it_is_answered_and_no_lookup_is(
    own: EmbeddedEngine,
) -> None:
    """Who, from where, what, and what became of it."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(1)
    shop.reserve(sku, 1, key="k-1", reservation="r-1")
    shop.reserve(sku, 1)
    shop.http.post("/v1/reservations", content=b"{", headers={"Content-Type": "application/json"})
    own.client.get(f"/v1/stock/{sku}")
    found = audited(own)
    assert [(one["path"], one["status"]) for one in found] == [
        ("/v1/movements", 200),
        ("/v1/reservations", 201),
        ("/v1/reservations", 409),
        ("/v1/reservations", 400),
    ]
    assert found[0]["outcome"] == "1 applied"
    assert found[1]["outcome"] == "accepted r-1"
    assert found[1]["idempotency_key"] == "k-1"
    assert {(one["name"], one["client"]) for one in found} == {("local", "127.0.0.1")}
    shop.close()


def test_refusals_of_strangers_are_recorded_up_to_a_rate_and_counted_beyond(
    tmp_path: Path,
) -> None:
    """Nobody fills the disk with them; the next record says how many were left out."""
    now = 0.0
    record = AuditFile(tmp_path / "audit.ndjson", lambda: now)

    async def write() -> None:
        nonlocal now
        for _ in range(50):
            await record.write(refusal(key=None))
        await record.write(refusal(key="5f2c9d8e"))
        now = 0.1
        await record.write(refusal(key=None))

    asyncio.run(write())
    record.close()
    found = [json.loads(line) for line in (tmp_path / "audit.ndjson").read_text().splitlines()]
    assert len(found) == 10 + 1 + 1
    assert found[-1]["refusals_not_recorded"] == 40
    assert [one["key"] for one in found[9:11]] == [None, "5f2c9d8e"]


def refusal(key: str | None) -> AuditRecord:
    """A record of a call that was refused."""
    return AuditRecord(
        at="2026-11-20T09:00:00Z",
        request="r",
        key=key,
        name=key,
        role=None,
        client="203.0.113.9",
        method="GET",
        path="/v1/rules",
        status=401,
        outcome="the call has no key",
    )


def test_behind_a_proxy_the_caller_is_whom_the_proxy_has_seen(
    make_engine: MakeEngine,
) -> None:
    """The last address of X-Forwarded-For; without a proxy the header counts for nothing."""
    for behind, expected in ((True, "203.0.113.9"), (False, "127.0.0.1")):
        own = make_engine(security=Security(has_keys=True, behind_proxy=behind))
        own.start()
        own.client.get("/v1/rules", headers={"X-Forwarded-For": "10.0.0.1, 203.0.113.9"})
        assert audited(own)[0]["client"] == expected


def test_a_record_that_is_moved_away_is_begun_anew(
    own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it can be rotated while the service runs."""
    monkeypatch.setattr(audit, "LOOK_EVERY_SECONDS", 0.0)
    own.start()
    shop = Shop(own.url)
    shop.stocked(1)
    record = own.data / "audit.ndjson"
    record.rename(own.data / "audit.1.ndjson")
    shop.stocked(1)
    assert len(audited(own)) == 1
    assert len((own.data / "audit.1.ndjson").read_text().splitlines()) == 1
    shop.close()


def test_without_room_for_the_record_a_write_is_not_told_to_be_done(
    own: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503; sent again under its key it is told what became of it."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AuditFile, "_append", full)
        assert shop.reserve(sku, 1, key="k", reservation="r").status_code == 503
    again = shop.reserve(sku, 1, key="k", reservation="r")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    shop.close()


def test_the_metrics_tell_of_calls_and_of_the_engine(own: EmbeddedEngine) -> None:
    """Counts by call and status, times, movements by outcome, channels."""
    own.start()
    shop = Shop(own.url)
    sku = shop.stocked(5)
    shop.published(sku, "slow", 4)
    shop.reserve(sku, 9)
    text = own.client.get("/metrics").text
    assert 'sellable_http_answers_total{operation="postReservation",status="409"} 1.0' in text
    assert 'sellable_http_request_seconds_count{operation="postMovements"} 1.0' in text
    assert 'sellable_movements_total{outcome="rejected"} 1.0' in text
    assert "sellable_ready 1.0" in text
    for channel in RULES["channels"]:
        assert f'sellable_pending_keys{{channel="{channel}"}}' in text
    shop.close()
