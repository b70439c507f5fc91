"""What a step of the ledger tells, as messages of the topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.availability import Availability, Cause
from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord, Refusal
from engine.contracts.findings import Finding
from engine.contracts.movements import Movement
from engine.contracts.outcomes import MovementOutcome, ObservationOutcome, identity_of
from engine.contracts.postings import Posting
from engine.core.changes import Output
from engine.core.engine import Engine
from engine.core.sales import sold_lately
from engine.core.step import Outcome
from engine.kafka.catalogue import OBSERVED, OUTCOMES, QUANTITIES, of_channel
from engine.kafka.ledger_record import Headers, Message, Messages

CORRELATION_ID: Final = "correlation_id"
OUTPUT_ID: Final = "id"
"""Header of an output: unique for ever, and the same when it is sent again."""
ORIGIN: Final = "origin"
"""Header of an outcome: where the movement came from, as exceptions tell it."""

RULES_KEY: Final = b"\x00rules"
SNAPSHOT_KEY: Final = b"\x00snapshot"
"""Keys of the ledger's own notices in `quantities.<channel>`: every other key is a SKU's."""

_encode = msgspec.json.Encoder().encode


class Quantity(msgspec.Struct, gc=False):
    """What a channel may sell of a key since a tick, before the throttle.

    `sales` is units sold in the current and the previous hour of the clock; `since` is when the
    quantity began to change, microseconds.
    """

    sku: str
    channel: str
    location: str | None
    quantity: Annotated[int, Meta(ge=0)]
    status: str
    version: Annotated[int, Meta(ge=1)]
    computed_at: str
    cause: Cause
    sales: int
    since: int


class RulesNotice(msgspec.Struct):
    """From here on the partition computes under other rules: `rules` names their content.

    `position` rises with every change of rules, and is the same for the same one in no two
    partitions: `at` is the partition's time, microseconds.
    """

    rules: str
    at: int


class SnapshotNotice(msgspec.Struct):
    """Before this the partition's quantities are as of the tick `at`, after it they are later.

    `received` is how many movements the partition had received by then.
    """

    at: int
    received: int


def quantities(engine: Engine) -> Messages:
    """Take what the engine's last ticks have to tell of the channels."""
    found: Messages = {}
    for outlet in engine.parts.publisher.outlets:
        if not outlet.records:
            continue
        assert outlet.began is not None, "the ledger's rules leave holding back to another"
        told = zip(outlet.records, outlet.began, strict=True)
        messages = found[of_channel(QUANTITIES, outlet.name)] = []
        for record, since in told:
            assert isinstance(record, Availability), "a ledger worker does not look ahead"
            sales = _sales(engine, record) if outlet.ranked else 0
            key = record.sku if record.location is None else f"{record.sku}|{record.location}"
            messages.append((key.encode(), _encode(_quantity(record, sales, since)), []))
        outlet.records, outlet.began = [], []
    return found


def _sales(engine: Engine, record: Availability) -> int:
    book = engine.parts.book
    sku = book.sku(record.sku)
    seller = sku.record if record.location is None else book.key(sku, record.location)
    return sold_lately(seller, book.clock)


def _quantity(record: Availability, sales: int, since: int) -> Quantity:
    return Quantity(
        record.sku,
        record.channel,
        record.location,
        record.available,
        record.status,
        record.version,
        record.computed_at,
        record.cause,
        sales,
        since,
    )


def outcome_messages(
    movements: Sequence[Movement | Refusal],
    lines: Sequence[bytes],
    outcomes: Iterable[Outcome],
    origins: Iterable[str],
) -> list[Message]:
    """What became of movements that came as the lines, one message each."""
    messages: list[Message] = []
    told = zip(movements, lines, outcomes, origins, strict=True)
    for movement, line, (outcome, refusal), origin in told:
        code = None if refusal is None else refusal.code
        headers: Headers = [(ORIGIN, origin.encode())]
        if movement.correlation_id:
            headers.append((CORRELATION_ID, movement.correlation_id.encode()))
        who = movement if isinstance(movement, Movement) else identity_of(line)
        record = MovementOutcome(who.source, who.id, who.sku, outcome, code)
        messages.append((who.sku.encode() if who.sku else None, _encode(record), headers))
    return messages


def observation_messages(
    outcomes: Iterable[ObservationOutcome], origins: Iterable[str], partition: int
) -> list[Message]:
    """What became of observations, one message each."""
    messages: list[Message] = []
    for record, origin in zip(outcomes, origins, strict=True):
        if record.exception is not None:
            record.exception = exception_name(partition, record.exception)
        key = None if record.sku is None else record.sku.encode()
        messages.append((key, _encode(record), [(ORIGIN, origin.encode())]))
    return messages


def output_messages(
    outputs: Mapping[str, Sequence[Output]], partition: int, first: int
) -> Messages:
    """Decisions, postings, findings and exceptions; `first` is the number of the first."""
    found: Messages = {}
    number = first
    for topic, records in outputs.items():
        messages = found[topic] = []
        for record in records:
            key, value, headers = _message(record, partition)
            headers.append((OUTPUT_ID, output_id(partition, number)))
            messages.append((key, value, headers))
            number += 1
    return found


def number_outcomes(messages: Messages, partition: int, first: int) -> None:
    """Give outcomes their identities among the outputs; `first` is the number of the first."""
    told = chain(messages.get(OUTCOMES, ()), messages.get(OBSERVED, ()))
    for number, (_, _, headers) in enumerate(told, first):
        headers.append((OUTPUT_ID, output_id(partition, number)))


def output_id(partition: int, number: int) -> bytes:
    """The identity of an output: `3-1207`."""
    return f"{partition}-{number}".encode()


def _message(record: Output, partition: int) -> Message:
    if isinstance(record, Decision):
        return record.sku.encode(), _encode(record), _correlated(record.correlation_id)
    if isinstance(record, Posting):
        return None, _encode(record), []
    if isinstance(record, Finding):
        return record.sku.encode(), _encode(record), []
    assert isinstance(record, ExceptionRecord), f"nobody knows how to send a {type(record)}"
    record.exception = exception_name(partition, record.exception)
    return record.exception.encode(), _encode(record), _correlated(record.correlation_id)


def _correlated(correlation_id: str | None) -> Headers:
    return [] if not correlation_id else [(CORRELATION_ID, correlation_id.encode())]


def exception_name(partition: int, exception: str) -> str:
    """The identity of a partition's exception among those of all: `x-3-00000001`."""
    return f"x-{partition}-{exception.removeprefix('x-')}"


def own_exception(partition: int, name: str) -> str | None:
    """The identity in its own partition of an exception; None when it is of another one."""
    prefix = f"x-{partition}-"
    number = name.removeprefix(prefix)
    return f"x-{number}" if name.startswith(prefix) and number.isdecimal() else None
