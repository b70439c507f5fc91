"""Is what a peer did right? Its final state, and what it told the channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from benchmarks.inv1_lines import CHANNELS
from benchmarks.peers.brokers import OUTPUTS, REFUSED, read_topic
from benchmarks.peers.expected import Expected, Publication, compare, last_numbers, read_dump
from benchmarks.peers.jobs import Job, Mode, Peer

_decode = msgspec.json.Decoder(Publication).decode


class DeadLetter(msgspec.Struct):
    """What of a dead letter counts."""

    outcome: str


def check_run(peer: Peer, job: Job, expected: Expected) -> int:
    """Compare the state and the last numbers of a run; returns how many publications there were.

    Of a small workload told once a second, all publications are compared.

    Raises:
        DifferentError: something differs.
    """
    check_state(job, expected)
    told = Told(publications(peer, job))
    compare("last publications", right_numbers(expected), told.last)
    refused = [msgspec.json.decode(one, type=DeadLetter) for one in lines(peer, job, REFUSED)]
    found = sum(1 for letter in refused if letter.outcome == "refused")
    compare("counts", {"refused": expected.refused}, {"refused": found})
    if expected.told is not None and job.mode is Mode.TICKS:
        records = (list(msgspec.to_builtins(one).values()) for one in publications(peer, job))
        compare("publications", _numbered(expected.told), _numbered(records))
    return told.count


class Told:
    """How many publications there were, and the last numbers."""

    def __init__(self, records: Iterable[Publication]) -> None:
        self.count = 0
        self.last = last_numbers(self._counted(records))

    def _counted(self, records: Iterable[Publication]) -> Iterator[Publication]:
        for record in records:
            self.count += 1
            yield record


def check_state(job: Job, expected: Expected) -> None:
    """Compare the state that a run has written.

    Raises:
        DifferentError: something differs.
    """
    keys, skus = read_dump(job.dump)
    compare("keys", expected.keys, keys)
    compare("SKUs", expected.skus, skus)


def publications(peer: Peer, job: Job) -> Iterator[Publication]:
    """All publications, channel by channel."""
    for name in OUTPUTS:
        for line in lines(peer, job, name):
            yield _decode(line)


def lines(peer: Peer, job: Job, output: str) -> Iterator[bytes]:
    """The records of an output, from its topic or its file."""
    if peer.uses_kafka:
        for key, value in read_topic(job.brokers, f"{job.name}.{output}"):
            if key is None or not key.startswith(b"\0"):  # our engine's notes to itself
                yield value
        return
    with (job.out / f"{output}.ndjson").open("rb") as file:
        yield from file


def right_numbers(expected: Expected) -> dict[str, dict[str, int]]:
    """By SKU and channel, what must have been told last."""
    return {sku: dict(zip(CHANNELS, row[1:], strict=True)) for sku, row in expected.skus.items()}


def _numbered(rows: Iterable[list[Any]]) -> dict[str, Any]:
    return {"|".join(map(str, row[:3])): row[3:] for row in rows}
