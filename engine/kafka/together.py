"""Steps of a partition that go into the changelog together: as one batch, there whole or not.

Each is a step of its own, with outputs of its own, whatever it is committed with; so what waits may
be committed together without a difference to anybody but the brokers, who have less to do.
"""

from __future__ import annotations

from typing import Final

from engine.kafka.changelog import Changelog
from engine.kafka.ledger_record import LEDGER
from engine.kafka.partition import Step
from engine.kafka.table import LocalTable

RECORDS_TOGETHER: Final = 2_000
"""Steps with so many records are not made wait for more."""


class Together:
    """The steps that were taken and not yet committed. The next step sees what they changed."""

    def __init__(self, changelog: Changelog, table: LocalTable) -> None:
        self._changelog = changelog
        self._table = table
        self._steps: list[Step] = []
        self._puts: dict[bytes, bytes] = {}
        self._deletes: dict[bytes, None] = {}

    def __len__(self) -> int:
        """How many records there are to be written."""
        return len(self._puts) + len(self._deletes)

    @property
    def is_full(self) -> bool:
        """Whether they should be committed before the next envelope is taken."""
        return len(self) >= RECORDS_TOGETHER

    def add(self, step: Step) -> None:
        """Take a step up, after those before it."""
        self._table.stage(step.puts, step.deletes)
        puts, deletes = self._puts, self._deletes
        if self._steps:
            puts.pop(LEDGER, None)  # the marker comes after all that it marks
            for name in deletes.keys() & step.puts.keys():
                del deletes[name]
            for name in puts.keys() & step.deletes:
                del puts[name]
        puts.update(step.puts)
        deletes.update(dict.fromkeys(step.deletes))
        self._steps.append(step)

    async def commit(self, life: str) -> list[Step]:
        """Write the steps; they are durable afterwards, and returned in their order.

        `life` names the table.

        Raises:
            FencedError: another worker owns the partition by now; nothing was written.
            KafkaError: the brokers refuse.
        """
        if not self._steps:
            return []
        written = await self._changelog.write(self._puts, self._deletes)
        self._table.settle(written.next_offset, written.at, life)
        steps, self._steps = self._steps, []
        self._puts, self._deletes = {}, {}
        return steps
