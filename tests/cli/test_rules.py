"""`sellable rules`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call


def test_a_sound_folder_is_said_to_be_sound(call: Call) -> None:
    """The working rules folder has no mistakes."""
    done = call("rules check rules")
    assert done.status == 0
    assert done.out.strip().endswith("no mistakes")


def test_mistakes_are_told_with_file_line_and_remedy(call: Call, workspace: Path) -> None:
    """A folder with mistakes ends with 2; programs get them as data."""
    (workspace / "rules/more.rules.yaml").write_text("rules:\n  - name: x\n    capp: 3\n")
    done = call("rules check rules --json")
    assert done.status == 2
    assert not done.data["valid"]
    found = {(each["file"], each["line"]): each["remedy"] for each in done.data["mistakes"]}
    assert "'cap'" in found["more.rules.yaml", 3]
    assert list(json.loads(done.err)) == ["error", "advice"]


def test_what_is_hardly_meant_is_a_warning(call: Call, workspace: Path) -> None:
    """A name that the catalogue does not have is told, and does no harm."""
    text = "rules:\n  - name: x\n    when: {categories: [GROCERIES]}\n    cap: 3\n"
    (workspace / "rules/more.rules.yaml").write_text(text)
    done = call("rules check rules")
    assert done.status == 0
    assert "warning: more.rules.yaml:2" in done.out
    assert call("rules check rules --json").data["warnings"]


def test_cases_pass(call: Call) -> None:
    """The cases of the working rules folder pass."""
    done = call("rules test rules --json")
    assert done.status == 0
    assert done.data["cases"] == done.data["passed"] > 0


def test_a_failing_case_ends_with_1(call: Call, workspace: Path) -> None:
    """The case is named with its file and line, and with what came out."""
    cases = workspace / "rules/tests/mine.yaml"
    cases.write_text(
        "cases:\n"
        "  - {name: too few, sku: a, channel: web-shop, stock: {DC-EAST: 5}, "
        "expect: {available: 4}}\n"
    )
    done = call("rules test rules")
    assert done.status == 1
    assert "too few (tests/mine.yaml:2)" in done.out
    assert "available: expected 4, got 5" in done.out
    assert call("rules test rules --json").data["failed"] == 1


def test_broken_cases_end_with_2(call: Call, workspace: Path) -> None:
    """A case that cannot be read is no failing case: the files have to be mended first."""
    (workspace / "rules/tests/mine.yaml").write_text("cases:\n  - {nam: x}\n")
    assert call("rules test rules").status == 2


def test_rules_are_explained_without_stock(call: Call) -> None:
    """Without stock every location of the catalogue is asked about."""
    done = call("rules explain 10-0107 --channel amazon-us --at 2026-11-27T12:00:00-05:00")
    assert done.status == 0
    assert "location buffer at DC-EAST, DC-PARTNER, DC-WEST" in done.out
    assert "won   peak grocery buffer (peak.rules.yaml:" in done.out


def test_rules_are_explained_on_stock_that_might_be_there(call: Call) -> None:
    """--stock names units at a location, and how many of them are reserved."""
    line = "rules explain 10-0001 --channel web-shop --at 2026-01-01T00:00:00Z --json"
    found = call(f"{line} --stock DC-EAST=40 --stock S-0101=20/2").data
    assert found["available"] == sum(step["quantity"] for step in found["steps"]) == 56


def test_rules_are_explained_on_the_stock_of_a_data_folder(replayed: Call) -> None:
    """--data takes stock, claims, clock and rules from the engine's last run."""
    found = replayed("rules explain 10-0001 --channel web-shop --data data --json").data
    assert found["available"] == 49
    assert found["instant"].startswith("2026-11-10T")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--stock DC-EAST", "a whole number"),
        ("--stock DC-EAST=1 --data data", "exclude each other"),
        ("--at yesterday", "RFC 3339"),
    ],
)
def test_wrong_calls_say_what_to_write(call: Call, more: str, told: str) -> None:
    """A wrong call ends with 2 and shows how it is meant."""
    done = call(f"rules explain 10-0001 --channel web-shop {more}")
    assert done.status == 2
    assert told in done.err


def test_a_channel_nearly_named_right_is_offered(call: Call) -> None:
    """A typing error in the channel's name is answered with the name that was meant."""
    done = call("rules explain 10-0001 --channel web-shp")
    assert done.status == 2
    assert "Did you mean 'web-shop'?" in done.err
