"""How long publications took, from the moment when what caused them was offered."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from engine.rehearsal.lines import look
from engine.rehearsal.load import Load
from engine.rehearsal.result import Delay
from engine.rehearsal.watching import Watcher

SECOND: Final = 1_000_000  # microseconds
AVAILABILITY: Final = "availability."
LOW: Final = ("out_of_stock", "low_stock")

Identity = tuple[str, str, str]  # source, id, SKU
Key = tuple[str, str | None]  # SKU, location


@dataclass
class Told:
    """The publications of one channel: (seen, delay) of the urgent ones and of all, us.

    `untold` are the urgent ones again, each from the first movement of its key that the channel
    had not been told of: a publication names the last one as its cause.
    """

    publications: int = 0
    urgent: list[tuple[int, int]] = field(default_factory=list)
    untold: list[tuple[int, int]] = field(default_factory=list)
    all: list[tuple[int, int]] = field(default_factory=list)


class Offered:
    """When movements were offered, as instants: each by its identity, and all of a key in order."""

    def __init__(self, load: Load, start: int) -> None:
        self._by_identity: dict[Identity, int] = {}
        self._by_key: dict[Key, list[int]] = defaultdict(list)
        for line, offset in zip(load.lines, load.offsets.tolist(), strict=True):
            seen, at = look(line), start + offset
            self._by_identity.setdefault((seen.source, seen.id, seen.sku), at)
            for place in {None, seen.location, seen.to_location}:
                self._by_key[seen.sku, place].append(at)

    def of(self, identity: Identity) -> int | None:
        """Return when a movement was first offered, None when it was not."""
        return self._by_identity.get(identity)

    def first_after(self, key: Key, known: int, last: int) -> int:
        """Return when the first movement of a key after `known` was offered, at latest `last`."""
        instants = self._by_key.get(key, [])
        place = bisect_right(instants, known)
        return min(instants[place], last) if place < len(instants) else last


def told_by_channel(watcher: Watcher, offered: Offered) -> dict[str, Told]:
    """Return what each channel was told during the watch, and how long it took.

    A publication whose cause was not offered (an expiry, a rule) counts, without a delay.
    """
    found: dict[str, Told] = defaultdict(Told)
    for topic in watcher.topics():
        if not topic.startswith(AVAILABILITY):
            continue
        told = found[topic.removeprefix(AVAILABILITY)]
        values: dict[Key, int] = {}
        known: dict[Key, int] = {}
        for seen, record in watcher.lines(topic):
            key = record["sku"], record["location"]
            before = values.get(key)
            values[key] = record["available"]
            if seen is None:
                continue
            told.publications += 1
            cause = record["cause"]
            due = offered.of((cause["source"], cause["id"], record["sku"]))
            if due is None:
                continue
            told.all.append((seen, seen - due))
            if _is_urgent(record, before):
                told.urgent.append((seen, seen - due))
                told.untold.append((seen, seen - offered.first_after(key, known.get(key, 0), due)))
            known[key] = due
    return dict(found)


def _is_urgent(record: dict[str, Any], before: int | None) -> bool:
    """It sells out, or falls to `low_stock` or less."""
    falls = before is not None and record["available"] < before
    return falls and record["status"] in LOW


def delay_of(pairs: Sequence[tuple[int, int]]) -> Delay:
    """Return the quantiles of delays, in seconds."""
    if not pairs:
        return Delay(0, None, None, None)
    delays = np.array([delay for _, delay in pairs], dtype=np.float64) / SECOND
    p50, p99 = np.quantile(delays, (0.5, 0.99)).tolist()
    return Delay(len(delays), round(p50, 3), round(p99, 3), round(float(delays.max()), 3))


def by_second(
    pairs: Iterable[tuple[int, int]], start: int, seconds: int, quantile: float
) -> list[float | None]:
    """Return a quantile of the delays seen in each second, None where none was."""
    buckets: dict[int, list[int]] = defaultdict(list)
    for seen, delay in pairs:
        buckets[(seen - start) // SECOND].append(delay)
    return [_quantile(buckets[second], quantile) for second in range(seconds)]


def _quantile(delays: Sequence[int], quantile: float) -> float | None:
    return round(float(np.quantile(delays, quantile)) / SECOND, 3) if delays else None
