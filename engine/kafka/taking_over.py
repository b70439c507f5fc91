"""Taking over partitions of the ledger: claim, restore, check, and only then serve."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from engine.contracts.errors import CorruptStateError
from engine.kafka.catalogue import DELETE_RETENTION_MS, ENVELOPES
from engine.kafka.changelog import BATCH_BYTES, Changelog, Written, written_ahead
from engine.kafka.clients import make_consumer, running
from engine.kafka.contents import Contents
from engine.kafka.fencing import Identity, claim, fenced_producer, renew
from engine.kafka.ledger_record import (
    CLAIM,
    LEDGER,
    REDO,
    Claim,
    LedgerRecord,
    read_ledger_record,
)
from engine.kafka.owner import Owner, changelog_place, output_places, quantity_places
from engine.kafka.partition import EnvelopeGapError, Partition
from engine.kafka.restore import Progress, Restoring, restore
from engine.kafka.rules_content import no_rules, read_rules
from engine.kafka.running import all_of
from engine.kafka.settings import KafkaSettings
from engine.kafka.table import LocalTable
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics

FOLDER: Final = "ledger"
STALE_AFTER_US: Final = DELETE_RETENTION_MS * 1_000 // 2
"""A local copy that was left for longer is restored from the start: the changelog keeps the
tombstones of dropped records for `delete.retention.ms` only, and some that it has not seen may be
gone."""


class TableMismatchError(CorruptStateError):
    """The changelog is not the one that a partition's state was written to."""

    title = "The changelog and the state do not fit together"


@dataclass(slots=True)
class Claimed:
    """A partition that this worker has become the owner of, not yet restored."""

    number: int
    identity: Identity
    producer: AIOKafkaProducer
    table: LocalTable
    changelog: Changelog
    written: Written


