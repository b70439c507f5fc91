"""Wire format of `ledger.envelopes`: what one ledger partition takes in one step.

The first byte of a message tells its kind. An envelope of movements holds *runs*: movements that
follow one another in one partition of an incoming topic, with their offsets there. So the ledger
can tell where each came from, and a run that ingest sent twice is recognised by its offsets alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from engine.contracts.errors import CorruptStateError

MOVEMENTS: Final = 0x01
TIME: Final = 0x02
CONTROL: Final = 0x03

UNREPEATED: Final = 0
"""Incarnation of a run that nobody writes a second time: no mark is kept of it."""


class PoisonEnvelopeError(CorruptStateError):
    """A message of `ledger.envelopes` that cannot be read: ingest would never write it."""

    title = "An envelope cannot be read"


class Run(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Movements of one partition of an incoming topic, in its order: offsets only rise.

    `payloads` are the movements' JSON bytes as they came; as many as `offsets`. `incarnation` tells
    a topic from one of the same name that was deleted before: their offsets have nothing to do with
    each other. Runs that came over HTTP are `UNREPEATED`: `topic` tells of the call, `partition` of
    the process that took it. `observed` tells that these are observations and no movements.
    """

    topic: str
    partition: int
    incarnation: int
    offsets: list[int]
    payloads: list[bytes]
    observed: bool = False

    @property
    def source(self) -> str:
        """Where offsets rise for ever: `movements.pos/3#1763712000000`."""
        return f"{self.topic}/{self.partition}#{self.incarnation}"


class Movements:
    """An envelope of movements; `payloads` are those of all runs, one after another."""

    __slots__ = ("payloads", "runs")

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.payloads = (
            runs[0].payloads
            if len(runs) == 1
            else [payload for run in runs for payload in run.payloads]
        )

    def origin(self, index: int) -> str:
        """Where a movement came from: `movements.pos/3@1234`."""
        for run in self.runs:
            if index < len(run.offsets):
                return f"{run.topic}/{run.partition}@{run.offsets[index]}"
            index -= len(run.offsets)
        raise IndexError(index)


class TimeEntry(msgspec.Struct, frozen=True):
    """Nothing but the time: the broker's append time of this message."""


class ControlEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that every partition does at a definite position.

    `name` is the content's hash (hex) in `control.contents`, "" where there is none; `fields` say
    more, by `kind`.
    """

    kind: str
    name: str = ""
    fields: Mapping[str, str | int | bool | None] = {}


Entry = Movements | TimeEntry | ControlEntry
Item = TypeVar("Item")

_encode = msgspec.msgpack.Encoder().encode
_decode_runs = msgspec.msgpack.Decoder(list[Run]).decode
_decode_control = msgspec.msgpack.Decoder(ControlEntry).decode
_MOVEMENTS: Final = bytes((MOVEMENTS,))
_TIME: Final = bytes((TIME,))
_CONTROL: Final = bytes((CONTROL,))


def encode_movements(runs: Sequence[Run]) -> bytes:
    """The message of an envelope of movements."""
    return _MOVEMENTS + _encode(runs)


def encode_time() -> bytes:
    """The message of a time entry."""
    return _TIME


def encode_control(entry: ControlEntry) -> bytes:
    """The message of a control entry."""
    return _CONTROL + _encode(entry)


def decode(value: bytes | None) -> Entry:
    """What a message says.

    Raises:
        PoisonEnvelopeError: it is none of the three kinds, or damaged.
    """
    if not value:
        raise PoisonEnvelopeError("an envelope is empty", _ADVICE)
    kind, body = value[0], memoryview(value)[1:]
    if kind == MOVEMENTS:
        return _movements(_read(_decode_runs, body))
    if kind == CONTROL:
        return _read(_decode_control, body)
    if kind == TIME and not body:
        return TimeEntry()
    raise PoisonEnvelopeError(f"an envelope is of the unknown kind {kind:#04x}", _ADVICE)


_ADVICE: Final = (
    "Only the workers write ledger.envelopes: find out who else does, and whether all workers are "
    "of the same version."
)


def _read(decode_body: Callable[[memoryview], Item], body: memoryview) -> Item:
    try:
        return decode_body(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise PoisonEnvelopeError(f"an envelope cannot be read: {error}", _ADVICE) from error


def _movements(runs: list[Run]) -> Movements:
    for run in runs:
        if not run.offsets or len(run.offsets) != len(run.payloads):
            raise PoisonEnvelopeError("an envelope has a run without its offsets", _ADVICE)
    if not runs:
        raise PoisonEnvelopeError("an envelope of movements holds none", _ADVICE)
    return Movements(runs)
