"""Parts of a process that serves the engine on Kafka, each by itself: no broker is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaTimeoutError

from engine.api.kafka import post as post_module
from engine.api.kafka import runtime as runtime_module
from engine.api.kafka.exceptions import find, page_of
from engine.api.kafka.post import Parcelled, Post
from engine.api.kafka.turns import Turns
from engine.contracts.errors import NotFoundError
from engine.contracts.exceptions import exception_record
from engine.contracts.outcomes import MovementOutcome
from engine.core.dead_letters import DeadLetter, Wanted, exception_id, exception_name
from engine.embedded.counter import OverloadedError, UnknownOutcomeError
from engine.kafka.envelopes import UNREPEATED, Movements, decode
from engine.kafka.ledger_record import Message, Parcel
from engine.kafka.settings import KafkaSettings
from engine.stores.memory import MemoryStore


class Log:
    """Stands for the producer: keeps what is sent, or fails, or takes its time."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[int, Movements]] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_and_wait(self, _: str, value: bytes, partition: int) -> None:
        """Take an envelope."""
        await self.gate.wait()
        if self.fails:
            raise KafkaTimeoutError
        entry = decode(value)
        assert isinstance(entry, Movements)
        self.envelopes.append((partition, entry))

    def origins(self) -> list[str]:
        """Where all movements came from, in the order in which they were sent."""
        return [
            f"{run.topic}/{run.partition}@{offset}"
            for _, entry in self.envelopes
            for run in entry.runs
            for offset in run.offsets
        ]


def make_post(log: Any, most_waiting: int = 100, **more: Any) -> Post:
    """A post office over two partitions."""
    return Post(KafkaSettings(partitions=2, **more), log, most_waiting)


def parcel(origins: Sequence[str], outcome: str = "applied") -> bytes:
    """What the ledger tells of movements."""
    messages: list[Message] = [
        (
            None,
            msgspec.json.encode(MovementOutcome("s", "i", "sku", outcome, None)),
            [("origin", origin.encode())],
        )
        for origin in origins
    ]
    return msgspec.msgpack.encode(Parcel(1, len(messages), {"movements.outcomes": messages}))


async def sent(log: Log, count: int) -> None:
    """Wait until so many movements are sent."""
    async with asyncio.timeout(10):
        while len(log.origins()) < count:
            await asyncio.sleep(0)


async def test_what_comes_at_the_same_time_goes_out_together_and_leaves_no_marks() -> None:
    """While one envelope is under way, others wait for the next one to their partition."""
    log = Log()
    post = make_post(log)
    log.gate.clear()
    calls = [
        asyncio.create_task(post.send([Parcelled(0, b"%d" % number)], f"http:web:{number}"))
        for number in range(5)
    ]
    await asyncio.sleep(0.01)
    log.gate.set()
    await sent(log, 5)
    assert [len(entry.payloads) for _, entry in log.envelopes] == [5]
    runs = [run for _, entry in log.envelopes for run in entry.runs]
    assert {run.incarnation for run in runs} == {UNREPEATED}
    post.heard(parcel(log.origins()))
    told = await asyncio.gather(*calls)
    assert [one.outcome.outcome for (one,) in told] == ["applied"] * 5
    assert post.waiting == 0


async def test_outcomes_of_other_processes_are_left_alone() -> None:
    """Also those of a call of the same name."""
    log = Log()
    post = make_post(log)
    call = asyncio.create_task(post.send([Parcelled(1, b"{}")], "http:web:same"))
    await sent(log, 1)
    post.heard(parcel(["http:web:same/77@0"], "refused"))
    assert post.waiting == 1
    post.heard(parcel(log.origins()))
    ((told),) = await call
    assert told.outcome.outcome == "applied"


async def test_what_is_too_much_is_turned_away() -> None:
    """Nothing of it is sent; what waits goes on."""
    log = Log()
    post = make_post(log, most_waiting=3)
    first = asyncio.create_task(post.send([Parcelled(0, b"{}")] * 2, "http:web:1"))
    await sent(log, 2)
    with pytest.raises(OverloadedError):
        await post.send([Parcelled(0, b"{}")] * 2, "http:web:2")
    assert len(log.origins()) == 2
    post.heard(parcel(log.origins()))
    assert len(await first) == 2


