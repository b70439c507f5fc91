"""What of a killed peer's publications was lost, and what came again."""

from __future__ import annotations

from benchmarks.peers.expected import Publication
from benchmarks.peers.outputs import Outputs, count_outputs

RIGHT = {"TEA": {"web-shop": 7}}


def told(version: int, available: int) -> Publication:
    return Publication("web-shop", "TEA", version, available, "2026-11-27T08:00:00Z")


def test_what_came_once_and_in_order_is_neither_lost_nor_repeated() -> None:
    """Every version came once, and the last number is the right one."""
    outputs = count_outputs([told(1, 9), told(2, 7)], RIGHT)
    assert outputs == Outputs(told=2, lost=0, repeated=0, changed=0)


def test_a_version_that_never_came_is_lost() -> None:
    """Versions of a key go up by one: one that is left out was never told."""
    assert count_outputs([told(1, 9), told(3, 7)], RIGHT).lost == 1


def test_a_key_whose_last_number_is_not_the_right_one_has_lost_it() -> None:
    """That what came last is wrong is a loss, though no version is missing before it."""
    assert count_outputs([told(1, 9)], RIGHT).lost == 1


def test_a_key_that_was_never_told_has_lost_its_number() -> None:
    """A channel that heard nothing of a key offers the wrong number."""
    assert count_outputs([], RIGHT).lost == 1


def test_the_same_version_with_the_same_number_is_a_repeat() -> None:
    """Who goes by versions is not harmed by it."""
    outputs = count_outputs([told(1, 9), told(1, 9), told(2, 7)], RIGHT)
    assert (outputs.repeated, outputs.changed, outputs.lost) == (1, 0, 0)


def test_the_same_version_with_another_number_is_counted_apart() -> None:
    """Who goes by versions keeps the wrong one of the two."""
    outputs = count_outputs([told(1, 9), told(1, 7)], RIGHT)
    assert (outputs.repeated, outputs.changed) == (0, 1)
