"""Observations in one partition of the ledger, on their way to it, and what is told of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.core.dead_letters import OPEN, REPLAYED
from engine.kafka.batches import Batch
from engine.kafka.envelopes import Run, encode_movements
from engine.kafka.ingest import incoming_pattern
from engine.kafka.partitioning import partition_of
from engine.kafka.routing import Router
from engine.kafka.settings import KafkaSettings
from tests.kafka.test_partition import (
    HERE,
    OTHER_SKU,
    PARTITIONS,
    SKU,
    THERE,
    Driven,
    outcomes,
    receipt,
)
from tests.rules.support import load

ADJUSTING = "reconciliation: {adjust: [shrink, unknown], in_flight: 0s}\n"


def seen(quantity: object, sku: str = SKU, **more: object) -> bytes:
    """What the warehouse believes."""
    told = {
        "source": "wms",
        "sku": sku,
        "location": "S1",
        "quantity": quantity,
        "observed_at": "2026-11-20T12:00:00Z",
    }
    return json.dumps({**told, **more}).encode()


def envelope(*runs: tuple[str, list[bytes]], first: int = 0) -> bytes:
    """Runs of movements and observations, one after another."""
    found = []
    for topic, lines in runs:
        offsets = list(range(first, first + len(lines)))
        found.append(Run(topic, 0, 1, offsets, lines, topic == "observations"))
        first += len(lines)
    return encode_movements(found)


@pytest.fixture
def driven(tmp_path: Path) -> Driven:
    """A partition whose rules adjust what shrinks."""
    driven = Driven()
    driven.order("rules", load(tmp_path, engine_yaml=ADJUSTING))
    return driven


def observed(driven: Driven) -> list[str]:
    """What became of observations."""
    return [record["outcome"] for record in driven.records("observations.outcomes")]


def test_observations_and_movements_of_one_envelope_are_taken_in_their_order(
    driven: Driven,
) -> None:
    """Each observation meets the book as the movements before it have left it."""
    driven.take(
        envelope(
            ("observations", [seen(0, source="early")]),
            ("movements.pos", [receipt(1), receipt(2)]),
            ("observations", [seen(2), b"no observation"]),
        )
    )
    assert outcomes(driven) == ["applied", "applied"]
    assert observed(driven) == ["agrees", "agrees", "refused"]
    told = driven.told["observations.outcomes"]
    assert [key for key, _, _ in told] == [SKU.encode(), SKU.encode(), None]
    assert [dict(headers)["origin"] for _, _, headers in told] == [
        b"observations/0@0",
        b"observations/0@3",
        b"observations/0@4",
    ]
    (exception,) = driven.records("exceptions")
    assert exception["origin"] == "observations/0@4"
    assert driven.records("observations.outcomes")[2]["exception"] == exception["exception"]


def test_a_finding_is_told_with_its_adjustment_and_both_are_numbered_among_the_outputs(
    driven: Driven,
) -> None:
    """The adjustment is a movement like any other, with an outcome of its own."""
    driven.movements(receipt(1), receipt(2), receipt(3))
    driven.take(envelope(("observations", [seen(1)])))
    (finding,) = driven.records("reconciliation.findings")
    assert (finding["class"], finding["action"], finding["difference"]) == (
        "shrink",
        "adjusted",
        -2,
    )
    assert driven.told["reconciliation.findings"][0][0] == SKU.encode()
    adjustment = driven.records("movements.outcomes")[-1]
    assert adjustment == {
        "source": "reconciliation",
        "id": finding["finding"],
        "sku": SKU,
        "outcome": "applied",
        "code": None,
    }
    identities = [
        dict(headers)["id"]
        for messages in driven.told.values()
        for _, _, headers in messages
        if "id" in dict(headers)
    ]
    assert len(set(identities)) == len(identities)
    driven.take(envelope(("observations", [seen(1, source="erp")]), first=1))
    assert observed(driven) == ["differs", "agrees"]


def test_a_run_that_comes_twice_is_taken_once(driven: Driven) -> None:
    """By its offsets, as with movements; an observation sent again is a duplicate."""
    driven.movements(receipt(1))
    again = envelope(("observations", [seen(5)]))
    driven.take(again)
    driven.take(again)
    driven.take(envelope(("observations", [seen(5)]), first=1))
    assert observed(driven) == ["differs", "duplicate"]
    assert len(driven.records("reconciliation.findings")) == 1


def test_a_refused_observation_is_mended_and_replayed_where_it_lies(driven: Driven) -> None:
    """Refused again it stays open; taken, it is closed with what became of it."""
    driven.movements(receipt(1))
    driven.take(envelope(("observations", [seen("one")])))
    exception = driven.records("exceptions")[0]["exception"]
    driven.order("replay", seen("two"), exception=exception)
    assert driven.letters() == [OPEN]
    driven.order("replay", seen(1), exception=exception, order="order/1@2")
    assert driven.letters() == [REPLAYED]
    assert observed(driven) == ["refused", "refused", "agrees"]
    origin = dict(driven.told["observations.outcomes"][-1][2])["origin"]
    assert origin == f"replay of {exception} by order/1@2".encode()


def test_an_observation_mended_to_another_sku_is_taken_where_that_sku_is(tmp_path: Path) -> None:
    """Closed here, and taken there; other partitions leave it aside."""
    assert HERE != THERE
    rules = load(tmp_path, engine_yaml=ADJUSTING)
    partitions = {number: Driven(number) for number in (HERE, THERE)}
    for one in partitions.values():
        one.order("rules", rules)
    here, there = partitions[HERE], partitions[THERE]
    there.movements(receipt(1, OTHER_SKU))
    here.take(envelope(("observations", [seen("one")])))
    exception = here.records("exceptions")[0]["exception"]
    for one in partitions.values():
        one.order("replay", seen("?"), exception=exception)
    assert (here.letters(), there.letters()) == ([OPEN], [])
    for one in partitions.values():
        one.order("replay", seen(1, OTHER_SKU), exception=exception)
    assert here.letters() == [REPLAYED]
    assert (observed(here), observed(there)) == (["refused", "refused"], ["agrees"])


def test_the_same_envelopes_give_the_same_steps(tmp_path: Path) -> None:
    """Byte for byte, findings and records alike."""
    rules = load(tmp_path, engine_yaml=ADJUSTING)
    told: list[Any] = []
    for _ in range(2):
        driven = Driven()
        driven.order("rules", rules)
        driven.movements(receipt(1), receipt(2))
        driven.take(envelope(("observations", [seen(1), seen(7, source="erp"), b"?"])))
        told.append((driven.told, list(driven.table.scan(b""))))
    assert told[0] == told[1]


def test_the_topic_of_observations_is_read_by_ingest() -> None:
    """And those of outcomes are not."""
    settings = KafkaSettings.model_construct(topic_prefix="shop.")
    pattern = re.compile(incoming_pattern(settings))
    assert pattern.match("shop.observations")
    assert not pattern.match("shop.observations.outcomes")
    assert not pattern.match("shop.movements.outcomes")


def test_an_observation_finds_its_partition_however_it_is_written() -> None:
    """Also where unknown fields nest deep, and it is no movement: by its SKU all the same."""
    odd = seen(1, extra=1e308).replace(b"1e+308", b"1e999")
    parts = Router(PARTITIONS).split("observations/0", Batch([0], [odd], 0))
    assert list(parts) == [partition_of(SKU, PARTITIONS)]
