"""How far each channel is behind: keys held back, and since when the oldest of them waits.

Found on the engine's thread now and then, and left where other threads may read it.
"""

from __future__ import annotations

import time
from typing import Final

from engine.contracts.answers import ChannelStanding
from engine.contracts.instants import SECOND, format_instant
from engine.embedded.runtime import Runtime

LOOK_EVERY_SECONDS: Final = 1.0
SHARE_OF_TIME: Final = 0.02
"""What looking may cost of the engine's time: with very many keys held back it looks less often."""


class ChannelWatch:
    """The newest standing of every channel; empty before the first look."""

    def __init__(self) -> None:
        self.standing: tuple[ChannelStanding, ...] = ()
        self._look_at = 0.0

    def look(self, runtime: Runtime) -> None:
        """Look, if it is time to."""
        began = time.monotonic()
        if began < self._look_at:
            return
        self.standing = tuple(_standing_of(runtime))
        ended = time.monotonic()
        self._look_at = ended + max(LOOK_EVERY_SECONDS, (ended - began) / SHARE_OF_TIME)


def _standing_of(runtime: Runtime) -> list[ChannelStanding]:
    engine = runtime.engine
    now = engine.clock or 0
    published = engine.standing.figures.publications
    found = []
    for backlog in engine.backlogs():
        channel, oldest = backlog.channel, backlog.oldest_since
        found.append(
            ChannelStanding(
                channel=channel.name,
                granularity="location" if channel.by_location else "sku",
                retired=channel.retired,
                publications=published.get(channel.name, 0),
                pending=backlog.pending,
                oldest_pending_since=None if oldest is None else format_instant(oldest),
                lag_seconds=0.0 if oldest is None else max(0, now - oldest) / SECOND,
            )
        )
    return found
