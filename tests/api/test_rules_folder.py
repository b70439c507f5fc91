"""Rules published to the embedded engine: its folder, and trying while it is busy or ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.embedded import rules_desk, rules_trial
from engine.embedded.rules_watch import RulesWatch
from engine.embedded.what_if import what_if
from engine.rules.loader import load_rules
from engine.rules.replacing import DECIDED, MOVED
from tests.api.service_under_test import EmbeddedEngine, Shop, until
from tests.api.test_publishing import RULES, put, tag_of, with_cap
from tests.api.test_rules import try_out


@pytest.fixture
def running(own: EmbeddedEngine) -> EmbeddedEngine:
    """An engine that serves, whose rules nobody else changes."""
    own.start()
    return own


@pytest.fixture
def shop(running: EmbeddedEngine) -> Iterator[Shop]:
    """A caller of it."""
    made = Shop(running.url)
    yield made
    made.close()


def folder_of(engine: EmbeddedEngine) -> Path:
    """Its rules folder."""
    return engine.data.parent / "rules"


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_rules_folder_says_what_was_published(running: EmbeddedEngine, shop: Shop) -> None:
    """With what was kept, and nothing else; an engine that starts again finds it."""
    told = put(shop, with_cap(3)).json()
    assert set(contents(folder_of(running))) == {*told["files"]["put"], *told["files"]["kept"]}
    assert load_rules(folder_of(running)).fingerprint == told["fingerprint"]
    running.stop()
    running.start()
    assert running.client.get("/v1/rules").json()["fingerprint"] == told["fingerprint"]


def test_the_rules_folder_holds_one_whole_set_after_many_publications(
    running: EmbeddedEngine, shop: Shop
) -> None:
    """Of eight at once, any of which may replace what is there."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda cap: put(shop, with_cap(cap), "*"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert f'"{load_rules(folder_of(running)).fingerprint}"' == tag_of(shop)
    assert set(contents(folder_of(running))) >= set(with_cap(0))
    assert not [name for name in contents(folder_of(running)) if name.startswith(".")]


def test_what_is_refused_changes_nothing_in_the_rules_folder(
    running: EmbeddedEngine, shop: Shop
) -> None:
    """Mistakes, also in what stays; failed cases, another tag, too many channels."""
    case = "cases:\n- {name: ten, sku: A, channel: web-shop, expect: {available: 10}}\n"
    many = "channels:\n" + "".join(f"  c-{number}: {{}}\n" for number in range(256))
    before = contents(folder_of(running))
    assert put(shop, {**with_cap(3), "tests/a.yaml": case}).status_code == 422
    assert put(shop, with_cap(3), '"other"').status_code == 412
    assert put(shop, {"channels.yaml": many}).status_code == 409
    assert contents(folder_of(running)) == before
    (folder_of(running) / "items.csv").write_text("sku\n")
    answer = put(shop, RULES)
    assert {one["file"] for one in answer.json()["mistakes"]} == {"items.csv"}
    assert contents(folder_of(running)) == {**before, "items.csv": b"sku\n"}


