"""`sellable keys`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Call

CREATE = "keys create --role reserver --channel web-shop --data data"


def test_a_key_is_shown_once_and_kept_as_a_hash(call: Call) -> None:
    """Alone on standard output, so that it can be caught; nobody else may read the file."""
    done = call(CREATE)
    assert (done.status, done.err) == (0, "")
    key = done.out.removesuffix("\n")
    assert key.startswith("slb_")
    assert "\n" not in key
    file = Path("data/keys.json")
    kept = file.read_text()
    assert key not in kept
    assert key.rpartition("_")[2] not in kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_listed_with_what_they_reach(call: Call) -> None:
    """For people and for programs, without anything that opens a door."""
    call(CREATE)
    call("keys create --role publisher --source 'pos-*' --rate 50/s --name tills --data data")
    call("keys create --role operator --data data")
    listed = call("keys list --data data --json").data
    assert [(one["role"], one["channels"], one["sources"]) for one in listed] == [
        ("reserver", ["web-shop"], None),
        ("publisher", None, ["pos-*"]),
        ("operator", None, None),
    ]
    assert (listed[1]["name"], listed[1]["rate"]) == ("tills", "50/s")
    assert "sha256" not in listed[0]
    table = call("keys list --data data").out
    assert "pos-*" in table
    assert "everything of its role" in table


def test_a_key_is_revoked_for_good(call: Call) -> None:
    """It stays in the list, with the time."""
    made = call(f"{CREATE} --json").data
    assert call(f"keys revoke {made['id']} --data data").status == 0
    assert call("keys list --data data --json").data[0]["revoked_at"] is not None
    again = call(f"keys revoke {made['id']} --data data")
    assert (again.status, "was revoked at" in again.err) == (2, True)
    assert call("keys revoke nobody --data data").status == 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("keys create --role reserver --data data", "--channel"),
        ("keys create --role reader --data data", "--channel"),
        ("keys create --role publisher --data data", "--source"),
        ("keys create --role operator --channel web-shop --data data", "Leave the option out"),
        ("keys create --role auditor --source pos --data data", "Leave the option out"),
        ("keys create --role nobody --data data", "nobody"),
        (f"{CREATE} --rate often", "100/s"),
        (f"{CREATE} --name '{'n' * 61}'", "60"),
        ("keys create --role auditor", "SELLABLE_KEYS"),
        ("keys list", "--data"),
        ("keys list --data nowhere", "no folder nowhere"),
        ("keys revoke 5f2c9d8e --data nowhere", "no folder nowhere"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_what_would(call: Call, line: str, told: str) -> None:
    """Exit status 2, and nothing is written."""
    done = call(line)
    assert done.status == 2
    assert told in done.err
    assert not Path("data/keys.json").exists()


def test_the_file_of_keys_may_be_named(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With --keys, or by the environment."""
    assert call("keys create --role auditor --keys mine.json").status == 0
    monkeypatch.setenv("SELLABLE_KEYS", str(tmp_path / "mine.json"))
    assert call("keys create --role operator").status == 0
    assert len(call("keys list --json").data) == 2
    assert not Path("data").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"format":2,"keys":[]}', '{"format":1,"keys":[{}]}'])
def test_a_damaged_file_of_keys_is_told_and_left_alone(call: Call, text: str) -> None:
    """Nothing is lost by overwriting it."""
    file = Path("mine.json")
    file.write_text(text)
    done = call("keys create --role auditor --keys mine.json --json")
    assert done.status == 1
    assert "cannot be read" in json.loads(done.err)["error"]
    assert file.read_text() == text
