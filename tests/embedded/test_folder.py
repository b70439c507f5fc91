"""The data folder: one engine at a time, readers beside it, orders to it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import CorruptStateError, UsageError
from engine.embedded.folder import (
    EngineNotRunningError,
    FolderFormatError,
    NoAnswerError,
    answer,
    is_running,
    open_for_reading,
    open_for_writing,
    place_order,
    take_orders,
)
from engine.stores.base import StoreLockedError, StoreMissingError, StoreUnreachableError

LONG_SECONDS = 30.0  # never waited for


def test_a_folder_is_made_by_the_first_engine_and_found_by_the_next(tmp_path: Path) -> None:
    """Its parts have the documented names, and it says which format it is of."""
    store = open_for_writing(tmp_path / "data")
    store.commit({b"K1": b"1"})
    store.close()
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names == {"state", "orders", "format", "engine.lock"}
    assert json.loads((tmp_path / "data" / "format").read_text()) == {"format": 1}
    again = open_for_writing(tmp_path / "data")
    assert again.get(b"K1") == b"1"
    again.close()


def test_a_second_engine_is_told_which_process_has_the_folder(tmp_path: Path) -> None:
    """The folder, the process and what to do; the first engine goes on."""
    store = open_for_writing(tmp_path)
    with pytest.raises(StoreLockedError, match=r"another engine .* \(process \d+\)") as caught:
        open_for_writing(tmp_path)
    assert "--data" in caught.value.advice
    store.commit({b"K1": b"1"})
    store.close()
    open_for_writing(tmp_path).close()


def test_an_engine_runs_from_opening_to_closing(tmp_path: Path) -> None:
    """Anybody may ask, and asking does not keep an engine from starting."""
    assert not is_running(tmp_path)
    store = open_for_writing(tmp_path)
    assert is_running(tmp_path)
    store.close()
    assert not is_running(tmp_path)


def test_a_killed_engine_does_not_run_any_more(tmp_path: Path) -> None:
    """The kernel frees the lock with the process; what was committed is there."""
    code = """
import sys
from pathlib import Path
from engine.embedded.folder import open_for_writing
store = open_for_writing(Path(sys.argv[1]))
store.commit({b"K1": b"1"})
print("open", flush=True)
sys.stdin.read()
"""
    engine = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    assert engine.stdin is not None
    assert engine.stdout.readline() == "open\n"
    assert is_running(tmp_path)
    with pytest.raises(StoreLockedError, match=f"process {engine.pid}"):
        open_for_writing(tmp_path)
    reader = open_for_reading(tmp_path)
    assert reader.get(b"K1") == b"1"
    reader.close()
    engine.kill()
    engine.wait()
    engine.stdout.close()
    engine.stdin.close()
    assert not is_running(tmp_path)
    store = open_for_writing(tmp_path)
    assert store.get(b"K1") == b"1"
    store.close()


def test_reading_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    with pytest.raises(StoreMissingError, match="no data folder"):
        open_for_reading(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_folder_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    """For writing and for reading; the lock is free afterwards."""
    open_for_writing(tmp_path).close()
    (tmp_path / "format").write_text('{"format": 2}')
    with pytest.raises(FolderFormatError, match="has format 2") as caught:
        open_for_writing(tmp_path)
    assert "later" in caught.value.advice
    with pytest.raises(FolderFormatError):
        open_for_reading(tmp_path)
    assert not is_running(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', "1"])
def test_a_format_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    """Rather than guessed."""
    open_for_writing(tmp_path).close()
    (tmp_path / "format").write_text(content)
    with pytest.raises(CorruptStateError, match="of which version"):
        open_for_writing(tmp_path)


def test_a_path_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A file in its place, for the engine and for whoever asks."""
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(UsageError, match="is no folder"):
        open_for_writing(tmp_path / "data")
    with pytest.raises(StoreUnreachableError):
        is_running(tmp_path / "data")