def test_the_folder_is_not_read_again_for_what_was_published(
    running: EmbeddedEngine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody writes there afterwards is."""
    looks: list[object] = []
    look = RulesWatch.look

    def watched(watch: RulesWatch) -> Any:
        found = look(watch)
        looks.append(found)
        return found

    monkeypatch.setattr(RulesWatch, "look", watched)
    tag = put(shop, with_cap(3)).headers["etag"]
    seen = len(looks)
    until(lambda: len(looks) > seen)
    assert not any(looks)
    (folder_of(running) / "a.rules.yaml").unlink()
    until(lambda: tag_of(shop) != tag)


def test_a_publication_is_recorded_with_what_it_replaced(
    running: EmbeddedEngine, shop: Shop
) -> None:
    """And what was refused, too; a trial is no write."""
    try_out(shop, with_cap(3))
    told = put(shop, with_cap(3)).json()
    put(shop, with_cap(4), '"stale"')
    lines = [json.loads(line) for line in (running.data / "audit.ndjson").read_text().splitlines()]
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("PUT", "/v1/rules", 200),
        ("PUT", "/v1/rules", 412),
    ]
    assert lines[0]["outcome"] == f"rules {told['fingerprint']} in place of {told['before']}"


def test_whoever_has_just_written_into_the_folder_was_quicker(
    running: EmbeddedEngine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the engine has not looked at it yet."""
    tag = tag_of(shop)
    monkeypatch.setattr(RulesWatch, "changed", lambda _: None)
    (folder_of(running) / "more.rules.yaml").write_text("rules: [{name: more, cap: 1}]\n")
    answer = put(shop, with_cap(3), tag)
    assert answer.status_code == 412
    assert tag_of(shop) == answer.headers["etag"] != tag
    assert (folder_of(running) / "more.rules.yaml").exists()


def test_a_folder_that_was_broken_is_mended_by_publishing(
    running: EmbeddedEngine, shop: Shop
) -> None:
    """What nobody could use is replaced; files that were of no use for their suffix go too."""
    (folder_of(running) / "channels.yaml").write_text("channels: [")
    (folder_of(running) / "lost.rules.yml").write_text("rules: []\n")
    answer = put(shop, with_cap(3))
    assert answer.status_code == 200
    assert "lost.rules.yml" in answer.json()["files"]["removed"]
    assert load_rules(folder_of(running)).fingerprint == answer.json()["fingerprint"]


def test_a_folder_that_cannot_be_written_is_told(
    running: EmbeddedEngine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, or when it is decided; the engine goes on with the rules that it has."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Permission denied")

    tag = tag_of(shop)
    for step in ("prepare", "decide"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rules_desk, step, refuse)
            answer = put(shop, with_cap(3))
        assert (answer.status_code, answer.json()["title"]) == (
            409,
            "The rules cannot be published here",
        )
        assert "Permission denied" in answer.json()["detail"]
    assert tag_of(shop) == tag
    assert not [name for name in contents(folder_of(running)) if name.startswith(".")]


def test_a_file_that_was_to_stay_and_changes_meanwhile_stops_the_publication(
    running: EmbeddedEngine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was checked with another one."""
    make_ready = rules_desk.make_ready

    def slowly(*given: Any) -> Any:
        ready = make_ready(*given)
        (folder_of(running) / "items.csv").write_text("sku,category,brand,tags\n\n\n")
        return ready

    monkeypatch.setattr("engine.api.embedded.make_ready", slowly)
    answer = put(shop, with_cap(3), "*")
    assert answer.status_code == 409
    assert "meanwhile" in answer.json()["detail"]
    assert not [name for name in contents(folder_of(running)) if name.startswith(".")]


def test_files_that_cannot_be_moved_into_place_are_read_from_where_they_are(
    running: EmbeddedEngine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are decided, in force, and found by a restart, which moves them."""

    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules_desk, "finish", refuse)
        answer = put(shop, with_cap(3))
    assert answer.status_code == 200
    folder = folder_of(running)
    assert (folder / DECIDED).is_dir()
    assert tag_of(shop) == answer.headers["etag"]
    assert load_rules(folder).fingerprint == answer.json()["fingerprint"]
    rules_desk.finish_if_possible(folder)
    assert not (folder / DECIDED).exists()
    assert not (folder / MOVED).exists()
    assert load_rules(folder).fingerprint == answer.json()["fingerprint"]
    assert put(shop, with_cap(4)).status_code == 200


# --- trying beside a busy engine ---------------------------------------------------------------


@pytest.fixture
def slow_trial(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lets trials go on until this is set; `begun` is waited for."""
    go_on, begun = threading.Event(), threading.Event()

    def slowly(*given: Any) -> Iterator[Any]:
        compared = list(what_if(*given))
        begun.set()
        while not go_on.is_set():
            yield compared[0]

    monkeypatch.setattr(rules_trial, "what_if", slowly)
    monkeypatch.setattr(rules_trial, "WORK_SECONDS", 0.0)
    go_on.begun = begun  # type: ignore[attr-defined]
    yield go_on
    go_on.set()


@pytest.fixture
def trying(
    running: EmbeddedEngine, shop: Shop, slow_trial: Any
) -> Iterator[Callable[[], httpx.Response]]:
    """A trial that goes on until it is let; what this returns is its answer."""
    shop.stocked(3)
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=running.url, timeout=60) as client:
        call = pool.submit(client.post, "/v1/rules/what-if", json={"files": RULES})
        slow_trial.begun.wait()
        yield call.result
        slow_trial.set()


def test_while_rules_are_tried_the_engine_serves_everything_but_another_trial(
    running: EmbeddedEngine, shop: Shop, trying: Callable[[], httpx.Response], slow_trial: Any
) -> None:
    """Writes, lookups, and even new rules."""
    busy = try_out(shop, RULES)
    assert (busy.status_code, busy.json()["title"]) == (503, "The engine is busy")
    assert int(busy.headers["retry-after"]) >= 1
    sku = shop.stocked(5)
    assert shop.reserve(sku, 2).status_code == 201
    assert put(shop, with_cap(3)).status_code == 200
    slow_trial.set()
    assert trying().status_code == 200
    assert try_out(shop, RULES).status_code == 200


def test_an_engine_that_ends_leaves_a_trial(
    running: EmbeddedEngine, trying: Callable[[], httpx.Response]
) -> None:
    """Its caller is told so."""
    running.stop()
    answer = trying()
    assert (answer.status_code, answer.json()["title"]) == (503, "The engine is not serving")


def test_before_the_engine_serves_nothing_is_tried_or_published(own: EmbeddedEngine) -> None:
    """As with every other call."""
    own.start_server()
    answer = own.client.post("/v1/rules/what-if", json={"files": RULES})
    assert answer.status_code == 503
    answer = own.client.put("/v1/rules", json={"files": RULES}, headers={"If-Match": "*"})
    assert answer.status_code == 503