class TakingOver:
    """Takes over partitions for one worker. `failed` is told of errors in the background."""

    def __init__(
        self,
        settings: KafkaSettings,
        contents: Contents,
        metrics: WorkerMetrics,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._contents = contents
        self._metrics = metrics
        self._failed = failed

    async def take_over(self, numbers: Collection[int]) -> list[Owner]:
        """Become the owner of partitions, whose state is then as their last owner left it.

        Raises:
            FencedError: another worker took one over meanwhile.
            EnvelopeGapError: envelopes that were not taken are gone.
            TableMismatchError: the changelog lost what was written to it.
            KafkaError: the brokers refuse.
        """
        async with AsyncExitStack() as undo:
            claimed = await self._claim_all(numbers, undo)
            await self._restore(claimed)
            owners = await all_of(self._open(one) for one in claimed)
            await self._check_envelopes(owners)
            for owner in owners:
                undo.push_async_callback(owner.close)
                await owner.start()
            undo.pop_all()
            return owners

    # --- claim ---------------------------------------------------------------------------------

    async def _claim_all(self, numbers: Collection[int], undo: AsyncExitStack) -> list[Claimed]:
        """Claim all at once; when one fails the others have ended, and left to `undo` what is open.

        Raises:
            FencedError: another worker took one over meanwhile.
            KafkaError: the brokers refuse.
        """
        return await all_of(self._claim(number, undo) for number in numbers)

    async def _claim(self, number: int, undo: AsyncExitStack) -> Claimed:
        settings = self._settings
        name = f"ledger-{number}"
        identity = await claim(settings, name, output_places(settings, number))
        producer = await fenced_producer(settings, identity, max_batch_size=BATCH_BYTES)
        undo.push_async_callback(producer.stop)
        changelog = Changelog(producer, changelog_place(settings, number))
        record = msgspec.msgpack.encode(Claim(settings.worker_id, identity.epoch))
        written = await changelog.write({CLAIM: record}, ())
        table = LocalTable(settings.data / FOLDER / str(number))
        undo.callback(table.close)
        return Claimed(number, identity, producer, table, changelog, written)

    # --- restore -------------------------------------------------------------------------------

    async def _restore(self, claimed: Collection[Claimed]) -> None:
        log = structlog.get_logger("sellable.ledger")
        for one in claimed:
            position = one.table.position
            if position.next_offset > one.written.next_offset:
                raise TableMismatchError(
                    f"the state of partition {one.number} in {self._settings.data} follows the "
                    f"changelog up to {position.next_offset}, which ends at "
                    f"{one.written.next_offset}",
                    "The changelog lost records, or is another one: restore the topic "
                    "ledger.changelog, or keep this folder and start with another.",
                )
            if position.next_offset and one.written.at - position.at > STALE_AFTER_US:
                log.info("the local copy is too old and is made anew", partition=one.number)
                one.table.wipe()
        lives = {one.number: one.table.position.life for one in claimed}
        await self._read(claimed)
        foreign = [one for one in claimed if _is_foreign(one.table, lives[one.number])]
        for one in foreign:
            log.warning("the local copy is of another table: made anew", partition=one.number)
            one.table.wipe()
        await self._read(foreign)
        for one in claimed:
            await redo(one.table, one.changelog)

    async def _read(self, claimed: Collection[Claimed]) -> None:
        wanted = [
            Restoring(
                changelog_place(self._settings, one.number), one.table, one.written.next_offset
            )
            for one in claimed
        ]
        await restore(self._settings, wanted, self._progress())

    def _progress(self) -> Progress:
        def progress(number: int, records: int, share: float) -> None:
            self._metrics.restored_records.labels(str(number)).set(records)
            self._metrics.restore_progress.labels(str(number)).set(share)

        return progress

    # --- open ----------------------------------------------------------------------------------

    async def _open(self, one: Claimed) -> Owner:
        stored = one.table.get(LEDGER)
        if stored is None:
            record = LedgerRecord(life=uuid.uuid4().hex)
        else:
            record = read_ledger_record(stored)
        rules = await self._rules_of(record)
        partition = Partition(one.number, self._settings.partitions, one.table, record, rules)
        channels = [channel.name for channel in rules.channels]
        if channels:
            places = quantity_places(self._settings, one.number, channels)
            await renew(self._settings, one.identity, places)
        return Owner(
            self._settings,
            partition,
            one.table,
            one.identity,
            one.producer,
            self._contents,
            self._metrics,
            self._failed,
        )

    async def _rules_of(self, record: LedgerRecord) -> RuleSet:
        if not record.rules:
            return no_rules()
        rules = await read_rules(self._contents, record.rules)
        if rules is None:
            raise CorruptStateError(
                f"the rules in force, {record.rules}, cannot be loaded any more",
                "Run the version of the engine that put them in force, or mend control.contents.",
            )
        return rules

    async def _check_envelopes(self, owners: Collection[Owner]) -> None:
        """Check that the log still has every envelope that is to be taken next.

        Raises:
            EnvelopeGapError: it has not.
        """
        topic = self._settings.topic(ENVELOPES)
        places = {TopicPartition(topic, owner.partition.number): owner for owner in owners}
        async with running(make_consumer(self._settings, "check"), patient=True) as consumer:
            begins, ends = await _borders(consumer, list(places))
        for place, owner in places.items():
            offset = owner.partition.next_offset
            if not begins[place] <= offset <= ends[place]:
                raise EnvelopeGapError(
                    f"partition {place.partition} of the ledger goes on at envelope {offset}, and "
                    f"{topic} holds {begins[place]} to {ends[place]}",
                    "Envelopes were lost before they were taken, or the state was: restore what "
                    "is missing. Raise the retention of ledger.envelopes if it was too short.",
                )


async def _borders(
    consumer: AIOKafkaConsumer, places: list[TopicPartition]
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    return await consumer.beginning_offsets(places), await consumer.end_offsets(places)


def _is_foreign(table: LocalTable, life: str) -> bool:
    """Whether a local copy was of another table than the changelog tells of."""
    stored = table.get(LEDGER)
    return bool(life) and (stored is None or read_ledger_record(stored).life != life)


async def redo(table: LocalTable, changelog: Changelog) -> None:
    """Finish a step that was too large for one batch and that the last owner did not finish."""
    parts = list(written_ahead(table))
    if not parts:
        return
    names = [name for name, _ in table.scan(REDO)]
    puts: dict[bytes, bytes] = {}
    dropped: list[bytes] = []
    for part_puts, part_deletes in parts:
        puts.update(part_puts)
        dropped.extend(part_deletes)
    written = await changelog.finish(puts, dropped, names)
    life = read_ledger_record(puts[LEDGER]).life
    records = {**puts, **dict.fromkeys([*dropped, *names])}
    table.apply(records, written.next_offset, written.at, life)
