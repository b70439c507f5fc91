"""One partition of the ledger by itself: envelopes in, steps out, and orders carried out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.instants import parse_instant
from engine.core.changes import Changes
from engine.core.dead_letters import read_dead_letter
from engine.core.engine import Engine
from engine.kafka.envelope_reading import Envelope
from engine.kafka.envelopes import (
    UNREPEATED,
    ControlEntry,
    Run,
    encode_control,
    encode_movements,
    encode_time,
)
from engine.kafka.ledger_record import LedgerRecord, Message
from engine.kafka.partition import EnvelopeGapError, Partition
from engine.kafka.partitioning import partition_of
from engine.kafka.rules_content import no_rules
from engine.rules.ruleset import RuleSet
from engine.stores.memory import MemoryStore
from tests.rules.support import load

NOW = parse_instant("2026-11-20T12:00:00Z")
SECOND = 1_000_000
PARTITIONS = 4
SKU, OTHER_SKU = "A-1", "B 2"
HERE, THERE = partition_of(SKU, PARTITIONS), partition_of(OTHER_SKU, PARTITIONS)


def receipt(number: int, sku: str = SKU, **more: object) -> bytes:
    """One unit comes in."""
    told = {
        "id": f"m-{number}",
        "source": "pos",
        "type": "receipt",
        "sku": sku,
        "location": "S1",
        "quantity": 1,
        "occurred_at": "2026-11-20T12:00:00Z",
    }
    return json.dumps({**told, **more}).encode()


class Driven:
    """A partition that commits at once, and what it told."""

    def __init__(self, number: int = HERE) -> None:
        self.table = MemoryStore()
        self.number = number
        record = LedgerRecord(life="test")
        self.partition = Partition(number, PARTITIONS, self.table, record, no_rules())
        self.told: dict[str, list[Message]] = {}
        self.steps = 0
        self.now = NOW
        self.offset = 0
        self.source = 0

    def take(self, value: bytes, content: RuleSet | bytes | None = None) -> None:
        """Take the next envelope a second later."""
        self.now += SECOND
        for step in self.partition.take(Envelope(self.offset, self.now, value), content):
            self.table.commit(step.puts, step.deletes)
            self.steps += 1
            if step.parcel is not None:
                for topic, messages in step.parcel.messages.items():
                    self.told.setdefault(topic, []).extend(messages)
                self.partition.delivered(step.parcel.last)
            if step.cut:
                cut = self.partition.cut_written()
                self.table.commit(cut.puts, cut.deletes)
        self.offset += 1

    def movements(self, *lines: bytes) -> None:
        """Take movements in an envelope of their own."""
        first = self.source
        self.source += len(lines)
        offsets = list(range(first, self.source))
        self.take(encode_movements([Run("movements.pos", 0, 1, offsets, list(lines))]))

    def order(self, kind: str, content: RuleSet | bytes | None = None, **fields: Any) -> None:
        """Take an order."""
        self.take(encode_control(ControlEntry(kind, "content", fields)), content)

    def records(self, topic: str) -> list[dict[str, Any]]:
        """What was told in a topic, notices left out."""
        return [
            json.loads(value or b"")
            for key, value, _ in self.told.get(topic, [])
            if not (key or b"").startswith(b"\x00")
        ]

    def letters(self) -> list[str]:
        """The standing of every exception that is kept here."""
        return [read_dead_letter(stored).status for _, stored in self.table.scan(b"E")]


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    """Three channels and a small catalogue."""
    return load(tmp_path)


@pytest.fixture
def driven(rules: RuleSet) -> Driven:
    """A partition with rules."""
    driven = Driven()
    driven.order("rules", rules)
    return driven


def outcomes(driven: Driven) -> list[str]:
    """What became of movements."""
    return [record["outcome"] for record in driven.records("movements.outcomes")]


def test_before_any_rules_movements_are_taken_and_no_channel_is_known() -> None:
    """What names a channel is refused, and can be replayed when there are rules."""
    driven = Driven()
    driven.movements(receipt(1), receipt(2, type="reserve", reservation="r", channel="web"))
    assert outcomes(driven) == ["applied", "refused"]
    assert [record["code"] for record in driven.records("exceptions")] == ["unknown_channel"]


def test_outcomes_say_where_their_movements_came_from_and_have_identities(driven: Driven) -> None:
    """The origin is that of the exception too; an identity is the same when it is sent again."""
    driven.movements(receipt(1), b"{")
    found = [dict(headers) for _, _, headers in driven.told["movements.outcomes"]]
    assert [one["origin"] for one in found] == [b"movements.pos/0@0", b"movements.pos/0@1"]
    assert driven.records("exceptions")[0]["origin"] == "movements.pos/0@1"
    others = [dict(headers)["id"] for _, _, headers in driven.told["exceptions"]]
    assert len({*(one["id"] for one in found), *others}) == 3


def test_a_run_that_nobody_repeats_leaves_no_mark(driven: Driven) -> None:
    """The processes that serve HTTP come and go: what they wrote is not remembered for ever."""
    for _ in range(2):
        driven.take(encode_movements([Run("http:web:r-1", 77, UNREPEATED, [4], [receipt(1)])]))
    assert outcomes(driven) == ["applied", "duplicate"]
    assert driven.partition.record.marks == {}


def test_an_envelope_that_comes_again_changes_nothing(driven: Driven) -> None:
    """Its offset was taken: there is nothing to commit."""
    driven.movements(receipt(1))
    steps, driven.offset = driven.steps, driven.offset - 1
    driven.take(encode_movements([Run("movements.pos", 0, 1, [0], [receipt(1)])]))
    assert driven.steps == steps


def test_a_missing_envelope_stops_the_partition(driven: Driven) -> None:
    """With the offsets between which it is missing."""
    driven.offset += 1
    with pytest.raises(EnvelopeGapError, match=r"up to 0, and the next one is 2"):
        driven.movements(receipt(1))


def test_a_run_that_ingest_sent_twice_is_taken_once(driven: Driven) -> None:
    """Whole or in part, also of what was refused, which has no identity to be known by."""
    runs = [
        Run("movements.pos", 0, 1, [5, 7], [receipt(1), b"no movement"]),
        Run("movements.pos", 0, 1, [5, 7], [receipt(1), b"no movement"]),
        Run("movements.pos", 0, 1, [7, 9], [b"no movement", receipt(2)]),
    ]
    for run in runs:
        driven.take(encode_movements([run]))
    assert outcomes(driven) == ["applied", "refused", "applied"]
    assert [record["origin"] for record in driven.records("exceptions")] == ["movements.pos/0@7"]


def test_a_topic_made_anew_is_another_source(driven: Driven) -> None:
    """Its offsets begin again, and nothing of it is taken for a repeat."""
    for incarnation in (1, 2):
        run = Run("movements.pos", 0, incarnation, [0], [receipt(incarnation)])
        driven.take(encode_movements([run]))
    assert outcomes(driven) == ["applied", "applied"]


def test_time_is_the_largest_append_time_so_far(driven: Driven) -> None:
    """An envelope with an earlier one does not move it back."""
    driven.take(encode_time())
    before = driven.partition.record.time
    driven.now -= 10 * SECOND
    driven.take(encode_time())
    assert driven.partition.record.time == before


def test_quantities_are_told_on_ticks_with_what_caused_them(driven: Driven) -> None:
    """One for each key that has changed since the last tick, on every channel that sells it."""
    driven.movements(receipt(1, quantity=5), receipt(2, type="sale"))
    assert driven.records("quantities.web") == []
    driven.take(encode_time())
    (told,) = driven.records("quantities.web")
    assert (told["quantity"], told["version"], told["cause"]["id"]) == (4, 1, "m-2")
    (by_location,) = driven.records("quantities.collect")
    assert by_location["location"] == "S1"


def test_every_channel_is_told_which_rules_its_quantities_follow(driven: Driven) -> None:
    """So that the publish worker holds back by the same ones."""
    notices = [key for key, _, _ in driven.told["quantities.web"]]
    assert notices == [b"\x00rules"]


def test_rules_that_cannot_be_used_leave_those_in_force(driven: Driven) -> None:
    """And the partition goes on."""
    before = driven.partition.record.rules
    driven.order("rules", None)
    driven.movements(receipt(1))
    assert driven.partition.record.rules == before
    assert outcomes(driven) == ["applied"]


def test_more_channels_than_can_be_kept_leave_the_rules_in_force(
    driven: Driven, tmp_path: Path
) -> None:
    """A table holds 255 over its whole life."""
    many = "channels:\n" + "".join(f"  c{number}: {{}}\n" for number in range(255))
    driven.order("rules", load(tmp_path / "many", channels_yaml=many))
    driven.movements(receipt(1))
    assert len(driven.partition.engine.rules.channels) == 3


def test_an_unknown_order_stops_nothing(driven: Driven) -> None:
    """A later version may know it."""
    driven.order("dance")
    driven.movements(receipt(1))
    assert outcomes(driven) == ["applied"]


def test_a_snapshot_is_cut_on_the_next_tick(driven: Driven) -> None:
    """Every channel is told where in its quantities the cut is."""
    driven.movements(receipt(1))
    driven.order("snapshot")
    driven.take(encode_time())
    keys = [key for key, _, _ in driven.told["quantities.web"]]
    assert keys == [b"\x00rules", SKU.encode(), b"\x00snapshot"]
    assert driven.partition.engine.standing.figures.snapshots == 1


def refused(driven: Driven) -> str:
    """The exception of a movement that is too old."""
    driven.movements(receipt(1, occurred_at="2026-11-01T12:00:00Z"))
    exception: str = driven.records("exceptions")[-1]["exception"]
    assert exception == f"x-{driven.number}-00000001"
    return exception


def test_a_mended_movement_is_taken_and_its_exception_closed(driven: Driven) -> None:
    """Where both are in the same partition, in one step."""
    exception = refused(driven)
    driven.order("replay", receipt(1), exception=exception, accept_old=False)
    assert outcomes(driven) == ["refused", "applied"]
    assert driven.letters() == ["replayed"]


def test_a_mended_movement_that_is_refused_again_leaves_its_exception_open(
    driven: Driven,
) -> None:
    """And makes no other one."""
    exception = refused(driven)
    still_old = receipt(1, occurred_at="2026-11-01T12:00:00Z")
    driven.order("replay", still_old, exception=exception, accept_old=False)
    assert outcomes(driven) == ["refused", "refused"]
    assert driven.letters() == ["open"]
    driven.order("replay", still_old, exception=exception, accept_old=True)
    assert driven.letters() == ["replayed"]


def test_a_movement_mended_for_another_partition_is_taken_there(
    driven: Driven, rules: RuleSet
) -> None:
    """The exception is closed where it is kept, and a new refusal is a new exception."""
    assert THERE != HERE
    there = Driven(THERE)
    there.order("rules", rules)
    exception = refused(driven)
    for one in (driven, there):
        one.order("replay", receipt(1, OTHER_SKU), exception=exception, accept_old=False)
    assert driven.letters() == ["replayed"]
    assert outcomes(there) == ["applied"]
    worse = receipt(2, OTHER_SKU, occurred_at="2026-11-01T12:00:00Z")
    there.order("replay", worse, exception=exception, accept_old=False)
    assert [record["code"] for record in there.records("exceptions")] == ["too_old"]


def test_a_replay_that_concerns_nothing_here_changes_nothing(driven: Driven) -> None:
    """Every partition finds the order in its log; only two of them have to do with it."""
    driven.order("replay", receipt(1, OTHER_SKU), exception="x-99-00000001", accept_old=False)
    driven.order("replay", b"no movement", exception="nonsense", accept_old=False)
    assert outcomes(driven) == []


def test_an_exception_is_dismissed_in_its_own_partition_only(
    driven: Driven, rules: RuleSet
) -> None:
    """Numbers are the same in all partitions, names are not."""
    there = Driven(THERE)
    there.order("rules", rules)
    exception = refused(driven)
    refused(there)
    for one in (driven, there):
        one.order("dismiss", exception=exception, reason="a test")
    assert driven.letters() == ["dismissed"]
    assert there.letters() == ["open"]


def test_what_was_delivered_is_dropped_with_the_next_step_or_by_itself(driven: Driven) -> None:
    """Until then it would be sent again by the next owner."""
    driven.movements(receipt(1))
    assert len(list(driven.partition.undelivered())) == 1
    step = driven.partition.note_delivered()
    assert step is not None
    driven.table.commit(step.puts, step.deletes)
    assert list(driven.partition.undelivered()) == []
    assert driven.partition.note_delivered() is None
    driven.movements(receipt(2))
    driven.movements(receipt(3))
    assert len(list(driven.table.scan(b"O"))) == 1


def test_the_same_log_gives_the_same_bytes(driven: Driven, rules: RuleSet) -> None:
    """Whoever takes it, and when: expiries, ticks and all."""

    def play(one: Driven) -> dict[bytes, bytes]:
        for number in range(20):
            reserve = receipt(number, type="reserve", reservation=f"r-{number}", policy="force")
            expiring = {**json.loads(reserve), "expires_at": "2026-11-20T12:00:09Z"}
            one.movements(receipt(100 + number), json.dumps(expiring).encode())
        one.take(encode_time())
        return dict(one.table.scan(b""))

    again = Driven()
    again.order("rules", rules)
    assert play(driven) == play(again)


def test_dropped_ranges_leave_no_record_behind(
    driven: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changelog knows no ranges: what it drops key by key is what a store drops at once."""
    reference = MemoryStore()
    reference.commit(dict(driven.table.scan(b"")))
    collect = Engine.collect

    def watched(self: Engine) -> Changes:
        changes = collect(self)
        reference.commit(changes.puts, changes.deletes, changes.ranges)
        return changes

    monkeypatch.setattr(Engine, "collect", watched)
    monkeypatch.setattr("engine.ledger.identities.SEAL_AT", 40)
    for number in range(0, 600, 3):
        driven.movements(*(receipt(number + more, f"S-{number % 7}") for more in range(3)))
    driven.now += 20 * 60 * SECOND
    driven.take(encode_time())
    kinds = {name[:1] for name, _ in reference.scan(b"")}
    assert kinds >= {b"K", b"S", b"I", b"B", b"M"}

    def of_the_core(store: MemoryStore) -> dict[bytes, bytes]:
        return {name: value for name, value in store.scan(b"") if name[:1] not in b"NO"}

    assert of_the_core(driven.table) == of_the_core(reference)
