"""What is still to expire, beside a plain set of the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.ledger.expiries import Expiries, Expiry

EXPIRIES = st.builds(Expiry, st.integers(0, 5), st.sampled_from(["A", "B"]), st.just("order-1"))
STEPS = st.lists(st.tuples(st.booleans(), EXPIRIES), max_size=40)


def saved(expiries: Expiries) -> list[bytes]:
    """The names of the records that there are after all changes."""
    return [name for name, value in expiries.changed.items() if value is not None]


@given(steps=STEPS)
def test_the_next_is_the_first_that_was_not_dropped(steps: list[tuple[bool, Expiry]]) -> None:
    """Whatever comes and goes, and comes again."""
    expiries, kept = Expiries(), set[Expiry]()
    for added, expiry in steps:
        if added and expiry not in kept:
            expiries.add(expiry)
            kept.add(expiry)
        elif not added:
            expiries.drop(expiry)
            kept.discard(expiry)
        assert expiries.next == min((each.at for each in kept), default=None)
        assert expiries.due(2) == min((each for each in kept if each.at <= 2), default=None)


@given(steps=STEPS)
def test_a_book_that_was_just_loaded_has_the_same_due(steps: list[tuple[bool, Expiry]]) -> None:
    """All of it, in the same order."""
    expiries = Expiries()
    for added, expiry in steps:
        (expiries.add if added else expiries.drop)(expiry)
    loaded = Expiries()
    loaded.load(saved(expiries))
    while (due := expiries.due(9)) is not None:
        assert loaded.due(9) == due
        expiries.drop(due)
        loaded.drop(due)
    assert loaded.next is None
