"""The arithmetic of buffers, shares, floors, caps and pools, against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import Buffer, Terms, quantities

QUANTITY = st.integers(0, 10**9)
STOCK = st.integers(-(10**9), 10**9)
FRACTION = st.fractions(0, 1, max_denominator=10**6)


@given(QUANTITY, FRACTION, st.booleans(), st.integers(0, 100), st.integers(0, 10**6) | st.none())
def test_a_percentage_buffer_is_the_exact_part_rounded_and_held_within_limits(
    base: int, part: Fraction, up: bool, least: int, most: int | None
) -> None:
    """Integer arithmetic gives what fractions give, up to a thousand million pieces."""
    if most is not None and most < least:
        most = least
    buffer = Buffer(
        numerator=part.numerator,
        denominator=part.denominator,
        round_up=up,
        minimum=least,
        maximum=most,
    )
    exact = math.ceil(base * part) if up else math.floor(base * part)
    expected = max(exact, least)
    assert buffer.amount(base) == (expected if most is None else min(expected, most))


@pytest.mark.parametrize(
    ("percent", "base", "up", "down"),
    [
        (Fraction(10), 0, 0, 0),
        (Fraction(10), 1, 1, 0),
        (Fraction(10), 10, 1, 1),
        (Fraction(10), 11, 2, 1),
        (Fraction("0.1"), 1000, 1, 1),
        (Fraction("33.3"), 1000, 333, 333),
        (Fraction("2.5"), 41, 2, 1),
        (Fraction(100), 7, 7, 7),
        (Fraction(0), 7, 0, 0),
    ],
)
def test_a_percentage_rounds_up_or_down_to_whole_units(
    percent: Fraction, base: int, up: int, down: int
) -> None:
    """Ten percent of ten is one, of eleven two or one."""
    part = percent / 100
    for round_up, amount in ((True, up), (False, down)):
        buffer = Buffer(numerator=part.numerator, denominator=part.denominator, round_up=round_up)
        assert buffer.amount(base) == amount


def test_units_are_held_back_whatever_there_is() -> None:
    """A buffer of fixed units does not depend on the base, and nothing goes below 0."""
    assert [Buffer(units=3).amount(base) for base in (0, 2, 100)] == [3, 3, 3]
    assert [quantities.after(base, Buffer(units=3)) for base in (0, 2, 100)] == [0, 0, 97]


@given(STOCK, QUANTITY)
def test_base_and_short_are_never_both_above_zero(sellable: int, reserved: int) -> None:
    """Either something is free or something promised is missing."""
    base, short = quantities.base(sellable, reserved), quantities.short(sellable, reserved)
    assert base >= 0
    assert short >= 0
    assert not (base and short)
    assert base - short == max(0, sellable) - reserved


@given(
    QUANTITY,
    FRACTION | st.none(),
    st.integers(0, 100) | st.none(),
    st.integers(0, 100) | st.none(),
    st.integers(0, 50) | st.none(),
)
def test_what_is_offered_is_share_then_floor_then_cap(
    pool: int, share: Fraction | None, floor: int | None, cap: int | None, units: int | None
) -> None:
    """In this order, of what the channel buffer left."""
    terms = Terms(
        channel_buffer=None if units is None else Buffer(units=units),
        share=None if share is None else (share.numerator, share.denominator),
        floor=floor,
        cap=cap,
        min_interval=0,
        plain=all(term is None for term in (share, floor, cap, units)),
    )
    left = max(0, pool - (units or 0))
    assert terms.after_buffer(pool) == left
    expected = left if share is None else math.floor(left * share)
    expected = 0 if floor is not None and expected < floor else expected
    expected = expected if cap is None else min(expected, cap)
    assert terms.offered(left) == expected


def test_a_pool_is_what_locations_give_less_what_is_promised() -> None:
    """Shorts and claims come off the sum, which does not go below 0."""
    assert quantities.pool([5, 7], [2], 3) == 7
    assert quantities.pool([5], [2], 9) == 0
    assert quantities.pool([], [], 0) == 0


def test_a_location_without_claims_has_no_ceiling() -> None:
    """With claims it can give what all covered locations hold together, less the claims."""
    assert quantities.ceiling([5, 7], 0) is None
    assert quantities.ceiling([5, 7], 4) == 8
    assert quantities.ceiling([5, 7], 40) == 0
    assert quantities.pool_at(6, None) == 6
    assert quantities.pool_at(6, 4) == 4


@pytest.mark.parametrize(
    ("available", "low_stock", "word"),
    [
        (0, 0, "out_of_stock"),
        (0, 5, "out_of_stock"),
        (1, 0, "in_stock"),
        (5, 5, "low_stock"),
        (6, 5, "in_stock"),
    ],
)
def test_the_status_is_low_up_to_the_limit_and_out_at_zero(
    available: int, low_stock: int, word: str
) -> None:
    """The limit itself is low."""
    assert quantities.status(available, low_stock) == word
