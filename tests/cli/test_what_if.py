"""`sellable rules what-if`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call

CAPPED = "rules:\n  - {name: at most three, cap: 3, priority: 9}\n"


@pytest.fixture
def following(replayed: Call, workspace: Path) -> Callable[[str], Path]:
    """Makes a copy of the rules folder with one more file of rules."""

    def make(rules: str) -> Path:
        folder = workspace / "next-rules"
        shutil.copytree(workspace / "rules", folder)
        (folder / "more.rules.yaml").write_text(rules)
        return folder

    return make


def keys_of(found: Any) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    return {(each["sku"], each["channel"], each["location"]): each for each in found["changes"]}


def test_what_would_change_is_what_the_channels_would_be_told(
    replayed: Call, following: Callable[[str], Path]
) -> None:
    """`now` and `then` are what `availability` gives under the one and the other folder."""
    following(CAPPED)
    found = replayed("rules what-if next-rules --data data --json").data
    assert found["compared_with"] == "rules"
    changes = keys_of(found)
    assert found["changed"] == len(changes) > 0
    for sku in {sku for sku, _, _ in changes}:
        now = replayed(f"availability {sku} --data data --json").data["channels"]
        then = replayed(f"availability {sku} --data data --rules next-rules --json").data[
            "channels"
        ]
        for before, after in zip(now, then, strict=True):
            change = changes.pop((sku, before["channel"], before["location"]), None)
            if before["computed"] == after["computed"]:
                assert change is None or change["status_now"] != change["status_then"]
                continue
            assert change is not None
            assert (change["now"], change["then"]) == (before["computed"], after["computed"])
            assert change["status_then"] == after["computed_status"]
            assert change["difference"] == after["computed"] - before["computed"]
    assert not changes
    sizes = [-abs(each["difference"]) for each in found["changes"]]
    assert sizes == sorted(sizes)


def test_each_channel_has_its_sums(replayed: Call, following: Callable[[str], Path]) -> None:
    """How many keys change, in which direction, and what all of them have together."""
    following("rules:\n  - {name: nothing, cap: 0, priority: 9, when: {channels: [web-shop]}}\n")
    found = replayed("rules what-if next-rules --channel web-shop --data data --json").data
    (sums,) = found["channels"]
    assert sums["channel"] == "web-shop"
    assert sums["changed"] == sums["less"] == sums["sold_out"] == len(found["changes"]) > 0
    assert (sums["more"], sums["back_in_stock"], sums["available_then"]) == (0, 0, 0)
    assert sums["available_now"] == sum(each["now"] for each in found["changes"])
    assert {each["status_then"] for each in found["changes"]} == {"out_of_stock"}


def test_the_same_rules_change_nothing(replayed: Call) -> None:
    """Of the folder that the engine runs with, nothing is to be told."""
    assert replayed("rules what-if rules --data data --json").data["changed"] == 0
    done = replayed("rules what-if rules --data data")
    assert done.status == 0
    assert done.out.rstrip().endswith("nothing would change")


@pytest.mark.parametrize("gone", [False, True])
def test_rules_that_were_edited_in_place_are_compared_with_what_was_published(
    replayed: Call, following: Callable[[str], Path], workspace: Path, gone: bool
) -> None:
    """What the engine took up is in no folder any more; the channels still show it."""
    expected = keys_of(
        (following(CAPPED), replayed("rules what-if next-rules --data data --json").data)[1]
    )
    if gone:
        shutil.rmtree(workspace / "rules")
    else:
        (workspace / "rules/more.rules.yaml").write_text(CAPPED)
    found = replayed("rules what-if next-rules --data data --json").data
    assert found["compared_with"] == "published"
    assert keys_of(found) == expected
    out = replayed("rules what-if next-rules --data data").out
    assert out.startswith("Compared with what was published last")


def test_a_channel_that_goes_has_no_keys_any_more(
    replayed: Call, following: Callable[[str], Path]
) -> None:
    """Its keys are told as changes to nothing; a new channel's come from nothing."""
    folder = following("")
    channels = folder / "channels.yaml"
    channels.write_text("channels:\n  new-shop: {}\n")
    for path in [*folder.glob("*.rules.yaml"), *folder.glob("tests/*")]:
        path.unlink()
    found = replayed("rules what-if next-rules --data data --json").data
    assert {each["channel"] for each in found["changes"] if each["now"] is None} == {"new-shop"}
    gone = [each for each in found["changes"] if each["then"] is None]
    assert {each["channel"] for each in gone} >= {"web-shop", "amazon-us"}
    assert replayed("rules what-if next-rules --channel web-shop --data data").status == 0


def test_a_new_channel_takes_no_claims_over(
    replayed: Call, following: Callable[[str], Path], workspace: Path
) -> None:
    """What is reserved without a channel stays a claim on every location there is."""
    reserve = {
        "id": "o-9",
        "source": "oms",
        "type": "reserve",
        "sku": "10-0001",
        "quantity": 6,
        "reservation": "order-9",
        "policy": "force",
        "occurred_at": "2026-11-10T15:00:00Z",
    }
    (workspace / "more.ndjson").write_text(json.dumps(reserve))
    run = replayed("run --rules rules --data data --input more.ndjson --clock event --once")
    assert run.data["applied"] > 0
    channels = following("") / "channels.yaml"
    channels.write_text(channels.read_text() + "\n  far: {locations: {ids: [FAR]}}\n")
    found = replayed("rules what-if next-rules --data data --json").data
    assert {each["channel"] for each in found["changes"]} == {"far"}


def test_people_see_the_largest_changes(replayed: Call, following: Callable[[str], Path]) -> None:
    """A table of sums, one of changes, and how many there are."""
    following(CAPPED)
    found = replayed("rules what-if next-rules --data data --json").data
    lines = replayed("rules what-if next-rules --data data --limit 1").out.splitlines()
    assert lines[0].split()[:3] == ["channel", "keys", "change"]
    assert any(line.startswith(found["changes"][0]["sku"]) for line in lines)
    assert lines[-2].endswith("more: --limit shows them, --json all.")
    assert lines[-1] == f"{found['changed']} of {found['keys']} keys would change"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rules what-if rules --channel nope --data data", "there is no channel nope"),
        ("rules what-if nowhere --data data", "there is no such folder"),
        ("rules what-if rules --data nowhere", "there is no data folder"),
        ("rules what-if rules", "either --data or --url"),
    ],
)
def test_a_wrong_call_is_told_with_what_to_do(replayed: Call, line: str, message: str) -> None:
    """Nothing on standard output, and 2."""
    done = replayed(line)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
