"""A flipped bit in the files of the store is noticed, and nothing is read past it."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from engine.core.parts import EVENT
from engine.embedded.folder import STATE
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from engine.stores.base import StoreDamagedError
from engine.stores.rocks import RocksStore
from tests.oracle import generate, random_rules, write_rules_folder

COMMITS = 4
# A record of the log: checksum, length, kind, payload; here each commit is one record.
# https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
LENGTH_AT, LENGTH_BYTES = 4, 2

Rows = dict[bytes, bytes]


def as_a_kill_leaves_it(folder: Path) -> list[Rows]:
    """Make a store whose commits are all in its log; returns what it held after each of them."""
    store = RocksStore(folder / "running")
    states: list[Rows] = [{}]
    for number in range(COMMITS):
        store.commit({b"K%d" % key: bytes([65 + number]) * 10 for key in (number, number + 1)})
        states.append(dict(store.scan(b"")))
    shutil.copytree(folder / "running", folder / "killed")
    store.close()
    return states


def found_after(folder: Path, log: str, data: bytes) -> Rows | None:
    """What a store with that log holds; None when it cannot be opened."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "killed", copy)
    (copy / log).write_bytes(data)
    try:
        store = RocksStore(copy)
    except StoreDamagedError:
        return None
    try:
        return dict(store.scan(b""))
    finally:
        store.close()


def test_every_flipped_bit_in_the_log_is_noticed_but_in_the_length_of_a_record_at_its_end(
    tmp_path: Path,
) -> None:
    """A length beyond the end looks like the end of a killed process: such a commit is not there.

    Never is anything read that was not committed, and never a commit without those before it.
    """
    states = as_a_kill_leaves_it(tmp_path)
    log = max((tmp_path / "killed").glob("*.log"), key=lambda path: path.stat().st_size)
    data = log.read_bytes()
    record = len(data) // COMMITS
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        found = found_after(tmp_path, log.name, bytes(flipped))
        if found is not None:
            at = place % record
            assert LENGTH_AT <= at < LENGTH_AT + LENGTH_BYTES, f"bit {place % 8} of byte {place}"
            assert found == states[place // record]


def test_a_log_that_ends_in_the_midst_of_a_commit_holds_those_before_it(tmp_path: Path) -> None:
    """That is what a kill leaves: the engine starts."""
    states = as_a_kill_leaves_it(tmp_path)
    log = max((tmp_path / "killed").glob("*.log"), key=lambda path: path.stat().st_size)
    data = log.read_bytes()
    for length in range(0, len(data), 7):
        assert (
            found_after(tmp_path, log.name, data[:length]) == states[length * COMMITS // len(data)]
        )


def play(folder: Path, source: Path, killed: Path | None = None) -> None:
    """Run the engine over an input; `killed` becomes what a kill at the end would have left."""
    rules = folder / "rules"
    runtime = Runtime(folder / "data", load_rules(rules), rules, EVENT, None)
    try:
        with Inputs([str(source)], saved=runtime.record.positions) as inputs:
            run(runtime, inputs, rules, Job(once=True, stop=Stop()))
        if killed is not None:
            shutil.copytree(folder, killed)
    finally:
        runtime.close()


def outputs(folder: Path) -> dict[str, bytes]:
    """What was told, by file; the names of the inputs are the same in all of them."""
    return {path.name: path.read_bytes() for path in (folder / "data" / "out").glob("*.ndjson")}


def with_a_flipped_bit(folder: Path, copy: Path, suffix: str, chance: random.Random) -> Path:
    """A copy of a data folder in which one bit of the largest file of a kind has flipped."""
    shutil.copytree(folder, copy)
    files = [path for path in (copy / "data" / STATE).iterdir() if path.suffix == suffix]
    path = max(files, key=lambda each: each.stat().st_size)
    damaged = bytearray(path.read_bytes())
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    path.write_bytes(damaged)
    return copy


@pytest.mark.parametrize("suffix", [".sst", ".log"])
def test_an_engine_on_a_damaged_store_stops_and_tells_nothing_wrong(
    suffix: str, tmp_path: Path
) -> None:
    """Whichever bit of its tables or its log has flipped.

    It tells the beginning of what an engine on the sound store tells: all of it when it never
    needed what is damaged. What it had told before is never gone.
    """
    stream = generate(4, 300, channels=["web"])
    write_rules_folder(random_rules(4), tmp_path / "running" / "rules")
    source = tmp_path / "movements.ndjson"
    source.write_bytes(b"\n".join(stream[:200]) + b"\n")
    play(tmp_path / "running", source, tmp_path / "killed")
    sound = tmp_path / ("killed" if suffix == ".log" else "running")  # closed, the log is a table
    before = outputs(sound)
    source.write_bytes(b"\n".join(stream) + b"\n")
    shutil.copytree(sound, tmp_path / "whole")
    play(tmp_path / "whole", source)
    after = outputs(tmp_path / "whole")
    chance = random.Random(1)
    stopped = 0
    for attempt in range(12):
        folder = with_a_flipped_bit(sound, tmp_path / f"damaged-{attempt}", suffix, chance)
        with suppress(StoreDamagedError):
            stopped += 1
            play(folder, source)
            stopped -= 1
        for name, told in outputs(folder).items():
            assert told.startswith(before[name])
            assert after[name].startswith(told)
    assert stopped > 6
