"""Channels at work, and what waits to be written to each."""

from __future__ import annotations

import msgspec

from engine.contracts.availability import Availability
from engine.publication.throttle import Throttle
from engine.rules.model import Channel


class Outlet:
    """One channel at work.

    `free` tells that nothing holds its publications back but a rule's own interval; `ranked` that
    its keys are ordered by how fast they sell; `records` are the publications that wait to be
    written, lines already where they were worked out ahead, and `began` is since when each had
    differed, where somebody else wants to know.
    """

    __slots__ = (
        "began",
        "channel",
        "free",
        "low_stock",
        "name",
        "ranked",
        "records",
        "slot",
        "throttle",
        "topic",
    )

    def __init__(self, channel: Channel, slot: int, tick: int, ranked: bool, relays: bool) -> None:
        publish = channel.publish
        self.channel = channel
        self.name = channel.name
        self.slot = slot
        self.low_stock = publish.low_stock
        self.topic = f"availability.{channel.name}"
        self.throttle = Throttle(publish, tick)
        self.records: list[Availability | msgspec.Raw] = []
        self.began: list[int] | None = [] if relays else None
        self.ranked = ranked or publish.max_rate is not None
        self.free = (
            publish.min_interval == 0
            and publish.max_rate is None
            and publish.max_per_key is None
            and publish.min_change <= 1
        )
