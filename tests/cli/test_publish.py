"""`sellable rules publish`, and `rules what-if` of a running engine."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Call, Live

CAPPED = "rules:\n  - {name: at most three, cap: 3, priority: 9}\n"
CASE = """\
cases:
  - name: never more than three
    sku: 10-0001
    channel: web-shop
    stock: {DC-EAST: 100}
    expect: {rules: {cap: at most three}}
"""


@pytest.fixture
def url(listening: Live) -> str:
    """The address of an engine that has taken the movements."""
    return str(listening.first_log["listens"])


@pytest.fixture
def following(workspace: Path) -> Path:
    """A copy of the rules folder with one more file of rules, and a case of its own."""
    folder = workspace / "next-rules"
    shutil.copytree(workspace / "rules", folder)
    (folder / "more.rules.yaml").write_text(CAPPED)
    shutil.rmtree(folder / "tests")
    (folder / "tests").mkdir()
    (folder / "tests/capped.yaml").write_text(CASE)
    return folder


def test_what_is_published_is_in_force_when_the_command_ends(
    call: Call, url: str, following: Path, workspace: Path
) -> None:
    """And stands in the engine's rules folder; the answer says what became of it."""
    (following / "base.rules.yaml").rename(following / "ground.rules.yaml")
    done = call(f"rules publish next-rules --url {url} --json").data
    rules = httpx.get(f"{url}/v1/rules").json()
    assert rules["fingerprint"] == done["fingerprint"] != done["before"]
    assert "at most three" in {rule["name"] for rule in rules["rules"]}
    assert (workspace / "rules/more.rules.yaml").read_text() == CAPPED
    cases = ["tests/base.yaml", "tests/exclusions.yaml", "tests/peak.yaml"]
    assert done["files"]["removed"] == ["base.rules.yaml", *cases]
    again = call(f"rules publish next-rules --url {url}")
    assert again.status == 0
    assert f"{done['fingerprint']}, as before" in again.out
    assert "1 test case passed" in again.out


def test_settings_and_catalogue_stay_as_the_engine_has_them(
    call: Call, url: str, following: Path, workspace: Path
) -> None:
    """They belong to others."""
    before = (workspace / "rules/items.csv").read_bytes()
    (following / "items.csv").write_text("sku,category,brand,tags\n")
    (following / "engine.yaml").write_text("publish_tick: 5s\n")
    assert call(f"rules publish next-rules --url {url}").status == 0
    assert (workspace / "rules/items.csv").read_bytes() == before
    assert httpx.get(f"{url}/v1/rules").json()["settings"]["publish_tick"] == "1s"


def test_what_if_of_a_running_engine_tells_what_its_data_folder_tells(
    call: Call, url: str, following: Path
) -> None:
    """For people and for programs, whole, and of one channel."""
    assert following.is_dir()
    for options in ("", " --json", " --channel amazon-us --limit 1"):
        there = call(f"rules what-if next-rules --url {url}{options}")
        here = call(f"rules what-if next-rules --data live{options}")
        assert there.status == 0, there.err
        assert there.out == here.out
    assert "would change" in call(f"rules what-if next-rules --url {url}").out


def test_rules_are_published_in_place_of_those_they_were_tried_against_only(
    call: Call, url: str, following: Path
) -> None:
    """Somebody else's change in between is not lost."""
    assert following.is_dir()
    tried = call(f"rules what-if next-rules --url {url} --json").data["in_force"]
    mine = f"rules publish next-rules --url {url} --replaces {tried}"
    (following / "more.rules.yaml").write_text(CAPPED.replace("3", "4"))
    assert call(mine).status == 0
    (following / "more.rules.yaml").write_text(CAPPED)
    late = call(f"{mine} --json")
    assert (late.status, late.out) == (2, "")
    assert "rules in force are those of" in json.loads(late.err)["error"]


def test_mistakes_are_told_before_anything_is_sent(call: Call, following: Path) -> None:
    """All of them, with file and line, even when nobody listens."""
    (following / "more.rules.yaml").write_text("rules:\n  - {name: a, cap: x}\n  - {nam: b}\n")
    done = call("rules publish next-rules --url http://127.0.0.1:9")
    assert done.status == 2
    assert "more.rules.yaml:2" in done.err
    assert "more.rules.yaml:3" in done.err


def test_a_case_that_comes_out_otherwise_stops_the_publication(
    call: Call, url: str, following: Path
) -> None:
    """Exit status 2; the rules in force stay."""
    (following / "tests/capped.yaml").write_text(CASE.replace("{rules", "{available: 4, rules"))
    before = httpx.get(f"{url}/v1/rules").json()["fingerprint"]
    done = call(f"rules publish next-rules --url {url}")
    assert done.status == 2
    assert "Nothing was published" in done.err
    assert httpx.get(f"{url}/v1/rules").json()["fingerprint"] == before


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80"])
def test_an_address_is_needed_that_is_one(call: Call, url: str) -> None:
    """A wrong call otherwise."""
    done = call(f"rules publish rules --url {url}")
    assert done.status == 2
    assert "http or https" in done.err


def test_every_mistake_and_failed_case_of_what_stays_is_told(
    call: Call, url: str, following: Path, workspace: Path
) -> None:
    """The folder that is sent has none; what stays at the engine has them."""
    shutil.rmtree(following / "tests")
    bare = workspace / "bare-rules"
    bare.mkdir()
    (bare / "channels.yaml").write_text("channels: {outlet: {}}\n")
    refused = call(f"rules publish bare-rules --url {url}")
    assert refused.status == 2
    lines = [line for line in refused.err.splitlines() if "tests/" in line]
    assert {line.split(":")[0].strip() for line in lines} >= {"tests/base.yaml", "tests/peak.yaml"}
    told = json.loads(call(f"rules publish bare-rules --url {url} --json").err)
    assert all(line.strip() in told["error"] for line in lines)
    refused = call(f"rules publish next-rules --url {url}")
    assert refused.status == 2
    assert "cases in tests/ come out otherwise" in refused.err
    assert re.search(r"\(tests/\w+\.yaml:\d+\)\n +\S.*: expected .*, got ", refused.err)
