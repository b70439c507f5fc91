"""What holds for the oracle whatever comes in."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.oracle import Oracle, Shape, generate, generate_timed, random_rules, write_rules_folder
from tests.oracle.comparing import disagreements
from tests.oracle.promises import broken_promises
from tests.oracle.rules import Rules
from tests.oracle.scenarios import load_scenarios, movement_line

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept_for_generated_streams_with_the_event_clock(seed: int) -> None:
    """No promise of any output is broken, and what rests is published."""
    rules = random_rules(seed)
    oracle = Oracle(rules)
    for line in generate(seed, 150, channels=list(rules["channels"])):
        oracle.feed(line)
    oracle.finish()
    assert broken_promises(rules, oracle) == []
    assert len(oracle.outcomes) == 150


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept_for_generated_streams_with_the_wall_clock(seed: int) -> None:
    """The same stream at its times of arrival keeps all promises as well."""
    rules = random_rules(seed)
    oracle = Oracle(rules, "wall")
    for arrival, line in generate_timed(seed, 100, channels=list(rules["channels"])):
        oracle.feed(line, arrival)
    oracle.finish()
    assert broken_promises(rules, oracle) == []


def test_the_last_publication_of_every_key_is_its_value_when_the_drain_is_long() -> None:
    """With promises that time alone fulfils nothing stays pending."""
    rules = random_rules(3)
    rules["settings"]["drain"] = "31d"
    oracle = Oracle(rules)
    for line in generate(3, 200, channels=list(rules["channels"])):
        oracle.feed(line)
    oracle.finish()
    assert oracle.counters()["pending"] == 0


def test_goods_and_forced_reservations_end_in_the_same_state_in_any_order_of_arrival() -> None:
    """Sales, returns, receipts, adjustments, forced reservations, releases and fulfilments."""
    at = "12:00:0{} {}"
    story = [
        at.format(number, text)
        for number, text in enumerate(
            (
                "receipt A@L 10",
                "reserve A@L 6 reservation=r policy=force",
                "sale A@L 3",
                "release A 1 reservation=r",
                "fulfil A@M 2 reservation=r",
                "return A@M 1 disposition=damaged",
                "adjustment A@M 4",
            )
        )
    ]
    lines = [movement_line(text, number) for number, text in enumerate(story)]
    chance = random.Random(1)
    orders = [chance.sample(lines, len(lines)) for _ in range(60)]
    states = []
    for order in orders:
        oracle = Oracle({"channels": {"web": {}, "shop": {"granularity": "location"}}})
        for line in order:
            oracle.feed(line)
        oracle.finish()
        told = oracle.fingerprint_state()
        for key in told["keys"].values():
            del key["version"]
        states.append(told)
    assert all(one == other for one, other in itertools.pairwise(states))


def test_a_rules_folder_says_the_same_as_the_mapping_it_was_written_from(tmp_path: Path) -> None:
    """Every generated rule set survives its files."""
    for seed in range(30):
        told = random_rules(seed)
        folder = tmp_path / str(seed)
        write_rules_folder(told, folder)
        assert vars(Rules(folder)) == vars(Rules(told))


def test_the_same_seed_generates_the_same_bytes_with_all_types_and_outcomes() -> None:
    """A stream is reproducible and reaches every code and outcome."""
    shape = Shape(malformed=0.05, skewed=0.03, conflicting=0.03, very_late=0.05, jump=0.02)
    assert generate(7, 500, shape=shape) == generate(7, 500, shape=shape)
    told: Counter[str] = Counter()
    for seed in range(6):
        oracle = Oracle({"channels": {"web": {}}})
        for line in generate(seed, 500, channels=["web"], shape=shape):
            oracle.feed(line)
        told.update(outcome for outcome, _ in oracle.outcomes)
        told.update(one["code"] for one in oracle.exceptions)
        told.update(one["reason"] for one in oracle.decisions if one["reason"] == "reinstated")
        told.update(one["outcome"] for one in oracle.decisions)
    assert set(told) >= {
        "applied", "duplicate", "absorbed", "rejected", "refused",
        "malformed", "invalid_field", "unknown_type", "unsupported_schema", "unknown_channel",
        "conflicting_duplicate", "future_dated", "too_old", "count_too_old", "reservation_exists",
        "negative_stock", "oversold", "excess_release", "fulfilled_after_end",
        "confirmed_after_end", "clock_skew",
        "accepted", "partial", "released", "fulfilled", "expired", "reinstated",
    }  # fmt: skip


def test_a_document_has_at_most_500_lines_and_the_rest_follows_in_order() -> None:
    """1,001 SKUs received in one window make three documents of one type and date."""
    oracle = Oracle({"channels": {"web": {}}})
    for number in range(1001):
        oracle.feed(movement_line(f"12:00:00 receipt S{number:04d}@L 1", number))
    oracle.finish()
    assert [len(document["lines"]) for document in oracle.postings] == [500, 500, 1]
    assert [document["movements"] for document in oracle.postings] == [500, 500, 1]
    assert oracle.postings[1]["document"] == "20261120T120000Z-receipt-2026-11-20-2"
    assert oracle.postings[1]["lines"][0]["sku"] == "S0500"


def test_two_runs_agree_and_another_stream_is_told_apart() -> None:
    """The comparison finds nothing between equals and something otherwise."""
    lines = generate(5, 60)
    one, same, other = (Oracle({"channels": {"web": {}}}) for _ in range(3))
    for line in lines:
        one.feed(line)
        same.feed(line)
    for line in lines[:-1]:
        other.feed(line)
    assert disagreements(one, same) == []
    assert disagreements(one, other) != []


def test_every_scenario_has_a_name_of_its_own() -> None:
    """A name tells one scenario from all others."""
    names = [scenario.name for scenario in load_scenarios()]
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_a_broken_promise_is_found() -> None:
    """Records that were tampered with are told, each with its own sentence."""
    rules = {"channels": {"web": {"publish": {"min_interval": "10s", "max_rate": "1/s"}}}}
    oracle = Oracle(rules)
    for number, text in enumerate(
        ("12:00:00 receipt A@L 9", "12:00:01 receipt B@L 9", "12:00:20 sale A@L 1")
    ):
        oracle.feed(movement_line(text, number))
    oracle.finish()
    assert broken_promises(rules, oracle) == []
    records = oracle.publications["web"]
    records[-1].update(computed_at="2026-11-20T12:00:02.500Z", version=1)
    oracle.postings[0]["lines"][0]["quantity"] += 1
    records += [{**records[1], "available": 9 - units, "version": 1 + units} for units in (1, 2, 3)]
    told = " ".join(broken_promises(rules, oracle))
    for sentence in (
        "between two ticks", "does not increase", "sooner than min_interval", "booked",
        "more than the rate allows",
    ):  # fmt: skip
        assert sentence in told
