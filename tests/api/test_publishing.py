"""Publishing rules over HTTP: in force when the answer comes, in place of what the caller knew."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.service_under_test import EmbeddedEngine, Shop
from tests.api.test_rules import CHANNELS, WALK_INS, try_out

RULES = {"channels.yaml": CHANNELS, "a.rules.yaml": WALK_INS}


@pytest.fixture
def shop(own: EmbeddedEngine) -> Iterator[Shop]:
    """A caller of an engine whose rules nobody else changes."""
    own.start()
    made = Shop(own.url)
    yield made
    made.close()


def tag_of(shop: Shop) -> str:
    """The tag of the rules in force."""
    tag: str = shop.http.get("/v1/rules").headers["etag"]
    return tag


def put(shop: Shop, files: dict[str, str], match: str | None = None) -> httpx.Response:
    """Publish rules in place of those in force, or of others."""
    return shop.http.put(
        "/v1/rules", json={"files": files}, headers={"If-Match": match or tag_of(shop)}
    )


def with_cap(cap: int) -> dict[str, str]:
    """Rules with a cap for the web shop."""
    text = f"rules:\n- {{name: capped, when: {{channels: [web-shop]}}, cap: {cap}}}\n"
    return {**RULES, "capped.rules.yaml": text}


def test_rules_that_are_published_are_in_force_when_the_answer_comes(shop: Shop) -> None:
    """With their tag, and on every key; what is not given of settings and master data stays."""
    sku = shop.stocked(9)
    shop.published(sku, "web-shop", 9)
    before = tag_of(shop)
    answer = put(shop, with_cap(3))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert answer.headers["etag"] == tag_of(shop) == f'"{told["fingerprint"]}"'
    assert f'"{told["before"]}"' == before != answer.headers["etag"]
    assert told["files"] == {
        "put": ["a.rules.yaml", "capped.rules.yaml", "channels.yaml"],
        "kept": ["engine.yaml", "locations.csv"],
        "removed": ["generated.rules.yaml"],
    }
    explained = shop.http.get(f"/v1/explain?sku={sku}&channel=web-shop").json()
    assert explained["available"] == 3
    shop.published(sku, "web-shop", 3)


def test_what_was_published_is_what_was_tried(shop: Shop) -> None:
    """The fingerprints are the same, and nothing would change any more."""
    shop.stocked(9)
    tried = try_out(shop, with_cap(4)).json()
    assert tried["changed"] > 0
    assert put(shop, with_cap(4)).json()["fingerprint"] == tried["fingerprint"]
    assert try_out(shop, with_cap(4)).json()["changed"] == 0


def test_who_does_not_say_what_is_replaced_replaces_nothing(shop: Shop) -> None:
    """428 without If-Match, 412 with the tag of other rules, or with a weak one."""
    before = tag_of(shop)
    answer = shop.http.put("/v1/rules", json={"files": with_cap(3)})
    assert (answer.status_code, answer.json()["title"]) == (428, "If-Match is missing")
    for tag in ("nonsense", '"open', '"a" "b"'):
        answer = put(shop, with_cap(3), tag)
        assert (answer.status_code, answer.json()["pointer"]) == (422, "If-Match")
    for tag in ('"other"', f"W/{tag_of(shop)}"):
        answer = put(shop, with_cap(3), tag)
        assert answer.status_code == 412
        assert answer.headers["etag"] == tag_of(shop) == f'"{answer.json()["fingerprint"]}"'
    assert tag_of(shop) == before
    assert put(shop, with_cap(3), f'"other", {tag_of(shop)}').status_code == 200
    assert put(shop, with_cap(4), "*").status_code == 200


def test_of_many_who_replace_the_same_rules_one_does(shop: Shop) -> None:
    """The others are told that somebody was quicker."""
    tag = tag_of(shop)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda cap: put(shop, with_cap(cap), tag), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
    (done,) = (answer for answer in answers if answer.status_code == 200)
    assert tag_of(shop) == done.headers["etag"]


def test_broken_rules_change_nothing(shop: Shop) -> None:
    """Every mistake is told, those of cases too."""
    tag = tag_of(shop)
    broken = {"b.rules.yaml": "rules:\n- {name: kept for walk-ins}\n", "tests/a.yaml": "cases: 7\n"}
    answer = put(shop, {**RULES, **broken})
    told = answer.json()
    assert (answer.status_code, told["title"]) == (422, "The rules have mistakes")
    assert {one["file"] for one in told["mistakes"]} == {"b.rules.yaml", "tests/a.yaml"}
    assert tag_of(shop) == tag


def test_rules_that_fail_their_cases_are_not_published(shop: Shop) -> None:
    """Those that are sent, or, when none are, those that are there."""
    case = "cases:\n- {name: ten, sku: A, channel: web-shop, stock: {DC: 10}, expect: {available: "
    files = {**with_cap(3), "tests/a.yaml": case + "10}}\n"}
    tag = tag_of(shop)
    answer = put(shop, files)
    told = answer.json()
    assert (answer.status_code, told["title"]) == (422, "The rules fail their cases")
    assert told["failed"] == [
        {
            "name": "ten",
            "file": "tests/a.yaml",
            "line": 2,
            "differences": [{"what": "available", "expected": "10", "actual": "3"}],
        }
    ]
    assert tag_of(shop) == tag
    assert put(shop, {**files, "tests/a.yaml": case + "3}}\n"}).json()["cases"] == 1
    assert put(shop, with_cap(4)).json()["failed"][0]["differences"][0]["actual"] == "4"
    answer = put(shop, {**with_cap(4), "tests/none.yaml": ""})
    assert answer.json()["cases"] == 0
    assert answer.json()["files"]["removed"] == ["tests/a.yaml"]


def test_more_channels_than_can_be_held_are_refused(shop: Shop) -> None:
    """The rules in force stay."""
    tag = tag_of(shop)
    many = "channels:\n" + "".join(f"  c-{number}: {{}}\n" for number in range(256))
    answer = put(shop, {"channels.yaml": many})
    assert (answer.status_code, answer.json()["title"]) == (
        409,
        "The rules cannot be published here",
    )
    assert tag_of(shop) == tag
