"""The promises of every output, checked on the records alone, whoever wrote them.

Works on the results of the oracle and of an engine alike; gives one sentence for each broken one.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from .instants import SECOND, parse_instant
from .rules import Channel, Rules
from .scenarios import Results

Record = dict[str, Any]


def broken_promises(told: Mapping[str, Any] | Path, results: Results) -> list[str]:
    """Everything that is not as promised, whatever the movements were."""
    return [
        *_outcomes(results),
        *_postings(results),
        *broken_publications(told, results.publications),
    ]


def broken_publications(
    told: Mapping[str, Any] | Path, publications: Mapping[str, list[Record]]
) -> list[str]:
    """What is not as promised of the publications, by channel."""
    rules = Rules(told)
    broken: list[str] = []
    tick = rules.settings["publish_tick"]
    assert tick is not None
    for name, channel in rules.channels.items():
        records = publications.get(name, [])
        broken += [f"{name}: {one}" for one in _rate(channel, records)]
        keys: dict[tuple[str, str | None], list[Record]] = defaultdict(list)
        for record in records:
            keys[record["sku"], record["location"]].append(record)
            if _at(record) % tick:
                broken.append(f"{name}: published between two ticks: {record}")
        for key, own in keys.items():
            broken += [f"{name} {key}: {one}" for one in _key(rules, channel, own)]
    return broken


def _key(rules: Rules, channel: Channel, records: list[Record]) -> Iterator[str]:
    promises = channel.publish
    for record in records:
        value = record["available"]
        low = "low_stock" if value <= promises.low_stock else "in_stock"
        if record["status"] != ("out_of_stock" if value == 0 else low):
            yield f"wrong status: {record}"
    for before, after in pairwise(records):
        old, new = before["available"], after["available"]
        if after["version"] <= before["version"]:
            yield f"version does not increase: {after}"
        if (old, before["status"]) == (new, after["status"]):
            yield f"nothing new: {after}"
        urgent = new < old and (new == 0 or new <= promises.low_stock)
        interval = rules.min_interval(channel, after["sku"], after["location"], _at(after))
        if not urgent and _at(after) - _at(before) < interval:
            yield f"sooner than min_interval: {after}"
    if promises.max_per_key is not None:
        count, window = promises.max_per_key
        for earlier, later in zip(records, records[count:], strict=False):
            if _at(later) - _at(earlier) < window:
                yield f"more than {count} in a window: {later}"


def _rate(channel: Channel, records: list[Record]) -> Iterator[str]:
    if channel.publish.max_rate is None:
        return
    per_microsecond = Fraction(*channel.publish.max_rate)
    saved = max(Fraction(1), per_microsecond * SECOND)
    times = [_at(record) for record in records]
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            window = max(SECOND, times[last] - times[first] + 1)
            if last - first + 1 > per_microsecond * window + saved:
                yield f"more than the rate allows until {records[last]}"
                return


def _outcomes(results: Results) -> Iterator[str]:
    counters = results.counters()
    kinds = ("applied", "duplicate", "absorbed", "rejected", "refused")
    if counters["received"] != sum(counters[kind] for kind in kinds):
        yield f"outcomes do not add up: {counters}"


def _postings(results: Results) -> Iterator[str]:
    """Needs all windows posted: what is booked of a key is what is there."""
    booked: dict[tuple[str, str, str], int] = defaultdict(int)
    for number, document in enumerate(results.postings, start=1):
        if document["sequence"] != number:
            yield f"a gap before {document['document']}"
        if not 1 <= len(document["lines"]) <= 500:
            yield f"{len(document['lines'])} lines in {document['document']}"
        for line in document["lines"]:
            booked[line["sku"], line["location"], line["disposition"]] += line["quantity"]
    for (sku, location, disposition), quantity in booked.items():
        there = results.state(sku, location)[disposition]
        if there != quantity:
            yield f"{sku} at {location}: {quantity} {disposition} booked, {there} there"


def _at(record: Record) -> int:
    return parse_instant(record["computed_at"])
