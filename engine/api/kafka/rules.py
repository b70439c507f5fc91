"""The rules in force in each partition of the ledger, from the content that its log names."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from aiokafka.errors import KafkaError

from engine.api.kafka.replica import Replica
from engine.contracts.errors import CorruptStateError, SellableError
from engine.kafka.contents import Contents
from engine.kafka.rules_content import no_rules, read_rules
from engine.kafka.rules_files import Unpacked
from engine.kafka.settings import KafkaSettings
from engine.rules.ruleset import RuleSet

RETRY_SECONDS: Final = 1
KEPT_RULES: Final = 4
"""Rule sets that are kept: partitions differ for a moment, while new rules reach them."""


class BrokersAwayError(SellableError):
    """The brokers do not answer; nothing of the request was taken."""

    http_status = 503
    title = "The brokers are away"
    retry_after_seconds = RETRY_SECONDS


class RulesInForce:
    """Rule sets by the names of their contents."""

    def __init__(self, settings: KafkaSettings, replica: Replica) -> None:
        self._contents = Contents(settings)
        self._replica = replica
        self._kept: OrderedDict[str, RuleSet] = OrderedDict({"": no_rules()})

    async def of(self, partition: int) -> RuleSet:
        """The rules in force in a partition; waits until their content is there.

        Raises:
            CorruptStateError: they cannot be loaded, though the ledger has.
            BrokersAwayError: the brokers do not answer.
        """
        name = self._replica.ledgers[partition].rules
        found = self._kept.get(name)
        if found is not None:
            return found
        try:
            found = await read_rules(self._contents, name)
        except KafkaError as error:
            raise _away(error) from error
        if found is None:
            raise CorruptStateError(
                f"the rules in force, {name}, cannot be loaded",
                "Run the same version of the engine here as the ledger workers do.",
            )
        self._kept[name] = found
        while len(self._kept) > KEPT_RULES:
            self._kept.popitem(last=False)
        return found

    async def files_of(self, partition: int) -> Unpacked:
        """The files of the rules in force in a partition; none before the log names any.

        Raises:
            BrokersAwayError: the brokers do not answer.
        """
        name = self._replica.ledgers[partition].rules
        try:
            return Unpacked(await self._contents.read(name) if name else {})
        except KafkaError as error:
            raise _away(error) from error

    async def newest(self) -> RuleSet:
        """The rules in force where nothing is asked of one SKU: those of the first partition."""
        return await self.of(0)


def _away(error: KafkaError) -> BrokersAwayError:
    return BrokersAwayError(
        f"the rules in force cannot be read: {error!r}",
        "Send the same again after the time that Retry-After tells.",
    )
