"""Reading several inputs by when their lines occurred."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.instants import format_instant, parse_instant
from engine.embedded.inputs import Inputs, Position
from tests.embedded.input_files import lines_of, write

NOON = parse_instant("2026-11-20T12:00:00Z")
SECOND = 1_000_000


def line(name: str, second: int | None) -> bytes:
    if second is None:
        return f'{{"id":"{name}"'.encode()
    return f'{{"id":"{name}","occurred_at":"{format_instant(NOON + second * SECOND)}"}}'.encode()


def input_of(folder: str, name: str, seconds: Sequence[int | None]) -> str:
    lines = [line(f"{name}{place}", second) for place, second in enumerate(seconds)]
    return write(Path(folder) / f"{name}.ndjson", b"\n".join(lines))


def merged(
    paths: Sequence[str], limit: int = 100, saved: Mapping[str, Position] | None = None
) -> list[str]:
    return [found[7:9].decode() for found in lines_of(paths, saved, merge=True, limit=limit)]


def test_the_line_that_occurred_first_comes_first(tmp_path: Path) -> None:
    """Whichever input it stands in, and however often the input changes."""
    paths = [
        input_of(str(tmp_path), "a", [1, 2, 8, 9]),
        input_of(str(tmp_path), "b", [0, 3, 7]),
        input_of(str(tmp_path), "c", [4, 5, 6, 10]),
    ]
    assert merged(paths) == ["b0", "a0", "a1", "b1", "c0", "c1", "c2", "b2", "a2", "a3", "c3"]


def test_at_the_same_instant_the_input_given_first_comes_first(tmp_path: Path) -> None:
    """All of its lines of that instant, then the next input's."""
    first = input_of(str(tmp_path), "a", [1, 1, 2])
    second = input_of(str(tmp_path), "b", [1, 1, 2])
    assert merged([first, second]) == ["a0", "a1", "b0", "b1", "a2", "b2"]
    assert merged([second, first]) == ["b0", "b1", "a0", "a1", "b2", "a2"]


def test_instants_are_compared_and_not_texts(tmp_path: Path) -> None:
    """Noon in New York is later than noon in Paris."""
    new_york = write(tmp_path / "a", b'{"id":"ny","occurred_at":"2026-11-20T12:00:00-05:00"}\n')
    paris = write(tmp_path / "b", b'{"id":"pa","occurred_at":"2026-11-20T12:00:00.5+01:00"}\n')
    assert merged([new_york, paris]) == ["pa", "ny"]


def test_a_line_whose_time_cannot_be_read_comes_at_once(tmp_path: Path) -> None:
    """It will be refused wherever it stands; the lines after it wait for their time."""
    early = input_of(str(tmp_path), "a", [1, 2])
    broken = input_of(str(tmp_path), "b", [None, 5, None, 0])
    assert merged([early, broken]) == ["b0", "a0", "a1", "b1", "b2", "b3"]


def test_what_is_no_time_at_all_comes_at_once(tmp_path: Path) -> None:
    """Wrong types, wrong texts, bytes that are no text, deep nesting: none stops the merge."""
    odd = [
        b'{"id":"00","occurred_at":17}',
        b'{"id":"01","occurred_at":"noon"}',
        b'{"id":"02","occurred_at":null}',
        b'{"id":"03"}',
        b'{"id":"04","occurred_at":"\xff"}',
        b'{"id":"05","x":' + b"[" * 50_000,
        b'["id":"06"]',
    ]
    path = write(tmp_path / "odd", b"\n".join(odd))
    other = input_of(str(tmp_path), "a", [1])
    assert merged([other, path]) == ["00", "01", "02", "03", "04", "05", "06", "a0"]


def test_inputs_that_end_early_or_are_empty_do_not_hold_the_others(tmp_path: Path) -> None:
    """The merge goes on with those that are left."""
    empty = write(tmp_path / "empty", b"\n")
    short = input_of(str(tmp_path), "a", [1])
    long = input_of(str(tmp_path), "b", [0, 2, 3])
    assert merged([empty, short, long]) == ["b0", "a0", "b1", "b2"]


def test_the_merge_waits_for_the_next_line_of_every_live_input(tmp_path: Path) -> None:
    """A line of a file may be later than what a pipe is still to bring."""
    path = input_of(str(tmp_path), "a", [1, 3])
    read_end, write_end = os.pipe()
    inputs = Inputs([path, "-"], merge=True, stdin=read_end)
    assert inputs.read(10) is None
    os.write(write_end, line("p0", 2) + b"\n")
    batch = inputs.read(10, 30.0)
    assert batch is not None
    assert [found[7:9] for found in batch.lines] == [b"a0", b"p0"]
    assert batch.origin(1) == "-:1"
    assert inputs.read(10) is None
    os.close(write_end)
    batch = inputs.read(10, 30.0)
    assert batch is not None
    assert [found[7:9] for found in batch.lines] == [b"a1"]
    assert inputs.ended
    os.close(read_end)


SECONDS = st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=8)


@settings(max_examples=80)
@given(contents=st.lists(SECONDS, min_size=1, max_size=3), limit=st.integers(1, 6))
def test_the_order_is_that_of_the_lines_alone_wherever_reading_was_cut(
    contents: list[list[int | None]], limit: int
) -> None:
    """Any size of batches, any place of a restart: the same lines in the same order."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [input_of(folder, "abc"[place], lines) for place, lines in enumerate(contents)]
        expected = by_hand(contents)
        assert merged(paths, limit) == expected
        for count in range(len(expected) + 1):
            saved: dict[str, Position] = {}
            left = count
            with Inputs(paths, merge=True) as inputs:
                while left:
                    batch = inputs.read(limit)
                    assert batch is not None
                    step = min(left, len(batch.lines))
                    saved |= batch.positions(step)
                    left -= step
            assert merged(paths, limit, saved) == expected[count:]


def by_hand(contents: list[list[int | None]]) -> list[str]:
    """Merge one line at a time, as the promise says it."""
    queues = [[(second, place) for place, second in enumerate(lines)] for lines in contents]
    order = []
    while any(queues):
        due, chosen = min(
            (-1 if queue[0][0] is None else queue[0][0], number)
            for number, queue in enumerate(queues)
            if queue
        )
        assert due >= -1
        order.append(f"{'abc'[chosen]}{queues[chosen].pop(0)[1]}")
    return order


def test_damages_are_told_in_the_order_in_which_they_are_noticed(tmp_path: Path) -> None:
    """Whoever has told the first ones finds the new ones at the end."""
    seconds = list(range(3_000))
    late = gzip.compress(b"\n".join(line(f"a{second}", second) for second in seconds))
    early = gzip.compress(line("b0", 0) + b"\n")
    (tmp_path / "late.gz").write_bytes(late[:-5])
    (tmp_path / "early.gz").write_bytes(early[:-5])
    other = input_of(str(tmp_path), "c", [1, 4_000])
    paths = [str(tmp_path / "late.gz"), str(tmp_path / "early.gz"), other]
    noticed = []
    with Inputs(paths, merge=True) as inputs:
        while not inputs.ended:
            inputs.read(1_000)
            noticed.append([Path(damage.path).name for damage in inputs.damages])
    assert noticed[0][:1] == noticed[-1][:1]
    assert sorted(noticed[-1]) == ["early.gz", "late.gz"]
