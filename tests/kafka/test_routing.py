"""From messages to envelopes: the right partition for every SKU, no gap in any source."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.movements import Movement, MovementDecoder
from engine.kafka.batches import Batch
from engine.kafka.lanes import Lane, Source
from engine.kafka.partitioning import partition_of
from engine.kafka.routing import MAX_CARRIED_BYTES, Part, Router

PARTITIONS = 5
SALE = {
    "id": "m-1",
    "source": "till",
    "type": "sale",
    "sku": "A",
    "location": "L",
    "quantity": 1,
    "occurred_at": "2026-11-20T09:00:00Z",
}
SKUS = st.text(min_size=1, max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | SKUS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SKUS, inner, max_size=3),
    max_leaves=8,
)
HARD_TO_READ = (
    b"\xef\xbb\xbf" + json.dumps(SALE).encode(),
    json.dumps({**SALE, "note": "x" * 5_000}).encode(),
    json.dumps({**SALE, "far": 0}).replace(": 0", ": 1e999").encode(),
    json.dumps({**SALE, "deep": 0}).replace(": 0", ": " + "[" * 400 + "]" * 400).encode(),
    b'{"sku":"B",' + json.dumps(SALE).encode()[1:],
    json.dumps(SALE).replace('"A"', '"\\u0041"').encode(),
    json.dumps({**SALE, "type": "reserve", "reservation": "r", "channel": "nowhere"}).encode(),
    b"\n " + json.dumps(SALE).encode() + b" \r\n",
)


def partition_in(router: Router, payload: bytes) -> int:
    """Where a message goes."""
    ((partition, part),) = router.split("movements.pos/0", Batch([7], [payload], 0)).items()
    assert part.offsets == [7]
    return partition


def test_what_is_hard_to_read_goes_to_the_partition_of_its_sku_too() -> None:
    """A mark before it, far numbers, deep nesting, a key given twice, escapes, other channels."""
    for payload in HARD_TO_READ:
        router = Router(PARTITIONS)
        assert partition_in(router, payload) == partition_of("A", PARTITIONS), payload
        assert router.unrouted == 0


@given(sku=SKUS, more=st.dictionaries(SKUS, VALUES, max_size=4), plain=st.booleans())
def test_whatever_the_ledger_accepts_is_in_the_partition_of_its_sku(
    sku: str, more: dict[str, Any], plain: bool
) -> None:
    """All movements of a SKU must meet in one place; also when it was routed before."""
    line = json.dumps({**more, **SALE, "sku": sku}, ensure_ascii=plain)
    payload = line.encode(errors="surrogatepass")
    movement = MovementDecoder([]).decode(payload)
    router = Router(PARTITIONS)
    partition = partition_in(router, payload)
    assert partition_in(router, payload) == partition
    if isinstance(movement, Movement):
        assert partition == partition_of(movement.sku, PARTITIONS)


@given(payload=st.binary(max_size=200), offset=st.integers(0, 10**12))
def test_a_message_without_a_readable_sku_goes_where_it_went_before(
    payload: bytes, offset: int
) -> None:
    """So that the ledger knows it again when it is sent again, by whatever worker."""
    batch = Batch([offset], [payload], 0)
    places = [set(Router(PARTITIONS).split("movements.pos/0", batch)) for _ in range(2)]
    assert places[0] == places[1]


def test_a_very_long_message_is_cut_and_a_long_one_is_not() -> None:
    """What a topic of ours can hold is carried whole."""
    whole = b"x" * MAX_CARRIED_BYTES
    (part,) = Router(1).split("s", Batch([1, 2], [whole, whole + b"y"], 0)).values()
    assert part.payloads == [whole, whole]


@given(
    parts=st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(0, 50), min_size=1, max_size=9)),
        max_size=12,
    ),
    movements=st.integers(1, 7),
    size=st.integers(1, 120),
)
def test_envelopes_hold_every_source_in_its_order_without_a_gap_and_are_never_too_large(
    parts: list[tuple[int, list[int]]], movements: int, size: int
) -> None:
    """But for one that is too large by itself: it travels alone."""
    lane = Lane(movements, size)
    sources = [Source(TopicPartition("t", each), "movements.t", each) for each in range(3)]
    offsets = dict.fromkeys(sources, 0)
    for number, lengths in parts:
        source = sources[number]
        first = offsets[source]
        offsets[source] += len(lengths)
        taken = list(range(first, offsets[source]))
        lane.add(source, Part(taken, [b"x" * length for length in lengths]), 0.0)
    seen: dict[int, list[int]] = {each: [] for each in range(3)}
    while lane.is_due(before=0.0):
        open_before = dict(reversed(list(lane.open_offsets())))
        runs = lane.take()
        count = sum(len(run.offsets) for run in runs)
        payloads = [payload for run in runs for payload in run.payloads]
        assert 1 <= count <= movements
        assert count == 1 or sum(map(len, payloads)) <= size
        for run in runs:
            assert open_before[TopicPartition("t", run.partition)] <= run.offsets[0]
            seen[run.partition] += run.offsets
        assert lane.is_under_way
        lane.acknowledged()
    assert lane.waiting == 0
    assert seen == {each: list(range(offsets[sources[each]])) for each in range(3)}
    assert list(lane.open_offsets()) == []


def test_an_envelope_is_due_when_it_is_full_or_old_enough() -> None:
    """By number, by size, or by the time that its oldest movement has waited."""
    source = Source(TopicPartition("t", 0), "movements.t", 1)
    lane = Lane(movements=3, size_bytes=100)
    assert not lane.is_due(before=10.0)
    lane.add(source, Part([0, 1], [b"x", b"x"]), 5.0)
    assert not lane.is_due(before=4.9)
    assert lane.is_due(before=5.0)
    lane.add(source, Part([2], [b"x"]), 6.0)
    assert lane.is_due(before=0.0)
    large = Lane(movements=3, size_bytes=100)
    large.add(source, Part([0], [b"x" * 100]), 5.0)
    assert large.is_due(before=0.0)


def test_what_waits_of_a_source_that_was_given_away_is_forgotten() -> None:
    """What is under way stays: it may be in the log already."""
    mine = Source(TopicPartition("t", 0), "movements.t", 1)
    others = Source(TopicPartition("t", 1), "movements.t", 1)
    lane = Lane(movements=1, size_bytes=100)
    for offset in range(2):
        lane.add(others, Part([offset], [b"o"]), 0.0)
        lane.add(mine, Part([offset], [b"m"]), 0.0)
    (run,) = lane.take()
    assert run.partition == 1
    lane.drop(frozenset({others.place}))
    assert lane.waiting == 2
    assert dict(reversed(list(lane.open_offsets()))) == {others.place: 0, mine.place: 0}
