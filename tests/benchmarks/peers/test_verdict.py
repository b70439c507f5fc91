"""Who leads, and whose figures do not count."""

from __future__ import annotations

import pytest

from benchmarks.peers.jobs import Mode
from benchmarks.peers.verdict import figures_of, leads, references, spread
from tests.benchmarks.peers.made import comparison, run


@pytest.mark.parametrize(("values", "middle"), [([3, 1, 2], 2), ([4, 1, 2, 3], 2.5), ([7], 7)])
def test_a_spread_is_the_median_with_the_lowest_and_the_highest(
    values: list[float], middle: float
) -> None:
    """Of an even number of runs the median lies between the two in the middle."""
    found = spread(values)
    assert (found.median, found.low, found.high) == (middle, min(values), max(values))


def test_figures_are_the_median_of_all_runs_of_a_mode() -> None:
    """Runs of the other mode are left out."""
    runs = [run("flink", rate) for rate in (30_000, 10_000, 20_000)]
    [figure] = figures_of(comparison([*runs, run("flink", 1, mode="ticks")]), Mode.CHANGES)
    assert figure.runs == 3
    assert figure.half_cpu.median == pytest.approx(20_000)
    assert figure.cpu.median == pytest.approx(20_000 * 2 / 3)
    assert figure.wall.median == pytest.approx(10_000)


def test_one_wrong_result_voids_all_figures_of_a_peer() -> None:
    """However fast the other runs were."""
    made = comparison([run("flink", 90_000), run("flink", 90_000, wrong="a key differs")])
    [figure] = figures_of(made, Mode.CHANGES)
    assert figure.void == "a key differs"
    assert figure.half_cpu.median == 0


def test_a_lead_is_told_against_the_fastest_peer_and_against_the_target() -> None:
    """Ahead of everybody, but not twice as fast as who is on Kafka."""
    made = comparison(
        [run("sellable-embedded", 60_000), run("kafka-streams", 40_000), run("bytewax", 50_000)]
    )
    everybody, on_kafka = leads(made, Mode.CHANGES)
    assert "leads every peer: 1.20 times the fastest of them, Bytewax" in everybody
    assert "ahead; reached" in everybody
    assert "1.50 times the fastest of them, Kafka-Streams" in on_kafka
    assert "2 times; NOT reached" in on_kafka


def test_where_we_do_not_lead_is_said_plainly() -> None:
    """A runtime that is slower than the best peer does NOT lead."""
    [sentence] = leads(
        comparison([run("sellable-kafka", 10_000), run("flink", 20_000)]), Mode.CHANGES
    )
    assert "Sellable-Kafka does NOT lead Kafka Streams and Flink: 0.50 times" in sentence


def test_nobody_leads_over_a_peer_whose_result_was_wrong() -> None:
    """A void figure is no figure to be compared with."""
    made = comparison([run("sellable-embedded", 10), run("bytewax", 20, wrong="a key differs")])
    assert leads(made, Mode.CHANGES) == []


def test_references_are_scaled_by_the_floor_of_the_machine() -> None:
    """The floor is twice as high here: half of the reference is expected, less a quarter of it."""
    made = comparison([run("flink", 26_000), run("kafka-streams", 23_000), run("bytewax", 20_000)])
    streams, flink, bytewax = references(made)
    assert (streams.expected_low, streams.expected_high) == (31_500, 40_000)
    assert (streams.is_good, flink.is_good, bytewax.is_good) == (False, True, True)
