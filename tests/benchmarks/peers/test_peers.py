"""Who takes part, in which order, and that the work in plain Python is the oracle's."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from benchmarks.inv1 import generate
from benchmarks.inv1_lines import CHANNELS, Workload
from benchmarks.peers.command import choose
from benchmarks.peers.expected import compare, expected_of, read_dump
from benchmarks.peers.jobs import Clock, Mode
from benchmarks.peers.plain.instants import SECOND
from benchmarks.peers.plain.ledger import examine
from benchmarks.peers.plain.movements import Faulty, read_movement
from benchmarks.peers.plain.publications import state_rows
from benchmarks.peers.plain.shard import Shard, load
from benchmarks.peers.plain.state import NEVER
from benchmarks.peers.roster import all_peers
from benchmarks.peers.rounds import order_of
from benchmarks.peers.verdict import EMBEDDED, ON_KAFKA, REFERENCES

TINY = Workload(movements=2_000, skus=60, locations=4, rate=100, seed=3)


def test_the_verdict_knows_the_peers_by_their_names() -> None:
    """Every name that has a reference, or a target, is that of one peer."""
    names = [peer.name for peer in all_peers()]
    assert len(names) == len(set(names))
    assert {*REFERENCES, EMBEDDED, ON_KAFKA} == set(names)


def test_peers_are_chosen_by_their_names() -> None:
    """A name that is none of theirs is told, so that nobody waits an hour for nothing."""
    known = all_peers()
    assert choose(known, "") == known
    assert [peer.name for peer in choose(known, "flink, bytewax")] == ["flink", "bytewax"]
    with pytest.raises(typer.BadParameter, match="flnk: no such peer"):
        choose(known, "flink,flnk")


def test_versions_are_those_that_are_pinned() -> None:
    """They are read from where the build takes them."""
    versions = {peer.name: peer.facts.version for peer in all_peers()}
    pinned = (Path(__file__).parents[3] / "benchmarks" / "peers" / "pom.xml").read_text()
    for name in ("kafka-streams", "flink"):
        assert f".version>{versions[name].split()[-1]}</" in pinned
    assert versions["bytewax"] == "bytewax 0.21.1"


def test_every_second_round_goes_the_other_way() -> None:
    """A machine that gets slower during a round is not slower for the same peer each time."""
    peers = all_peers()
    assert order_of(peers, 1) == peers
    assert order_of(peers, 2) == peers[::-1]


def test_the_work_in_plain_python_ends_as_the_oracle_says(tmp_path: Path) -> None:
    """State of every key and SKU, also when it was kept and taken up again in the midst."""
    made = generate(TINY, tmp_path)
    expected = expected_of(made, Clock.EVENT, small=True)
    told: list[str] = []
    refused = 0
    clock = NEVER
    shard = Shard(Mode.TICKS.tick_us, lambda channel, record: told.append(channel))
    lines = Path(made.path).read_bytes().splitlines()
    for number, line in enumerate(lines):
        if number == len(lines) // 2:
            kept = load(shard.dump())
            shard = Shard(Mode.TICKS.tick_us, lambda channel, record: told.append(channel), kept)
        try:
            movement = read_movement(line)
            code = examine(movement, clock)
        except Faulty as fault:
            code = str(fault)
        else:
            if code is None:
                clock = max(clock, movement.at)
                code = shard.take(movement, clock)
        refused += code is not None
    shard.advance(clock + SECOND - clock % SECOND)
    dump = tmp_path / "state.ndjson"
    dump.write_bytes(b"".join(state_rows(shard.skus)))
    keys, skus = read_dump(dump)
    compare("keys", expected.keys, keys)
    compare("SKUs", expected.skus, skus)
    assert refused == expected.refused
    assert expected.told is not None
    assert len(told) == len(expected.told)
    assert set(told) == set(CHANNELS)
