"""What every store does, whichever it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.stores.base import Store, StoreClosedError, prefix_end
from tests.stores.store_under_test import STORES

MIB = 1024 * 1024


def content(store: Store) -> dict[bytes, bytes]:
    return dict(store.scan(b""))


def test_a_key_that_was_never_written_has_no_value(store: Store) -> None:
    """An empty store answers None, and scans to nothing."""
    assert store.get(b"K1") is None
    assert content(store) == {}


def test_what_was_committed_is_found(store: Store) -> None:
    """Puts of one commit are found by key, later ones replace earlier ones."""
    store.commit({b"K1": b"one", b"K2": b"two"})
    store.commit({b"K2": b"zwei"})
    assert store.get(b"K1") == b"one"
    assert store.get(b"K2") == b"zwei"


def test_an_empty_value_is_a_value(store: Store) -> None:
    """A key may have an empty value, which is not the same as having none."""
    store.commit({b"K1": b""})
    assert store.get(b"K1") == b""
    assert content(store) == {b"K1": b""}


def test_deletes_take_keys_away_and_may_name_missing_ones(store: Store) -> None:
    """A deleted key is gone, for `get` and for `scan`; deleting what is not there is nothing."""
    store.commit({b"K1": b"1", b"K2": b"2"})
    store.commit({}, deletes=[b"K1", b"K9"])
    assert store.get(b"K1") is None
    assert content(store) == {b"K2": b"2"}


def test_a_deleted_key_can_be_written_again(store: Store) -> None:
    """Written, scanned, deleted, written and scanned: the key is there once."""
    store.commit({b"K1": b"1"})
    assert content(store) == {b"K1": b"1"}
    store.commit({}, deletes=[b"K1"])
    store.commit({b"K1": b"new"})
    assert list(store.scan(b"K")) == [(b"K1", b"new")]


def test_ranges_are_emptied_before_puts_and_puts_come_before_deletes(store: Store) -> None:
    """One commit that empties a range, writes into it and deletes: in that order."""
    store.commit({b"F1": b"old", b"F2": b"old", b"F3": b"old", b"G1": b"old"})
    store.commit(
        {b"F2": b"new", b"F5": b"new"},
        deletes=[b"F5"],
        ranges=[(b"F1", b"F9")],
    )
    assert content(store) == {b"F2": b"new", b"G1": b"old"}


def test_a_range_holds_its_start_and_not_its_end(store: Store) -> None:
    """[F2, F4) takes F2 and F3 away, and leaves F1 and F4."""
    store.commit({b"F1": b"", b"F2": b"", b"F3": b"", b"F4": b""})
    store.commit({}, ranges=[(b"F2", b"F4")])
    assert list(content(store)) == [b"F1", b"F4"]


@pytest.mark.parametrize("bounds", [(b"F2", b"F2"), (b"F3", b"F1")])
def test_a_range_that_ends_before_it_begins_is_empty(
    store: Store, bounds: tuple[bytes, bytes]
) -> None:
    """A range whose end is not after its start takes nothing away and is no error."""
    store.commit({b"F1": b"", b"F2": b"", b"F3": b""})
    store.commit({}, ranges=[bounds])
    assert len(content(store)) == 3


def test_a_range_may_span_several_kinds_of_keys(store: Store) -> None:
    """A range from one first byte to another takes everything in between."""
    store.commit(dict.fromkeys((b"A9", b"B1", b"C", b"D0", b"D1", b"E"), b""))
    store.commit({}, ranges=[(b"B", b"D1")])
    assert list(content(store)) == [b"A9", b"D1", b"E"]


def test_a_scan_is_in_the_order_of_bytes(store: Store) -> None:
    """Keys come by their bytes compared as unsigned numbers, a prefix before what continues it."""
    keys = [b"K", b"K\x00", b"K\x00\xff", b"K\x7f", b"K\x80", b"K\xff", b"K\xff\xff"]
    store.commit(dict.fromkeys(reversed(keys), b""))
    assert [key for key, _ in store.scan(b"K")] == keys


def test_a_scan_holds_the_keys_with_the_prefix_and_no_others(store: Store) -> None:
    """Neighbours on both sides are left out."""
    store.commit(dict.fromkeys([b"J\xff", b"K", b"K1", b"K\xff\xff\xff", b"L"], b""))
    assert [key for key, _ in store.scan(b"K")] == [b"K", b"K1", b"K\xff\xff\xff"]
    assert [key for key, _ in store.scan(b"K1")] == [b"K1"]


def test_a_prefix_of_the_highest_bytes_scans_to_the_end(store: Store) -> None:
    """Nothing sorts after the prefix ff, and the scan still ends where the keys do."""
    store.commit(dict.fromkeys([b"\xfe", b"\xff", b"\xff\xff\x01"], b""))
    assert [key for key, _ in store.scan(b"\xff")] == [b"\xff", b"\xff\xff\x01"]


def test_a_scan_begins_at_its_start(store: Store) -> None:
    """`start` is inclusive; one before the prefix changes nothing, one after it leaves nothing."""
    store.commit(dict.fromkeys([b"K1", b"K2", b"K3"], b""))
    assert [key for key, _ in store.scan(b"K", b"K2")] == [b"K2", b"K3"]
    assert [key for key, _ in store.scan(b"K", b"K1\x00")] == [b"K2", b"K3"]
    assert [key for key, _ in store.scan(b"K", b"A")] == [b"K1", b"K2", b"K3"]
    assert list(store.scan(b"K", b"L")) == []


def test_a_scan_shows_the_store_as_it_was_when_it_began(store: Store) -> None:
    """Commits in the midst of a scan, or between making it and its first step, do not show."""
    store.commit({b"K%d" % number: b"old" for number in range(5)})
    unread = store.scan(b"K")
    scan = store.scan(b"K")
    first = next(scan)
    store.commit({b"K1": b"new", b"K9": b"new"}, deletes=[b"K3"])
    expected = [(b"K%d" % number, b"old") for number in range(5)]
    assert [first, *scan] == expected
    assert list(unread) == expected
    assert [key for key, _ in store.scan(b"K")] == [b"K0", b"K1", b"K2", b"K4", b"K9"]


def test_keys_and_values_are_any_bytes(store: Store) -> None:
    """Zeros, line ends and bytes that are no UTF-8 come back as they were."""
    pairs = {bytes([first, 0, 10, 255]): bytes(range(256)) for first in range(256)}
    store.commit(pairs)
    assert content(store) == pairs


def test_a_big_value_comes_back_whole(store: Store) -> None:
    """A value of 20 MiB, larger than what the store buffers at once."""
    value = bytes(range(256)) * (20 * MIB // 256)
    store.commit({b"E1": value})
    assert store.get(b"E1") == value


def test_a_commit_whose_changes_cannot_be_read_changes_nothing(store: Store) -> None:
    """An error in the iterable of deletes leaves the store as it was."""

    def broken() -> list[bytes]:
        raise RuntimeError("no deletes today")

    store.commit({b"K1": b"1"})
    with pytest.raises(RuntimeError):
        store.commit({b"K2": b"2"}, deletes=(key for key in broken()), ranges=[(b"K", b"L")])
    assert content(store) == {b"K1": b"1"}


def test_a_synced_commit_is_like_any_other(store: Store) -> None:
    """`sync` asks for more durability, not for another result."""
    store.commit({b"K1": b"1"}, sync=True)
    assert store.get(b"K1") == b"1"


def test_closing_twice_does_nothing_and_using_a_closed_store_is_told(store: Store) -> None:
    """Every use after `close` gives the same clear error."""
    store.commit({b"K1": b"1"})
    store.close()
    store.close()
    uses: list[Callable[[], object]] = [
        lambda: store.get(b"K1"),
        lambda: list(store.scan(b"K")),
        lambda: store.commit({b"K1": b"1"}),
    ]
    for use in uses:
        with pytest.raises(StoreClosedError):
            use()


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"K", b"L"),
        (b"K\xff", b"L"),
        (b"K\x00", b"K\x01"),
        (b"\xfe\xff\xff", b"\xff"),
        (b"\xff\xff", None),
        (b"", None),
    ],
)
def test_the_end_of_a_prefix_is_the_first_key_after_it(prefix: bytes, end: bytes | None) -> None:
    """Bytes at their highest carry over to the one before; where all are, there is no end."""
    assert prefix_end(prefix) == end


KEYS = st.binary(max_size=3).map(lambda tail: bytes(byte % 4 + 252 * (byte > 127) for byte in tail))
COMMITS = st.lists(
    st.tuples(
        st.dictionaries(KEYS, st.binary(max_size=3), max_size=6),
        st.lists(KEYS, max_size=3),
        st.lists(st.tuples(KEYS, KEYS), max_size=2),
        KEYS,  # a prefix to scan
        KEYS,  # and where to start
    ),
    max_size=8,
)


@pytest.mark.parametrize("kind", sorted(STORES))
@settings(max_examples=40)
@given(commits=COMMITS)
def test_a_store_is_a_sorted_map(
    kind: str,
    commits: list[tuple[dict[bytes, bytes], list[bytes], list[tuple[bytes, bytes]], bytes, bytes]],
) -> None:
    """Whatever is committed, scans and lookups give what a plain dictionary would."""
    with tempfile.TemporaryDirectory() as folder:
        store = STORES[kind](Path(folder))
        model: dict[bytes, bytes] = {}
        for puts, deletes, ranges, prefix, start in commits:
            store.commit(puts, deletes, ranges)
            for low, high in ranges:
                model = {key: value for key, value in model.items() if not low <= key < high}
            model |= puts
            model = {key: value for key, value in model.items() if key not in deletes}
            expected = sorted(
                (key, value)
                for key, value in model.items()
                if key.startswith(prefix) and key >= start
            )
            assert list(store.scan(prefix, start)) == expected
            assert store.get(prefix) == model.get(prefix)
        assert content(store) == model
        store.close()
