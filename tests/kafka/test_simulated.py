"""The workers by a made clock tell what the oracle tells, whichever of them end meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.simulated import SimulatedCluster
from tests.oracle import Oracle, random_rules, write_rules_folder
from tests.oracle.generate import generate_timed
from tests.oracle.promises import broken_publications

SEEDS = range(12)
MOVEMENTS = 150
MILLISECOND = 1_000
HOUR = 3_600_000_000


def play(
    rules: Mapping[str, Any], timed: Iterable[tuple[int, bytes]], folder: Path, crashes: float
) -> tuple[Oracle, SimulatedCluster]:
    """The oracle and the cluster after the same lines at the same instants, and some hours more."""
    write_rules_folder(rules, folder)
    oracle, cluster = Oracle(rules, "wall"), SimulatedCluster(folder, crashes=crashes)
    now = 0
    for arrival, line in timed:
        if not line.strip():
            continue
        now = arrival // MILLISECOND * MILLISECOND
        oracle.feed(line, now)
        cluster.feed(line, now)
    oracle.advance(now + 6 * HOUR)
    cluster.advance(now + 6 * HOUR)
    return oracle, cluster


def in_order(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Records as texts, in an order of their own."""
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def differences(rules: Mapping[str, Any], oracle: Oracle, cluster: SimulatedCluster) -> list[str]:
    """What the cluster tells otherwise than the oracle; one place of each kind."""
    found = []
    found += broken_publications(rules, cluster.publications)
    for channel, records in oracle.publications.items():
        mine, told = causeless(records), causeless(cluster.publications[channel])
        if rules["channels"][channel].get("publish", {}).get("max_rate"):
            mine, told = last_of_each(mine), last_of_each(told)
        found += first(f"publication of {channel}", in_order(mine), in_order(told))
    found += first("outcome", list(map(str, oracle.outcomes)), list(map(str, cluster.outcomes)))
    decisions = cluster.told("reservations.decisions")
    found += first("decision", in_order(oracle.decisions), in_order(decisions))
    codes = Counter(told["code"] for told in oracle.exceptions)
    mine = Counter(told["code"] for told in cluster.told("exceptions"))
    found += first("exceptions", [str(sorted(codes.items()))], [str(sorted(mine.items()))])
    rows = oracle.fingerprint_state()["keys"]
    found += first("state", in_order(rows.values()), in_order(cluster.ledger_rows().values()))
    return found


def causeless(records: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Publications without what caused them.

    The publish worker knows which movement changed the quantity last, the oracle which one touched
    the SKU last: while a publication is held back, that may be another one.
    """
    return [{**record, "cause": None} for record in records]


def last_of_each(records: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The last publication of every key, without version and time.

    Where a rate is short, how fast a key sells is as of the last change of its quantity; the oracle
    counts later sales, too, that left the channel's quantity alone. So the order may be another.
    """
    last = {(record["sku"], record["location"]): record for record in records}
    return [{**record, "version": None, "computed_at": None} for record in last.values()]


def first(what: str, mine: list[str], told: list[str]) -> list[str]:
    """The first difference in one sentence, if there is any."""
    only_mine, only_told = Counter(mine) - Counter(told), Counter(told) - Counter(mine)
    if not only_mine and not only_told:
        return []
    mine_first, told_first = min(only_mine, default=""), min(only_told, default="")
    return [f"{what}: the oracle has {mine_first}, the cluster {told_first}"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cluster_tells_what_the_oracle_tells(seed: int, tmp_path: Path) -> None:
    """Publications, outcomes, decisions, exceptions and state of a random stream, every one."""
    rules = random_rules(seed)
    timed = generate_timed(seed, MOVEMENTS, channels=list(rules["channels"]))
    assert differences(rules, *play(rules, timed, tmp_path, crashes=0.0)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cluster_whose_workers_end_tells_what_the_oracle_tells(seed: int, tmp_path: Path) -> None:
    """Between any two writes, and with changelogs that were compacted."""
    rules = random_rules(seed)
    timed = generate_timed(seed, MOVEMENTS, channels=list(rules["channels"]))
    assert differences(rules, *play(rules, timed, tmp_path, crashes=0.1)) == []
