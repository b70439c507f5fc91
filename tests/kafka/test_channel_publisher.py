"""What a channel is told of quantities that come late, whatever it holds back."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.kafka.channel_publisher import ChannelPublisher, Publication
from engine.kafka.messages import Quantity
from engine.rules.loader import load_rules

SECOND = 1_000_000
TICK = 1_763_712_000 * SECOND
SLOW = "rules:\n  - {{name: slow seller, when: {{skus: [SLOW]}}, min_interval: 1h, from: {}}}\n"


def publisher(folder: Path, publish: str, opens: int = TICK - SECOND) -> ChannelPublisher:
    """A channel that holds back what `publish` says; a rule that names SLOW counts from `opens`."""
    (folder / "channels.yaml").write_text(f"channels: {{web: {{publish: {publish}}}}}\n")
    (folder / "slow.rules.yaml").write_text(SLOW.format(format_instant(opens)))
    found = ChannelPublisher("web")
    found.change_rules(load_rules(folder))
    return found


def quantity(sku: str, value: int, version: int, at: int) -> Quantity:
    """What the ledger tells of a key on a tick."""
    cause = Cause("till-1", f"m-{version}", None)
    told_at = format_instant(at)
    return Quantity(sku, "web", None, value, "in_stock", version, told_at, cause, 0, at)


def told(publications: list[Publication]) -> list[tuple[str, int, int, str]]:
    """Key, number, version and tick of each."""
    records = [one.record for one in publications]
    return [(each.sku, each.available, each.version, each.computed_at) for each in records]


def test_a_quantity_that_comes_after_its_tick_is_told_as_of_that_tick(tmp_path: Path) -> None:
    """It does not wait for the next tick, and is told once."""
    channel = publisher(tmp_path, "{}")
    assert list(channel.tick(TICK)) == []
    channel.take(quantity("TEA", 5, 1, TICK), 0)
    assert told(list(channel.pass_on())) == [("TEA", 5, 1, format_instant(TICK))]
    assert list(channel.pass_on()) == []
    assert list(channel.tick(TICK + SECOND)) == []


def test_a_key_is_told_once_on_a_tick(tmp_path: Path) -> None:
    """What comes of it afterwards waits for the next one."""
    channel = publisher(tmp_path, "{}")
    channel.take(quantity("TEA", 5, 1, TICK - SECOND), 0)
    assert told(list(channel.tick(TICK))) == [("TEA", 5, 1, format_instant(TICK))]
    channel.take(quantity("TEA", 4, 2, TICK), 0)
    assert list(channel.pass_on()) == []
    after = TICK + SECOND
    assert told(list(channel.tick(after))) == [("TEA", 4, 2, format_instant(after))]


def test_a_late_quantity_that_is_as_published_is_not_told(tmp_path: Path) -> None:
    """Neither late nor on the next tick."""
    channel = publisher(tmp_path, "{}")
    channel.take(quantity("TEA", 5, 1, TICK), 0)
    assert len(list(channel.tick(TICK))) == 1
    list(channel.tick(TICK + SECOND))
    channel.take(quantity("TEA", 5, 2, TICK + SECOND), 0)
    assert list(channel.pass_on()) == []
    assert list(channel.tick(TICK + 2 * SECOND)) == []


@pytest.mark.parametrize("publish", ["{max_rate: 1/s}", "{min_change: 2}", "{max_per_key: 5/day}"])
def test_where_something_is_held_back_nothing_is_told_between_ticks(
    tmp_path: Path, publish: str
) -> None:
    """Only on a tick it is known who is at most risk, and what has waited long enough."""
    channel = publisher(tmp_path, publish)
    list(channel.tick(TICK))
    channel.take(quantity("TEA", 5, 1, TICK), 0)
    assert list(channel.pass_on()) == []
    assert len(list(channel.tick(TICK + SECOND))) == 1


def test_a_key_with_an_interval_of_its_own_waits_for_a_tick(tmp_path: Path) -> None:
    """A rule holds it back, though its channel does not."""
    channel = publisher(tmp_path, "{}")
    list(channel.tick(TICK))
    channel.take(quantity("SLOW", 5, 1, TICK), 0)
    assert list(channel.pass_on()) == []
    assert len(list(channel.tick(TICK + SECOND))) == 1


def test_a_quantity_that_comes_before_its_tick_is_taken_up_is_told_as_of_its_own(
    tmp_path: Path,
) -> None:
    """Not as of the tick before, and not again when its own is taken up."""
    channel = publisher(tmp_path, "{}")
    list(channel.tick(TICK))
    after = TICK + SECOND
    channel.take(quantity("TEA", 5, 1, after), 0)
    assert told(list(channel.pass_on())) == [("TEA", 5, 1, format_instant(after))]
    channel.take(quantity("TEA", 4, 2, after), 0)
    assert list(channel.pass_on()) == []
    assert list(channel.tick(after)) == []
    assert told(list(channel.tick(after + SECOND)))[0][:3] == ("TEA", 4, 2)


def test_where_a_time_box_opens_meanwhile_what_comes_early_waits_for_its_tick(
    tmp_path: Path,
) -> None:
    """Only then it is known which intervals count."""
    channel = publisher(tmp_path, "{}", opens=TICK + SECOND)
    list(channel.tick(TICK))
    channel.take(quantity("TEA", 5, 1, TICK + SECOND), 0)
    assert list(channel.pass_on()) == []
    assert len(list(channel.tick(TICK + SECOND))) == 1


def test_before_the_first_tick_and_before_any_rules_nothing_is_late(tmp_path: Path) -> None:
    """There is no tick that it could be told as of."""
    channel = ChannelPublisher("web")
    channel.take(quantity("TEA", 5, 1, TICK), 0)
    assert list(channel.pass_on()) == []
    known = publisher(tmp_path, "{}")
    known.take(quantity("TEA", 5, 1, TICK), 0)
    assert list(known.pass_on()) == []


def test_a_budget_that_comes_later_counts_the_last_publication_before_it(tmp_path: Path) -> None:
    """Its standing in the topic holds from then on what was told under the budget and before."""
    channel = publisher(tmp_path, "{}")
    channel.take(quantity("TEA", 5, 1, TICK), 0)
    assert len(list(channel.tick(TICK))) == 1
    publisher(tmp_path, "{max_per_key: 2/day}")
    channel.change_rules(load_rules(tmp_path))
    second = TICK + SECOND
    channel.take(quantity("TEA", 4, 2, second), 0)
    (publication,) = channel.tick(second)
    assert publication.standing.log == [TICK, second]
    channel.take(quantity("TEA", 3, 3, second + SECOND), 0)
    assert list(channel.tick(second + SECOND)) == []