async def test_what_the_brokers_do_not_take_in_time_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind an envelope that does not go out; that one itself may have been taken."""
    monkeypatch.setattr(post_module, "WAIT_SECONDS", 0.05)
    log = Log()
    log.gate.clear()
    post = make_post(log)
    first = asyncio.create_task(post.send([Parcelled(0, b"first")], "http:web:1"))
    await asyncio.sleep(0.01)
    with pytest.raises(OverloadedError):
        await post.send([Parcelled(0, b"second")], "http:web:2")
    with pytest.raises(UnknownOutcomeError):
        await first
    log.gate.set()
    await sent(log, 1)
    assert [entry.payloads for _, entry in log.envelopes] == [[b"first"]]


async def test_an_envelope_that_was_not_written_for_sure_is_not_known() -> None:
    """Its callers are told at once, and the next ones are served."""
    log = Log()
    log.fails = True
    post = make_post(log)
    with pytest.raises(UnknownOutcomeError):
        await post.send([Parcelled(0, b"{}")], "http:web:1")
    log.fails = False
    call = asyncio.create_task(post.send([Parcelled(0, b"{}")], "http:web:2"))
    await sent(log, 1)
    post.heard(parcel(log.origins()))
    assert len(await call) == 1


async def test_a_call_of_more_than_an_envelope_holds_is_answered_in_its_order() -> None:
    """It is cut, and each piece is told of by itself."""
    log = Log()
    post = make_post(log, envelope_movements=2)
    call = asyncio.create_task(
        post.send([Parcelled(number % 2, b"%d" % number) for number in range(7)], "http:web:1")
    )
    await sent(log, 7)
    assert {len(entry.payloads) for _, entry in log.envelopes} == {1, 2}
    for _, entry in reversed(log.envelopes):
        names = [f"{run.topic}/{run.partition}@{n}" for run in entry.runs for n in run.offsets]
        post.heard(parcel(names, outcome=f"by {int(entry.payloads[0]) % 2}"))
    assert [one.outcome.outcome for one in await call] == [f"by {n % 2}" for n in range(7)]


async def test_those_about_the_same_thing_come_one_after_another() -> None:
    """Also when they name several things in another order; nothing of it is kept."""
    turns, at_work, most = Turns(), set[str](), SimpleNamespace(seen=0)

    async def work(name: str, *things: str) -> None:
        async with turns.take(*things):
            at_work.add(name)
            most.seen = max(most.seen, len(at_work))
            await asyncio.sleep(0)
            at_work.remove(name)

    await asyncio.gather(work("a", "x", "y"), work("b", "y", "x"), work("c", "x"))
    assert most.seen == 1
    await asyncio.gather(work("a", "x"), work("b", "y"))
    assert most.seen == 2
    assert vars(turns)["_turns"] == {}


def tables(*seen: Sequence[str]) -> list[MemoryStore]:
    """Partitions with exceptions that were first seen at these times."""
    found = []
    for times in seen:
        table = MemoryStore()
        for number, time in enumerate(times, 1):
            name = exception_id(number)
            record = exception_record(
                exception=name,
                code="malformed",
                severity="high",
                message="",
                outcome="refused",
                payload=b"{",
                origin="somewhere",
                first_seen=time,
                correlation_id=None,
            )
            table.commit({exception_name(name): msgspec.msgpack.encode(DeadLetter(record))}, [])
        found.append(table)
    return found


def test_exceptions_of_all_partitions_are_told_oldest_first() -> None:
    """Page by page, none twice and none left out; also those that come meanwhile."""
    parts = tables(["t1", "t4", "t5"], [], ["t2", "t3"])
    first, after = page_of(parts, Wanted(), None, 2)
    assert [one.record.exception for one in first] == ["x-0-00000001", "x-2-00000001"]
    assert after == "x-1.0.1"
    parts[1] = tables(["t0"])[0]
    rest, end = page_of(parts, Wanted(), after, 10)
    assert [one.record.first_seen for one in rest] == ["t0", "t3", "t4", "t5"]
    assert end is None


def test_a_place_that_no_page_ended_at_is_told() -> None:
    """Of another number of partitions, or of another kind of engine."""
    for after in ("x-1.2", "x-00000001", "x-1.2.3.4"):
        with pytest.raises(NotFoundError):
            page_of(tables([], [], []), Wanted(), after, 1)


def test_an_exception_is_found_by_its_name() -> None:
    """In its partition; any other name finds none."""
    parts = tables(["t1"], ["t2"])
    assert find(parts, "x-1-00000001")[1].record.first_seen == "t2"
    for name in ("x-1-00000002", "x-2-00000001", "x-00000001", "x-1-1", "nothing"):
        with pytest.raises(NotFoundError):
            find(parts, name)


async def test_brokers_that_are_away_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups go on meanwhile; only what nobody foresaw ends the process."""
    monkeypatch.setattr(runtime_module, "RETRY_AFTER_S", 0.001)
    answers: list[Exception] = [KafkaTimeoutError(), KafkaTimeoutError(), ZeroDivisionError()]

    async def step() -> None:
        raise answers.pop(0)

    with pytest.raises(ZeroDivisionError):
        await runtime_module.for_ever(step)
    assert not answers
