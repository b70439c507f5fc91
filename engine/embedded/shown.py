"""What a view has found, in the shapes in which it is told: on a terminal and over HTTP."""

from __future__ import annotations

import msgspec

from engine.contracts.answers import KeyShown, MaybeTime, PublishedKey, Time
from engine.contracts.availability import Cause
from engine.contracts.instants import format_instant
from engine.contracts.records import PublishedRecord, Trace
from engine.embedded.view import Answer, ChannelKey
from engine.publication.throttle import STATUS_NAMES
from engine.rules.explained import Explained, explained_fields


def key_shown(key: ChannelKey) -> KeyShown:
    """A channel's key as it is shown."""
    last = key.published
    told = None if last is None else (last.value, STATUS_NAMES[last.status])
    return KeyShown(
        channel=key.channel,
        location=key.location,
        available=None if told is None else told[0],
        status=None if told is None else told[1],
        version=0 if last is None else last.version,
        computed_at=None if last is None else format_instant(last.at),
        cause=None if last is None or last.cause is None else Cause(*last.cause),
        computed=key.computed,
        computed_status=key.status,
        pending=key.due is not None,
        due=None if key.due is None else format_instant(key.due),
    )


def published_key(
    sku: str, channel: str, location: str | None, last: PublishedRecord | None
) -> PublishedKey:
    """What a channel was told last of a key."""
    if last is None or not last.version:
        since = None if last is None or not last.since else format_instant(last.since)
        return PublishedKey(sku, channel, location, None, None, 0, None, None, since)
    return PublishedKey(
        sku,
        channel,
        location,
        last.value,
        STATUS_NAMES[last.status],
        last.version,
        format_instant(last.at),
        None if last.cause is None else Cause(*last.cause),
        format_instant(last.since) if last.since else None,
    )


class LastPublished(msgspec.Struct):
    """What a channel was told last."""

    available: int | None
    status: str | None
    version: int
    computed_at: MaybeTime
    cause: Cause | None


class MovementShown(msgspec.Struct):
    """One of the last movements of a SKU."""

    source: str
    id: str
    correlation_id: str | None
    type: str
    location: str | None
    quantity: int | None
    occurred_at: Time


class NumberExplained(Explained):
    """A number explained: how it comes about, what was told last, what is due, who moved it."""

    published: LastPublished | None
    pending: bool
    due: MaybeTime
    last_movements: list[MovementShown]


def number_explained(answer: Answer) -> NumberExplained:
    """The answer to `explain` as it is told."""
    key = key_shown(answer.key)
    published = None
    if key.version:
        published = LastPublished(
            key.available, key.status, key.version, key.computed_at, key.cause
        )
    return NumberExplained(
        **explained_fields(answer.explanation),
        published=published,
        pending=key.pending,
        due=key.due,
        last_movements=[_movement(trace) for trace in answer.last_movements],
    )


def _movement(trace: Trace) -> MovementShown:
    source, id, correlation_id, kind, location, quantity, at = trace
    return MovementShown(source, id, correlation_id, kind, location, quantity, format_instant(at))
