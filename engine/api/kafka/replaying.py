"""Exceptions mended and replayed, or dismissed: orders that every partition finds in its log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.errors import KafkaError

from engine.api.kafka.exceptions import find
from engine.api.kafka.post import Post, unknown
from engine.api.kafka.replica import Replica
from engine.contracts.exceptions import ADVICE
from engine.core.dead_letters import DISMISSED, OPEN
from engine.embedded.dead_letter_desk import StillRefused, check_open, check_reason, mended
from engine.kafka.orders import order_dismissal, order_replay
from engine.kafka.partition import replay_origin
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError

LOOK_EVERY_S: Final = 0.02
WAIT_SECONDS: Final = 10.0


class Replaying:
    """Works through exceptions for one process."""

    def __init__(self, settings: KafkaSettings, post: Post, replica: Replica) -> None:
        self._settings = settings
        self._post = post
        self._replica = replica

    async def replay(
        self, exception: str, changes: Mapping[str, str], accept_old: bool
    ) -> dict[str, Any]:
        """Have a mended movement taken in place of a refused one.

        Raises:
            NotFoundError: there is no such exception.
            UsageError: it is a warning, was dealt with before, or its payload cannot be mended.
            StillRefused: it was refused again.
            UnknownOutcomeError: the ledger did not tell in time.
        """
        _, letter = find(self._replica.tables, exception)
        line = mended(check_open(letter, replayed=True), changes)
        order = self._post.unique_name()
        waiting = asyncio.create_task(self._post.expect(replay_origin(exception, order)))
        try:
            await order_replay(self._settings, exception, line, accept_old, order)
            told = await waiting
        except (KafkaError, BrokersError) as error:
            raise unknown() from error
        finally:
            waiting.cancel()
        outcome = told.outcome
        if outcome.code is not None:
            # Where its SKU lies in another partition, the mended movement is an exception there.
            names = [one.exception for one in told.exceptions]
            again = f", and is now {names[0]}" if names else ""
            raise StillRefused(f"{exception}: {outcome.code}{again}", ADVICE.get(outcome.code, ""))
        return {"exception": exception, "outcome": outcome.outcome}

    async def dismiss(self, exception: str, reason: str) -> dict[str, Any]:
        """Have an exception closed without a replay.

        Raises:
            NotFoundError: there is no such exception.
            UsageError: no reason is given, or it was dealt with before.
            UnknownOutcomeError: the ledger did not tell in time.
        """
        check_reason(reason)
        _, letter = find(self._replica.tables, exception)
        check_open(letter)
        try:
            await order_dismissal(self._settings, exception, reason)
            async with asyncio.timeout(WAIT_SECONDS):
                while find(self._replica.tables, exception)[1].status == OPEN:
                    await asyncio.sleep(LOOK_EVERY_S)
        except (TimeoutError, KafkaError, BrokersError) as error:
            raise unknown() from error
        return {"exception": exception, "status": DISMISSED, "reason": reason}
