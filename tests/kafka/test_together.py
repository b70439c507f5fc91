"""Steps that are committed together: one batch, each key once, and seen by the step after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from engine.kafka.changelog import Changelog
from engine.kafka.fencing import FencedError
from engine.kafka.ledger_record import LEDGER, Parcel, parcel_name
from engine.kafka.partition import Step
from engine.kafka.table import LocalTable
from engine.kafka.together import RECORDS_TOGETHER, Together
from tests.kafka.simulated_broker import Broker, Faults, Producer, now

PLACE = TopicPartition("ledger.changelog", 0)
ROOM = 1_000_000


def step(puts: dict[bytes, bytes], deletes: list[bytes], number: int) -> Step:
    """A step with a marker and an output of its own."""
    parcel = Parcel(number, 1, {"movements.outcomes": [(None, b"%d" % number, [])]})
    marked = {**puts, parcel_name(number): b"%d" % number, LEDGER: b"%d" % number}
    return Step(marked, deletes, parcel, cut=False)


@pytest.fixture
def broker() -> Broker:
    """A broker in memory that never fails."""
    return Broker(Faults())


def together_on(broker: Broker, table: LocalTable) -> Together:
    """Steps of an owner of the first epoch."""
    producer: Any = Producer(broker, 1, ROOM, lambda: None)
    return Together(Changelog(producer, PLACE), table)


def test_steps_are_one_batch_with_each_key_once_and_the_marker_last(
    broker: Broker, tmp_path: Path
) -> None:
    """As the last of them leaves it, whether it was put, dropped, or put again."""
    table = LocalTable(tmp_path)
    steps = together_on(broker, table)
    taken = [
        step({b"Ka": b"1", b"Kb": b"1", b"Kd": b"1"}, [b"Kc"], 1),
        step({b"Ka": b"2", b"Kc": b"2"}, [b"Kb", b"Kd"], 2),
        step({b"Kb": b"3"}, [], 3),
    ]
    for one in taken:
        steps.add(one)
    assert now(steps.commit("life")) == taken
    messages = broker.logs[PLACE.topic, 0].messages
    written = {one.key: one.value for one in messages}
    assert written == {
        b"Ka": b"2",
        b"Kb": b"3",
        b"Kc": b"2",
        b"Kd": None,
        LEDGER: b"3",
        **{parcel_name(number): b"%d" % number for number in (1, 2, 3)},
    }
    assert len(messages) == len(written)
    assert [one.key for one in messages if one.value is not None][-1] == LEDGER
    assert dict(table.scan(b"K")) == {b"Ka": b"2", b"Kb": b"3", b"Kc": b"2"}
    assert table.position.next_offset == len(messages)
    table.close()


def test_a_step_reads_what_the_one_before_changed_and_a_kill_forgets_it(
    broker: Broker, tmp_path: Path
) -> None:
    """It is not in the local copy before the brokers have it."""
    table = LocalTable(tmp_path)
    steps = together_on(broker, table)
    steps.add(step({b"Ka": b"1", b"Kb": b"1", b"Kd": b"1"}, [], 1))
    now(steps.commit("life"))
    steps.add(step({b"Ka": b"2", b"Kc": b"2"}, [b"Kb"], 2))
    assert [table.get(key) for key in (b"Ka", b"Kb", b"Kc", b"Kd")] == [b"2", None, b"2", b"1"]
    assert list(table.scan(b"K")) == [(b"Ka", b"2"), (b"Kc", b"2"), (b"Kd", b"1")]
    assert list(table.scan(b"K", b"Kb")) == [(b"Kc", b"2"), (b"Kd", b"1")]
    assert list(table.scan(b"Kb")) == []
    table.close()
    after = LocalTable(tmp_path)
    assert dict(after.scan(b"K")) == {b"Ka": b"1", b"Kb": b"1", b"Kd": b"1"}
    after.close()


def test_of_steps_that_the_brokers_refuse_nothing_is_kept(broker: Broker, tmp_path: Path) -> None:
    """Another owner has written meanwhile: none of them ever was."""
    table = LocalTable(tmp_path)
    steps = together_on(broker, table)
    broker.claim([(PLACE.topic, 0)], epoch=2)
    steps.add(step({b"Ka": b"1"}, [], 1))
    steps.add(step({b"Kb": b"1"}, [], 2))
    with pytest.raises(FencedError):
        now(steps.commit("life"))
    table.close()
    after = LocalTable(tmp_path)
    assert cast("list[object]", list(after.scan(b""))) == []
    after.close()


def test_so_many_records_do_not_wait_for_more(broker: Broker, tmp_path: Path) -> None:
    """A batch stays small, and others have their turn."""
    table = LocalTable(tmp_path)
    steps = together_on(broker, table)
    full = []
    for number, records in enumerate((10, RECORDS_TOGETHER), 1):
        steps.add(step({b"K%04d" % name: b"1" for name in range(records)}, [], number))
        full.append(steps.is_full)
    assert full == [False, True]
    now(steps.commit("life"))
    assert len(steps) == 0
    assert now(steps.commit("life")) == []
    table.close()
