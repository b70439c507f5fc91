"""The report says all that was measured, and the picture draws it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from benchmarks.peers.command import METHOD
from benchmarks.peers.plot import draw, step_of
from benchmarks.peers.report import write_report
from benchmarks.peers.results import load, save
from tests.benchmarks.peers.made import comparison, kill, run

RUNS = [run("sellable-embedded", 60_000), run("kafka-streams", 40_000), run("bytewax", 50_000)]


def test_every_figure_of_a_peer_is_in_the_report() -> None:
    """Median and spread, wall and CPU, memory, publications and the result."""
    report = write_report(comparison(RUNS), "peers.svg", "how", "why")
    row = next(row for row in report.splitlines() if row.startswith("| Bytewax | 1 |"))
    assert "**50,000** (50,000 to 50,000)" in row
    assert "**33,333**" in row
    assert "**25,000**" in row
    assert "500 MB | 2.00 | the oracle's |" in row


def test_the_report_names_machine_commit_floor_and_load() -> None:
    """A figure without them is worth nothing."""
    report = write_report(comparison(RUNS), "peers.svg", "how")
    for told in ("a machine", "Timed at commit abc1234.", "0.44 us", "during the runs: 3.5"):
        assert told in report


def test_what_each_process_of_a_peer_took_is_told() -> None:
    """In microseconds a movement: it shows where the time goes."""
    made = replace(run("sellable-kafka", 20_000), parts={"ingest": 5.0, "ledger": 30.0})
    report = write_report(comparison([made]), "peers.svg", "how")
    assert (
        "CPU of Sellable-Kafka, a movement of whole runs: ingest 5.0 us, ledger 30.0 us." in report
    )


def test_a_wrong_result_shows_no_figure() -> None:
    """The report says what was wrong in its place."""
    made = comparison([run("bytewax", 50_000, wrong="1 of keys differ:\n  keys A|1: expected 2")])
    report = write_report(made, "peers.svg", "how")
    assert "50,000" not in report
    assert "void | 1 of keys differ |" in report


def test_lost_and_repeated_outputs_are_summed_over_the_kills() -> None:
    """With the least and the most of one kill beside the sum."""
    kills = [kill("kafka-streams", lost=3), kill("kafka-streams", lost=5, repeated=0)]
    report = write_report(comparison(RUNS, kills), "peers.svg", "how")
    assert (
        "| Kafka-Streams | every change | 2 | 4,000 | 8 (3 to 5) | 0 | 0 | the oracle's |" in report
    )


def test_who_did_not_run_is_told_with_the_way_to_mend_it() -> None:
    """A peer whose tools are missing does not disappear."""
    report = write_report(comparison(RUNS), "peers.svg", "how")
    assert "Flink did not run: Java 17 was not found" in report


def test_what_a_person_found_and_how_it_was_measured_are_parts_of_the_report() -> None:
    """Notes stand behind the verdict, the method at the end."""
    method = METHOD.read_text(encoding="utf-8")
    report = write_report(comparison(RUNS), "peers.svg", method, "## Why\n\nBecause.")
    assert report.index("Who leads") < report.index("Because.") < report.index(method[:40])


def test_the_picture_is_well_formed_and_has_a_bar_for_everybody_who_was_right() -> None:
    """The bar of a peer with a wrong result is not drawn."""
    made = comparison([*RUNS, run("flink", 90_000, wrong="a key differs")])
    picture = ElementTree.fromstring(draw(made))
    bars = picture.findall("{*}rect[@height='18']")
    assert len(bars) == len(RUNS)
    assert "90,000" not in draw(made)


@pytest.mark.parametrize(("top", "step"), [(5, 1), (11, 2), (60_000, 10_000), (61_000, 20_000)])
def test_lines_of_the_picture_are_few_and_round(top: float, step: int) -> None:
    """No more than six, at distances of 1, 2, 5, 10 and so on."""
    assert step_of(top) == step


def test_what_was_measured_is_kept_as_it_is(tmp_path: Path) -> None:
    """More can be added to it later."""
    made = comparison(RUNS, [kill("bytewax")])
    save(made, tmp_path / "results" / "peers.json")
    assert load(tmp_path / "results" / "peers.json") == made
