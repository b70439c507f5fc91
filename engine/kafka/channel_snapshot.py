"""The snapshot of one channel over all partitions of the ledger: one consistent cut.

Every partition tells in the channel's quantities where its cut is. Quantities that come after that
of their partition, while other partitions' cuts are still to come, are later than the cut: so what
they replace is kept until the rows are written (K. M. Chandy and L. Lamport, "Distributed
snapshots", 1985).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.contracts.snapshots import ChannelRow, SnapshotHeader, SnapshotTrailer
from engine.kafka.channel_publisher import ChannelPublisher, Key
from engine.kafka.ledger_record import Message
from engine.kafka.messages import SnapshotNotice
from engine.publication.throttle import STATUS_NAMES
from engine.publication.timers import Ref

ROWS_AT_ONCE: Final = 1_000

_encode = msgspec.json.Encoder().encode


class ChannelCut:
    """One cut of a channel on its way: which partitions have told theirs, and what was replaced."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.received: dict[int, int] = {}
        self.kept: dict[Ref, int] = {}

    def keep(self, ref: Ref, partition: int, value: int) -> None:
        """Keep the quantity of a key that is about to be replaced, if the cut needs it."""
        if partition in self.received:
            self.kept.setdefault(ref, value)


class ChannelCuts:
    """The cuts of one channel; `partitions` is how many partitions each needs."""

    def __init__(self, publisher: ChannelPublisher, partitions: int) -> None:
        self._publisher = publisher
        self._partitions = partitions
        self._open: dict[int, ChannelCut] = {}

    def told(self, partition: int, notice: SnapshotNotice) -> ChannelCut | None:
        """Note where a partition's cut is; returns the cut when that was the last partition."""
        cut = self._open.setdefault(notice.at, ChannelCut(notice.at))
        cut.received[partition] = notice.received
        self._watch()
        return cut if len(cut.received) == self._partitions else None

    def close(self, cut: ChannelCut) -> None:
        """Forget a cut, and those before it: a partition that is asked for two gives both."""
        for at in [at for at in self._open if at <= cut.at]:
            del self._open[at]
        self._watch()

    def _watch(self) -> None:
        self._publisher.cuts = tuple(self._open.values())


def channel_snapshot(publisher: ChannelPublisher, cut: ChannelCut) -> Iterator[list[Message]]:
    """Yield the messages of a cut that is complete, some at a time; all have its name as key.

    Between two of them the publisher may go on.
    """
    taken_at = format_instant(cut.at)
    name = f"{taken_at}/{publisher.name}"
    key = name.encode()
    told = [(ref, one) for ref, one in publisher.keys.items() if one.last.version]
    header = SnapshotHeader(
        snapshot=name,
        channel=publisher.name,
        ledger=False,
        taken_at=taken_at,
        rows=len(told),
        position=sum(cut.received.values()),
    )
    yield [(key, _encode(header), [])]
    digest = hashlib.sha256()
    rest = iter(sorted(told, key=lambda item: item[0]))
    while some := list(islice(rest, ROWS_AT_ONCE)):
        lines = [_encode(_row(publisher.name, ref, one, cut)) for ref, one in some]
        for line in lines:
            digest.update(line)
            digest.update(b"\n")
        yield [(key, line, []) for line in lines]
    trailer = SnapshotTrailer(snapshot=name, rows=len(told), sha256=digest.hexdigest())
    yield [(key, _encode(trailer), [])]


def _row(channel: str, ref: Ref, one: Key, cut: ChannelCut) -> ChannelRow:
    last = one.last
    return ChannelRow(
        sku=ref[0],
        channel=channel,
        location=ref[1] or None,
        available=last.value,
        status=STATUS_NAMES[last.status],
        version=last.version,
        computed_at=format_instant(last.at),
        cause=None if last.cause is None else Cause(*last.cause),
        computed=cut.kept.get(ref, one.value),
    )
