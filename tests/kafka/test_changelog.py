"""The changelog on a real broker: whole steps only, however large, and restored as written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition

from engine.kafka.changelog import Changelog, Written, written_ahead
from engine.kafka.fencing import claim, fenced_producer
from engine.kafka.ledger_record import LEDGER, REDO, LedgerRecord
from engine.kafka.restore import Restoring, restore
from engine.kafka.settings import KafkaSettings
from engine.kafka.table import LocalTable
from tests.kafka.cluster import make_topics, read_all
from tests.kafka.conftest import MakeSettings

SMALL_BATCH = 4_000
PLACES = "exceptions"


def place(settings: KafkaSettings) -> TopicPartition:
    """The changelog of partition 0."""
    return TopicPartition(settings.topic("ledger.changelog"), 0)


async def changelog(settings: KafkaSettings) -> Changelog:
    """A changelog whose batches are small, so that a step of some KiB is too large for one."""
    identity = await claim(settings, "ledger-0", [TopicPartition(settings.topic(PLACES), 0)])
    return Changelog(
        await fenced_producer(settings, identity, max_batch_size=SMALL_BATCH), place(settings)
    )


async def stop(log: Changelog) -> None:
    """End its producer."""
    await log._producer.stop()


async def table(settings: KafkaSettings, folder: Path, written: Written) -> LocalTable:
    """A local copy restored up to where a batch ended."""
    found = LocalTable(folder)
    await restore(
        settings, [Restoring(place(settings), found, written.next_offset)], lambda *_: None
    )
    return found


def content(found: LocalTable) -> dict[bytes, bytes]:
    """The records of a table."""
    return {key: value for key, value in found.scan(b"") if key != b"\x00at"}


STEP = {f"K{number:04}".encode(): bytes(100) for number in range(200)}
RECORD = {LEDGER: b"record"}


async def test_a_table_is_restored_as_it_was_written(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Puts and drops, from the start and from where a copy had come to."""
    settings = make_settings()
    await make_topics(settings)
    log = await changelog(settings)
    first = await log.write({b"a": b"1", b"b": b"1"}, ())
    found = await table(settings, tmp_path, first)
    assert content(found) == {b"a": b"1", b"b": b"1"}
    found.close()
    second = await log.write({b"c": b"2"}, [b"a"])
    for folder in (tmp_path, tmp_path / "new"):
        found = await table(settings, folder, second)
        assert content(found) == {b"b": b"1", b"c": b"2"}
        assert found.position.next_offset == second.next_offset
        found.close()
    await stop(log)


async def test_a_step_too_large_for_one_batch_leaves_nothing_of_its_making_behind(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Its parts are dropped once the step itself is written."""
    settings = make_settings()
    await make_topics(settings)
    log = await changelog(settings)
    await log.write({b"old": b"1"}, ())
    written = await log.write({**STEP, **RECORD}, [b"old"])
    found = await table(settings, tmp_path, written)
    assert content(found) == {**STEP, **RECORD}
    found.close()
    await stop(log)


class Killed(Exception):
    """The worker ended here."""


@pytest.mark.parametrize("parts_until", [0, 1])
async def test_a_large_step_that_was_not_written_ahead_whole_never_was(
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts_until: int,
) -> None:
    """The table is as before it: none of its keys was overwritten."""
    settings = make_settings()
    await make_topics(settings)
    log = await changelog(settings)
    written = await log.write({b"K0001": b"before"}, ())
    sent = 0
    send_all = Changelog._send_all

    async def until_killed(self: Changelog, records: object) -> Written:
        nonlocal sent, written
        if sent == parts_until:
            raise Killed
        sent += 1
        written = await send_all(self, records)  # type: ignore[arg-type]
        return written

    monkeypatch.setattr(Changelog, "_send_all", until_killed)
    monkeypatch.setattr("engine.kafka.changelog.PART_BYTES", 3_000)
    with pytest.raises(Killed):
        await log.write(STEP, ())
    found = await table(settings, tmp_path, written)
    assert list(written_ahead(found)) == []
    assert found.get(b"K0001") == b"before"
    found.close()
    await stop(log)


async def test_a_large_step_that_was_written_ahead_is_finished_by_the_next_owner(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of its records is in the changelog already: half a step is never seen."""
    settings = make_settings()
    await make_topics(settings)
    log = await changelog(settings)
    before = await log.write({b"gone": b"1"}, ())
    assert before.next_offset == 1

    async def killed(*_: object) -> Written:
        raise Killed

    monkeypatch.setattr("engine.kafka.changelog.PART_BYTES", 3_000)
    with monkeypatch.context() as patch:
        patch.setattr(Changelog, "finish", killed)
        with pytest.raises(Killed):
            await log.write({**STEP, LEDGER: record()}, [b"gone"])
    half = await log.write({b"K0000": bytes(100)}, ())
    found = await table(settings, tmp_path, half)
    parts = list(written_ahead(found))
    assert len(parts) > 1
    puts = {key: value for some, _ in parts for key, value in some.items()}
    dropped = [key for _, some in parts for key in some]
    assert (puts, dropped) == ({**STEP, LEDGER: record()}, [b"gone"])
    names = [name for name, _ in found.scan(REDO)]
    done = await log.finish(puts, dropped, names)
    found.close()
    found = await table(settings, tmp_path / "new", done)
    assert content(found) == puts
    found.close()
    await stop(log)


def record() -> bytes:
    """A marker, as every step has one."""
    return msgspec.msgpack.encode(LedgerRecord(life="test"))


async def test_a_changelog_holds_nothing_but_its_records(make_settings: MakeSettings) -> None:
    """No transaction markers: with them Faust's recovery would wait for ever."""
    settings = make_settings()
    await make_topics(settings)
    log = await changelog(settings)
    written = await log.write({b"a": b"1"}, ())
    assert written.next_offset == len(await read_all(settings, "ledger.changelog")) == 1
    await stop(log)
