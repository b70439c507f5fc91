"""Comparing a run of the core with the oracle's, and with another run of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.core.harness import EngineRun
from tests.oracle import Oracle
from tests.oracle.comparing import disagreements
from tests.oracle.scenarios import Results

Records = dict[str, list[dict[str, Any]]]


class Normalised:
    """Results as they are, but for publications, which were normalised for the comparison."""

    def __init__(self, results: Results, publications: Records) -> None:
        self.publications: Mapping[str, list[dict[str, Any]]] = publications
        self.outcomes = results.outcomes
        self.decisions = results.decisions
        self.exceptions = results.exceptions
        self.postings = results.postings
        self.snapshots = results.snapshots
        self.state = results.state
        self.stock = results.stock
        self.computed = results.computed
        self.counters = results.counters


def differences_from_oracle(oracle: Oracle, run: EngineRun, rules: Mapping[str, Any]) -> list[str]:
    """What the engine tells otherwise than the oracle, beyond two freedoms that it has.

    On a channel without a rate the order of publications inside one tick says nothing. And when a
    movement and a rule's edge fall into the same tick, either of them may be named as the cause.
    """
    mine = _in_order(oracle.publications, rules)
    told = _in_order(run.publications, rules)
    for channel, records in mine.items():
        for one, other in zip(records, told.get(channel, []), strict=False):
            if _by_movement_or_rule(one, other):
                other["cause"] = one["cause"]
    found = disagreements(Normalised(oracle, mine), Normalised(run, told))
    return [one for one in found if not (one.startswith("snapshot") and "'rules'" in one)]


def differences_between(one: EngineRun, other: EngineRun) -> list[str]:
    """The first difference of each topic of two runs that should be the same in every byte."""
    found = []
    for topic in sorted({*one.topics, *other.topics}):
        left, right = one.topics.get(topic, []), other.topics.get(topic, [])
        if left != right:
            pairs = enumerate(zip(left, right, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
            found.append(f"{topic} {at}: {left[at : at + 1]} or {right[at : at + 1]}")
    if one.outcomes != other.outcomes:
        found.append("the outcomes differ")
    if one.snapshots != other.snapshots:
        found.append("the snapshots differ")
    if one.counters() != other.counters():
        found.append(f"{one.counters()} or {other.counters()}")
    return found


def _in_order(
    publications: Mapping[str, list[dict[str, Any]]], rules: Mapping[str, Any]
) -> Records:
    ordered: Records = {}
    for channel, records in publications.items():
        copies = [dict(record) for record in records]
        if not rules["channels"][channel].get("publish", {}).get("max_rate"):
            copies.sort(key=lambda told: (told["computed_at"], told["sku"], told["location"] or ""))
        ordered[channel] = copies
    return ordered


def _by_movement_or_rule(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    causes = [one["cause"], other["cause"]]
    return (
        {**one, "cause": None} == {**other, "cause": None}
        and causes[0] != causes[1]
        and any(cause["source"] == "rules" for cause in causes)
    )
