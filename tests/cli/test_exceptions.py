"""`sellable exceptions` and `sellable snapshot`, with and without a running engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import REPLAY, Call, Live, until


def test_exceptions_are_listed_oldest_first(replayed: Call) -> None:
    """JSON has every exception with its payload as it came and what became of it."""
    found = replayed("exceptions list --data data --json").data
    assert [each["exception"] for each in found] == [f"x-0000000{n}" for n in range(1, 5)]
    assert [each["status"] for each in found] == ["open"] * 4
    assert json.loads(found[0]["payload"])["id"] == "t-2"
    assert found[0]["origin"] == "movements.ndjson:11"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("--code too_old", [3]),
        ("--code too_old --code negative_stock", [3, 4]),
        ("--severity critical", [1, 2]),
        ("--status dismissed", []),
        ("--limit 1", [1]),
    ],
)
def test_the_list_can_be_narrowed(replayed: Call, options: str, numbers: list[int]) -> None:
    """Code, severity, status and a limit choose from the list."""
    found = replayed(f"exceptions list {options} --data data --json").data
    assert [int(each["exception"][2:]) for each in found] == numbers


def test_a_shortened_table_says_how_much_it_leaves_out(replayed: Call) -> None:
    """Nothing is left out in silence."""
    lines = replayed("exceptions list --limit 1 --data data").out.splitlines()
    assert lines[-1] == "3 exceptions more; --limit 4 shows all"


def test_an_unknown_status_is_a_wrong_call(replayed: Call) -> None:
    """The error names the statuses there are."""
    done = replayed("exceptions list --status closed --data data")
    assert done.status == 2
    assert "dismissed" in done.err


def test_one_exception_is_shown_with_its_payload_and_advice(replayed: Call) -> None:
    """The payload stands there as it came, with what to do about it."""
    text = replayed("exceptions show x-00000002 --data data").out
    assert "location is missing" in text
    assert '"id":"t-3"' in text
    assert "replay with --set" in text
    assert replayed("exceptions show x-00000002 --data data --json").data["advice"]


@pytest.mark.parametrize("name", ["x-00000099", "nonsense"])
def test_an_exception_that_is_not_there_is_a_wrong_call(replayed: Call, name: str) -> None:
    """Shown, replayed or dismissed: the error says where to look."""
    for command in ("show {}", "replay {}", "dismiss {} --reason x"):
        done = replayed(f"exceptions {command.format(name)} --data data")
        assert done.status == 2
        assert "exceptions list" in done.err


def test_a_mended_movement_is_replayed_without_an_engine(replayed: Call) -> None:
    """The missing field is set, the movement counts, and the exception is closed."""
    done = replayed("exceptions replay x-00000002 --set location=S-0102 --data data --json")
    assert done.data == {"exception": "x-00000002", "outcome": "applied"}
    found = replayed("stock 10-0001 --location S-0102 --data data --json").data
    assert found["locations"][0]["sellable"] == 14
    shown = replayed("exceptions show x-00000002 --data data --json").data
    assert shown["status"] == "replayed"
    assert replayed("exceptions replay x-00000002 --data data").status == 2


def test_what_follows_from_a_replay_is_published_by_the_next_run(replayed: Call) -> None:
    """Done without an engine it waits in the folder, under the settings of the last run."""
    replayed("exceptions replay x-00000002 --set location=S-0101 --data data")
    line = "availability 10-0001 --channel web-shop --data data --json"
    assert replayed(line).data["channels"][0]["pending"]
    assert replayed(REPLAY).status == 0
    key = replayed(line).data["channels"][0]
    assert key["cause"]["id"] == "t-3"
    assert not key["pending"]


def test_only_a_replay_leaves_something_to_publish(replayed: Call) -> None:
    """A dismissal changes no stock, so it does not speak of a next run."""
    later = "What follows from it is published"
    assert later in replayed("exceptions replay x-00000002 --set location=S-0101 --data data").out
    done = replayed("exceptions dismiss x-00000001 --reason twice --data data")
    assert "x-00000001 was dismissed: twice" in done.out
    assert later not in done.out


def test_a_movement_that_is_refused_again_stays_open(replayed: Call) -> None:
    """Nothing has changed; the error has the new reason, the exit status is 1."""
    before = replayed("stock 10-0001 --data data --json").data
    done = replayed("exceptions replay x-00000001 --set quantity=-1 --data data")
    assert done.status == 1
    assert "quantity" in done.err
    assert replayed("stock 10-0001 --data data --json").data == before
    assert replayed("exceptions show x-00000001 --data data --json").data["status"] == "open"


def test_what_is_too_old_is_taken_when_an_operator_says_so(replayed: Call) -> None:
    """--accept-old takes what nobody can tell any more whether it was seen."""
    assert replayed("exceptions replay x-00000003 --data data").status == 1
    done = replayed("exceptions replay x-00000003 --accept-old --data data --json")
    assert done.data["outcome"] == "absorbed"


def test_a_change_without_an_equals_sign_is_a_wrong_call(replayed: Call) -> None:
    """The error shows how --set is written."""
    done = replayed("exceptions replay x-00000002 --set location --data data")
    assert done.status == 2
    assert "--set location=S-7" in done.err


def test_a_field_that_there_is_not_is_a_wrong_call(replayed: Call) -> None:
    """Else a slip of the finger would replay something else than what was meant."""
    done = replayed("exceptions replay x-00000002 --set locaton=S-0102 --data data")
    assert done.status == 2
    assert "'locaton'" in done.err
    assert "'location'" in done.err
    shown = replayed("exceptions show x-00000002 --data data --json").data
    assert shown["status"] == "open"


def test_a_warning_cannot_be_replayed(replayed: Call) -> None:
    """Its movement was applied already."""
    done = replayed("exceptions replay x-00000004 --data data")
    assert done.status == 2
    assert "is a warning" in done.err


@pytest.mark.parametrize("reason", ["", '--reason " "'])
def test_a_dismissal_needs_a_reason(replayed: Call, reason: str) -> None:
    """Without one, or with an empty one, nothing is dismissed."""
    done = replayed(f"exceptions dismiss x-00000001 {reason} --data data")
    assert done.status == 2
    assert "reason" in done.err
    assert replayed("exceptions show x-00000001 --data data --json").data["status"] == "open"


def test_a_dismissed_exception_keeps_its_reason(replayed: Call) -> None:
    """Who looks at it later sees why it was closed."""
    done = replayed('exceptions dismiss x-00000001 --reason "a test" --data data')
    assert done.status == 0
    shown = replayed("exceptions show x-00000001 --data data --json").data
    assert (shown["status"], shown["note"]) == ("dismissed", "a test")


def test_a_snapshot_is_taken_without_an_engine(replayed: Call) -> None:
    """One for each channel and one for the ledger are appended to the file."""
    answer = replayed("snapshot --data data --json").data
    assert answer["snapshots"] == 6
    lines = Path(answer["file"]).read_text().splitlines()
    kinds = [json.loads(line).get("kind") for line in lines]
    assert kinds.count("header") == kinds.count("trailer") == 6


def test_a_folder_of_the_wall_clock_is_worked_on_after_its_engine_has_ended(
    live: Live, call: Call
) -> None:
    """Its clock is taken on to the time of day first, so that what occurred since is not ahead."""
    live.send(id="c1", type="count", sku="A", location="DC-EAST", quantity=5)
    live.send(id="t1", type="sale", sku="A", quantity=2)
    until(lambda: call("exceptions show x-00000001 --data data").status == 0)
    assert live.stop().status == 0
    done = call("exceptions replay x-00000001 --set location=DC-EAST --data data --json")
    assert done.data["outcome"] == "applied"
    assert call("stock A --data data --json").data["locations"][0]["sellable"] == 3


def test_a_payload_of_megabytes_is_cut_for_people(call: Call, workspace: Path) -> None:
    """The terminal gets its beginning and its size, programs get what was kept of it."""
    (workspace / "movements.ndjson").write_text('{"id":"' + "x" * 100_000 + '"}\n')
    call(REPLAY)
    text = call("exceptions show x-00000001 --data data").out
    assert len(text) < 6_000
    assert "--json shows all" in text
    payload = call("exceptions show x-00000001 --data data --json").data["payload"]
    assert len(payload) > 60_000


def test_a_running_engine_carries_out_orders(live: Live, call: Call) -> None:
    """Replay, dismissal and snapshot go to the engine that has the folder."""
    live.send(id="c1", type="count", sku="A", location="DC-EAST", quantity=5)
    live.send(id="t1", type="sale", sku="A", quantity=2)
    live.send(id="t2", type="sale", sku="A", quantity=0, location="DC-EAST")

    def refused_both() -> bool:
        done = call("exceptions list --data data --json")
        return done.status == 0 and len(done.data) == 2

    until(refused_both)
    replayed = call("exceptions replay x-00000001 --set location=DC-EAST --data data --json")
    assert replayed.data["outcome"] == "applied"
    again = call("exceptions replay x-00000001 --data data")
    assert again.status == 2
    assert call("exceptions replay x-00000002 --data data").status == 1
    assert call("exceptions dismiss x-00000002 --reason test --data data").status == 0
    assert call("snapshot --data data --json").data["snapshots"] == 6
    found = call("stock A --data data --json").data
    assert found["locations"][0]["sellable"] == 3
    assert live.stop().data["snapshots"] == 6
