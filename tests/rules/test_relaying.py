"""Rules for an engine that leaves it to another to hold back what channels are told."""

from __future__ import annotations

from pathlib import Path

from engine.contracts.availability import Availability
from engine.contracts.instants import DAY, SECOND, parse_instant
from engine.core.engine import Engine
from engine.core.step import Outcome
from engine.rules.relaying import relaying
from engine.stores.memory import MemoryStore
from tests.rules.support import load

CHANNELS = """
channels:
  amazon-us: {publish: {min_interval: 30s, max_rate: 1/s, min_change: 5, low_stock: 3}}
  web: {}
"""
RULES = """
rules:
  - {name: slow sellers, when: {skus: [A]}, min_interval: 1h, cap: 7}
"""
SALE = (
    b'{"id":"%d","source":"pos","type":"adjustment","sku":"A","location":"L","quantity":%d,'
    b'"occurred_at":"2026-01-01T00:00:00Z"}'
)


def test_nothing_is_held_back_and_every_quantity_is_as_before(tmp_path: Path) -> None:
    """Each tick tells the new quantity, however small, soon and often the changes are."""
    rules = load(tmp_path, channels_yaml=CHANNELS, rules=RULES)
    engine = Engine(MemoryStore(), relaying(rules), "event")
    told = []
    for second in range(4):
        line = SALE % (second, second + 1)
        engine.take(engine.prepare([line], str), 0)
        clock = engine.clock
        assert clock is not None
        engine.advance(clock + 1_000_000)
        outputs = engine.collect().outputs
        records = outputs["availability.amazon-us"]
        told.append([record.available for record in records if isinstance(record, Availability)])
    assert told == [[1], [3], [6], [7]]


def test_sales_are_counted_where_somebody_orders_by_them(tmp_path: Path) -> None:
    """A channel with a rate wants to know its fastest sellers, though here nothing is held back."""
    rules = relaying(load(tmp_path, channels_yaml=CHANNELS, rules=RULES))
    assert rules.relays
    assert rules.ranked == {"amazon-us"}
    assert Engine(MemoryStore(), rules, "event").parts.publisher.tracks_sales


def test_what_else_the_rules_say_stays(tmp_path: Path) -> None:
    """Settings, low stock, and the fingerprint by which a rule set is known."""
    rules = load(tmp_path, channels_yaml=CHANNELS, rules=RULES)
    relayed = relaying(rules)
    assert relayed.fingerprint == rules.fingerprint
    assert relayed.settings.dedupe_window == 3 * DAY
    assert [channel.publish.low_stock for channel in relayed.channels] == [3, 0]


def test_each_quantity_tells_since_when_it_has_differed(tmp_path: Path) -> None:
    """From its first movement since the last tick, or from when the rules changed."""
    channels = "channels:\n  web: {}\n  collect: {granularity: location}\n"
    edge = "rules:\n  - {name: half, share: 50, from: 2026-01-01T00:00:01.500Z}\n"
    rules = relaying(load(tmp_path, channels_yaml=channels, rules=edge))
    store = MemoryStore()
    engine = Engine(store, rules, "wall")
    start = parse_instant("2026-01-01T00:00:00.100Z")
    engine.advance(start)
    for number, location in enumerate(("S1", "S2", "S1")):
        line = SALE.replace(b'"L"', b'"%s"' % location.encode()) % (number, 10)
        engine.advance(start + number * 100_000)
        engine.take(engine.prepare([line], str), 0)
    engine.advance(start + SECOND)
    assert since(engine, "web") == [start]
    assert since(engine, "collect") == [start, start + 100_000]
    while not engine.advance(start + 2 * SECOND):
        changes = engine.collect()
        store.commit(changes.puts, changes.deletes, changes.ranges)
    assert since(engine, "web") == [parse_instant("2026-01-01T00:00:01.500Z")]


def since(engine: Engine, channel: str) -> list[int]:
    """Take what waits to be told of a channel, and return since when each had differed."""
    (outlet,) = [one for one in engine.parts.publisher.outlets if one.name == channel]
    assert outlet.began is not None
    assert len(outlet.began) == len(outlet.records)
    began, outlet.began, outlet.records = outlet.began, [], []
    return began


def test_a_mended_movement_may_be_older_than_the_memory_of_identities(tmp_path: Path) -> None:
    """When an operator says that it was never seen."""
    engine = Engine(MemoryStore(), relaying(load(tmp_path)), "wall")
    engine.advance(parse_instant("2026-02-01T00:00:00Z"))
    outcomes: list[Outcome] = []
    for accept_old in (False, True):
        engine.take_mended(engine.prepare([SALE % (1, 1)], str), outcomes, accept_old)
    assert [one.outcome for one in outcomes] == ["refused", "applied"]
