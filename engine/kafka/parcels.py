"""The outputs of one partition's steps, kept in its table until they are known to be delivered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.core.changes import Output
from engine.kafka.ledger_record import LedgerRecord, Messages, Parcel, parcel_name, read_parcel
from engine.kafka.messages import number_outcomes, output_messages
from engine.stores.base import StoreReader


class Parcels:
    """Those of one partition; `record` says how far its outputs are numbered, and delivered."""

    def __init__(self, partition: int, table: StoreReader, record: LedgerRecord) -> None:
        self._partition = partition
        self._table = table
        self._record = record
        self._names = [name for name, _ in table.scan(parcel_name(0)[:1])]

    def pack(self, outputs: Mapping[str, Sequence[Output]], messages: Messages) -> Parcel | None:
        """Number what a step tells: records by their topics, then messages; None for nothing.

        Whoever asks puts the parcel into the table, under its name.
        """
        record = self._record
        told = output_messages(outputs, self._partition, record.number + 1)
        behind = record.number + 1 + sum(map(len, told.values()))
        number_outcomes(messages, self._partition, behind)
        told.update(messages)
        count = sum(map(len, told.values()))
        if not count:
            return None
        parcel = Parcel(record.number + 1, count, told)
        record.number += count
        self._names.append(parcel_name(parcel.first))
        return parcel

    def kept(self) -> Iterator[Parcel]:
        """Yield those that are in the table, oldest first."""
        for name in self._names:
            stored = self._table.get(name)
            assert stored is not None, "a parcel is dropped only after it was delivered"
            yield read_parcel(stored)

    def take_delivered(self) -> Iterator[bytes]:
        """Forget those whose every output is known to be delivered, and yield their names."""
        last = parcel_name(self._record.acknowledged + 1)
        # A parcel is delivered when the next one begins at or before the first that is not.
        while self._names and self._names[0] < last:
            end = parcel_name(self._record.number + 1)
            following = self._names[1] if len(self._names) > 1 else end
            if following > last:
                return
            yield self._names.pop(0)