def test_a_store_that_cannot_be_opened_leaves_the_folder_free(tmp_path: Path) -> None:
    """An error in the store's part does not keep the lock."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StoreUnreachableError):
        open_for_writing(tmp_path)
    assert not is_running(tmp_path)


# --- orders ------------------------------------------------------------------------------------


def serve(path: Path, stop: threading.Event, served: list[dict[str, Any]]) -> None:
    """Answer orders like an engine until told to stop."""
    while not stop.is_set():
        for name, order in take_orders(path):
            served.append(order)
            answer(path, name, {"done": order["number"]})
        stop.wait(0.001)


def test_orders_are_carried_out_once_and_answered(tmp_path: Path) -> None:
    """Several processes order at the same time; each gets its own answer, nothing is left."""
    store = open_for_writing(tmp_path)
    stop = threading.Event()
    served: list[dict[str, Any]] = []
    engine = threading.Thread(target=serve, args=(tmp_path, stop, served))
    engine.start()
    replies: dict[int, dict[str, Any]] = {}

    def order(number: int) -> None:
        replies[number] = place_order(tmp_path, {"number": number}, LONG_SECONDS)

    clients = [threading.Thread(target=order, args=(number,)) for number in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    stop.set()
    engine.join()
    store.close()
    assert replies == {number: {"done": number} for number in range(8)}
    assert sorted(order["number"] for order in served) == list(range(8))
    assert list((tmp_path / "orders").iterdir()) == []


def test_an_order_needs_a_running_engine(tmp_path: Path) -> None:
    """Otherwise it would lie there until some engine starts, and surprise somebody."""
    open_for_writing(tmp_path).close()
    with pytest.raises(EngineNotRunningError, match="no engine is running"):
        place_order(tmp_path, {"order": "snapshot"}, LONG_SECONDS)
    assert list((tmp_path / "orders").iterdir()) == []


def test_an_order_that_no_engine_takes_in_time_is_withdrawn(tmp_path: Path) -> None:
    """It will not be carried out later."""
    store = open_for_writing(tmp_path)
    with pytest.raises(NoAnswerError, match="withdrawn"):
        place_order(tmp_path, {"order": "snapshot"}, 0.0)
    assert take_orders(tmp_path) == []
    store.close()


def test_an_order_that_was_begun_and_not_answered_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever placed it must look whether it was carried out."""
    store = open_for_writing(tmp_path)
    taken: list[Any] = []
    monkeypatch.setattr("time.sleep", lambda _: taken.extend(take_orders(tmp_path)))
    with pytest.raises(NoAnswerError, match="has begun the order"):
        place_order(tmp_path, {"order": "snapshot"}, 0.05)
    assert [order for _, order in taken] == [{"order": "snapshot"}]
    store.close()


def test_whoever_waits_is_told_when_the_engine_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the time is up."""
    store = open_for_writing(tmp_path)
    monkeypatch.setattr("time.sleep", lambda _: store.close())
    with pytest.raises(EngineNotRunningError, match="ended before it answered"):
        place_order(tmp_path, {"order": "snapshot"}, LONG_SECONDS)


def test_orders_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Names begin with the time; files that are not whole yet, and answers, are no orders."""
    store = open_for_writing(tmp_path)
    orders = tmp_path / "orders"
    for name, content in [
        ("2.json", '{"n": 2}'),
        ("1.json", '{"n": 1}'),
        ("3.json.tmp", '{"n":'),
        ("0.answer", "{}"),
    ]:
        (orders / name).write_text(content)
    assert take_orders(tmp_path) == [("1", {"n": 1}), ("2", {"n": 2})]
    assert take_orders(tmp_path) == []
    store.close()


@pytest.mark.parametrize("content", ["no json", "[1]"])
def test_what_is_no_order_is_answered_with_an_error(tmp_path: Path, content: str) -> None:
    """The engine goes on."""
    store = open_for_writing(tmp_path)
    (tmp_path / "orders" / "1.json").write_text(content)
    assert take_orders(tmp_path) == []
    told = json.loads((tmp_path / "orders" / "1.answer").read_text())
    assert "not a JSON object" in told["error"]
    store.close()


def test_orders_left_by_an_earlier_engine_are_dropped(tmp_path: Path) -> None:
    """A new engine does not carry out what was meant for the one before."""
    open_for_writing(tmp_path).close()
    (tmp_path / "orders" / "1.json").write_text('{"order": "snapshot"}')
    store = open_for_writing(tmp_path)
    assert take_orders(tmp_path) == []
    store.close()


def test_a_folder_without_orders_has_none(tmp_path: Path) -> None:
    """Also where the folder for them was removed."""
    assert take_orders(tmp_path / "nowhere") == []
