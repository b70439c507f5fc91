"""What became of the publications of a run that was killed and started again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.peers.expected import Publication


@dataclass(frozen=True)
class Outputs:
    """Counts of publications.

    `told` are all of them. `lost` are versions that never came, and keys whose last number is not
    the right one. `repeated` came again under the version and with the number that they had.
    `changed` came again under a version that had been told with another number: whoever trusts
    versions is misled.
    """

    told: int
    lost: int
    repeated: int
    changed: int


def count_outputs(records: Iterable[Publication], last: Mapping[str, Mapping[str, int]]) -> Outputs:
    """Count; `last` are the right last numbers, by SKU and channel."""
    numbers: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    newest: dict[tuple[str, str], int] = {}
    told = repeated = changed = 0
    for record in records:
        told += 1
        key = record.sku, record.channel
        newest[key] = record.available
        known = numbers[key]
        if record.version not in known:
            known[record.version] = record.available
        elif known[record.version] == record.available:
            repeated += 1
        else:
            changed += 1
    skipped = sum(max(known) - len(known) for known in numbers.values())
    right = {(sku, channel): n for sku, row in last.items() for channel, n in row.items()}
    stale = sum(1 for key, number in right.items() if newest.get(key) != number)
    return Outputs(told, skipped + stale, repeated, changed)
