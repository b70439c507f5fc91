"""Loads: recorded, generated, and with tills that were offline."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.contracts.errors import UsageError
from engine.contracts.instants import format_instant, parse_instant
from engine.rehearsal.faults import parse_fault
from engine.rehearsal.generated import Generator
from engine.rehearsal.lines import look, shifted
from engine.rehearsal.load import SECOND, with_tills_offline
from engine.rehearsal.recording import Recording
from engine.rules.loader import load_rules
from tests.rehearsal.samples import line, load_of

RULES = Path(__file__).parents[2] / "rules"
MORNING = parse_instant("2026-11-27T10:00:00Z")


def recorded(path: Path, seconds: list[float]) -> Path:
    """A file with a sale at each of so many seconds after the morning began."""
    sales = [
        line(number, occurred_at=format_instant(MORNING + round(second * SECOND)))
        for number, second in enumerate(seconds)
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join([*sales[:1], b"", b"no movement", *sales[1:]]))
    return path


def test_a_recording_is_played_where_it_is_busiest(tmp_path: Path) -> None:
    """Compressed by the factor; what came before is there, and what nobody filled is opened."""
    path = recorded(tmp_path / "day.ndjson", [0, 100, 101, 102, 103, 200])
    recording = Recording([str(path)], 2.0, 2 * SECOND)
    load = recording.load(2.0, 2 * SECOND)
    assert recording.origin == MORNING + 100 * SECOND
    assert (load.offsets / SECOND).tolist() == [0, 0.5, 1, 1.5]
    assert load.whole
    assert [look(each).id for each in recording.warm_up()] == ["m-0", ""]


def test_a_recording_that_begins_with_its_peak_has_an_opening_stock(tmp_path: Path) -> None:
    """Twice what goes out, as nobody knows what there was; and it says when it is at its end."""
    path = recorded(tmp_path / "day.ndjson", [0, 1, 2])
    recording = Recording([str(path)], 1.0, 60 * SECOND)
    (opening,) = [msgspec.json.decode(each) for each in recording.warm_up()]
    assert (opening["type"], opening["sku"], opening["quantity"]) == ("receipt", "A", 6)
    assert not recording.load(1.0, 60 * SECOND).whole


def test_a_file_without_movements_is_no_recording(tmp_path: Path) -> None:
    """There is nothing to play."""
    path = tmp_path / "day.ndjson"
    path.write_text("{}\n")
    with pytest.raises(UsageError, match="no movement is recorded"):
        Recording([str(path)], 1.0, SECOND)


def test_times_are_moved_and_nothing_else() -> None:
    """A line that is no movement stays as it is: the engine must refuse it as it would."""
    moved = msgspec.json.decode(shifted(line(1, expires_at="soon"), lambda at: at + SECOND))
    assert moved["occurred_at"] == "2026-11-27T10:00:01Z"
    assert moved["expires_at"] == "soon"
    for told in (b"{", b"[1]", b"\xff"):
        assert shifted(told, lambda at: at) == told


def test_tills_that_were_offline_tell_everything_when_they_are_back() -> None:
    """At once, in the order in which they would have told it, among what others tell."""
    lines = [line(number, source=f"pos-{number % 2}") for number in range(6)]
    fault = parse_fault("till-chain=pos-1@1s+3s", 6 * SECOND)
    load, chains = with_tills_offline(load_of(lines, range(6)), [fault])
    assert chains == {fault: ["pos-1"]}
    assert [look(each).id for each in load.lines] == ["m-0", "m-2", "m-1", "m-3", "m-4", "m-5"]
    assert (load.offsets / SECOND).tolist() == [0, 2, 4, 4, 4, 5]


def test_the_chain_is_chosen_where_none_is_named() -> None:
    """The busiest tills, that together take almost a third of the sales."""
    lines = [line(number, source=f"pos-{number % 10}") for number in range(100)]
    fault = parse_fault("till-chain", 100 * SECOND)
    _, chains = with_tills_offline(load_of(lines, range(100)), [fault])
    assert len(chains[fault]) == 3


@pytest.mark.parametrize(("text", "kind"), [("till-chain=web-*", "sale"), ("till-chain", "return")])
def test_tills_that_are_not_there_cannot_go_offline(text: str, kind: str) -> None:
    """The rehearsal would prove nothing."""
    with pytest.raises(UsageError):
        with_tills_offline(load_of([line(1, type=kind)], [0]), [parse_fault(text, SECOND)])


def test_the_same_seed_generates_the_same_movements() -> None:
    """Evenly over the time, some late and some twice, from many tills; another seed differs."""
    rules = load_rules(RULES)
    loads = [Generator(rules, 100.0, 200, 1.0, seed).load(1.0, 20 * SECOND) for seed in (1, 1, 2)]
    one, same, other = loads
    assert one.lines == same.lines
    assert one.lines != other.lines
    assert np.array_equal(one.offsets, same.offsets)
    assert one.offsets.max() < 20 * SECOND
    identities = Counter((look(each).source, look(each).id) for each in one.lines)
    assert max(identities.values()) == 2
    assert {"sale", "reserve", "fulfil", "count"} <= {look(each).type for each in one.lines}
