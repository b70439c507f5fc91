"""Movements on their way to the ledger and back: written as envelopes, their outcomes awaited.

What callers send at the same time goes out together, one envelope after another for each partition
(group commit), as ingest does it. What becomes of each movement is told by its origin, which is
chosen here and unique; so it does not matter whether the broker's word that an envelope is written
comes before the ledger's that it is taken.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord
from engine.contracts.outcomes import MovementOutcome, ObservationOutcome
from engine.embedded.counter import OverloadedError, UnknownOutcomeError
from engine.kafka.catalogue import DECISIONS, ENVELOPES, EXCEPTIONS, OBSERVED, OUTCOMES
from engine.kafka.envelopes import UNREPEATED, Run, encode_movements
from engine.kafka.lanes import Lane, Source
from engine.kafka.ledger_record import Message, Parcel, read_parcel
from engine.kafka.messages import ORIGIN
from engine.kafka.routing import Part
from engine.kafka.settings import KafkaSettings

WAIT_SECONDS: Final = 10.0
"""The longest wait for the ledger's word."""
PROCESS_BITS: Final = 48

_Decode = Callable[[bytes], MovementOutcome | ObservationOutcome]

_DECODERS: Final[Mapping[str, _Decode]] = MappingProxyType(
    {
        OUTCOMES: msgspec.json.Decoder(MovementOutcome).decode,
        OBSERVED: msgspec.json.Decoder(ObservationOutcome).decode,
    }
)
_decode_decision: Final = msgspec.json.Decoder(Decision).decode
_decode_exception: Final = msgspec.json.Decoder(ExceptionRecord).decode


class Parcelled(NamedTuple):
    """A movement to be sent: its partition, its line, and the reservation it may be a step of."""

    partition: int
    line: bytes
    reservation: tuple[str, str] | None = None


class Told(NamedTuple):
    """What became of a movement or observation: its outcome, what it decided, what was raised."""

    outcome: MovementOutcome | ObservationOutcome
    decisions: Sequence[Decision]
    exceptions: Sequence[ExceptionRecord]


class _Sending:
    """One call's movements: what was told of each so far, and who waits for all of them."""

    __slots__ = ("begun", "done", "left", "name", "told")

    def __init__(self, name: int, count: int, done: asyncio.Future[None]) -> None:
        self.name = name
        self.told: list[Told | None] = [None] * count
        self.left = count
        self.begun = False
        self.done = done

    def answer(self, index: int, told: Told) -> None:
        """Note what became of a movement."""
        self.told[index] = told
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that it will not come about."""
        if not self.done.done():
            self.done.set_exception(error)


class _Awaited(NamedTuple):
    """A movement whose outcome is awaited."""

    sending: _Sending
    place: int
    reservation: tuple[str, str] | None


class Post:
    """Sends movements for one process; at most `most_waiting` of them wait for their outcomes."""

    def __init__(
        self, settings: KafkaSettings, producer: AIOKafkaProducer, most_waiting: int
    ) -> None:
        self._producer = producer
        self._topic = settings.topic(ENVELOPES)
        self._most_waiting = most_waiting
        self._lanes = [
            Lane(settings.envelope_movements, settings.envelope_bytes)
            for _ in range(settings.partitions)
        ]
        self._process = secrets.randbits(PROCESS_BITS)
        self._marker = f"/{self._process}@".encode()
        self._awaited: dict[str, _Awaited] = {}
        self._number = 0
        self._drains: dict[int, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("sellable.api")

    @property
    def waiting(self) -> int:
        """How many movements wait for their outcomes."""
        return len(self._awaited)

    async def send(
        self, movements: Sequence[Parcelled], origin: str, observed: bool = False
    ) -> list[Told]:
        """Send movements, or observations, and tell what became of each once it is all durable.

        Raises:
            OverloadedError: too many wait already, or none was sent in time; none was taken.
            UnknownOutcomeError: the ledger did not tell in time.
        """
        if not movements:
            return []
        if self._awaited and len(self._awaited) + len(movements) > self._most_waiting:
            raise OverloadedError(
                f"{len(self._awaited)} movements wait for the ledger already",
                "Nothing was taken. Send the same again after the time that Retry-After tells.",
            )
        first = self._number
        self._number += len(movements)
        done = asyncio.get_running_loop().create_future()
        sending = _Sending(first, len(movements), done)
        names = self._await(sending, movements, origin)
        place = TopicPartition(str(first), self._process)
        self._hand_over(movements, Source(place, origin, UNREPEATED, observed), first)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await done
        except TimeoutError:
            raise self._late(sending, movements, place) from None
        finally:
            for name in names:
                self._awaited.pop(name, None)
        return [told for told in sending.told if told is not None]

    def unique_name(self) -> str:
        """A name that no other order has, for which an outcome can be awaited."""
        self._number += 1
        return f"order/{self._process}@{self._number}"

    async def expect(self, origin: str) -> Told:
        """Wait for the outcome of a movement that came from `origin`, sent by other means.

        The origin holds a unique name.

        Raises:
            UnknownOutcomeError: the ledger did not tell in time.
        """
        sending = _Sending(0, 1, asyncio.get_running_loop().create_future())
        self._awaited[origin] = _Awaited(sending, 0, None)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await sending.done
        except TimeoutError:
            raise unknown() from None
        finally:
            self._awaited.pop(origin, None)
        (told,) = sending.told
        assert told is not None, "what is done is told"
        return told

    async def finish(self) -> None:
        """Wait until everybody was told, or has given up."""
        while self._awaited:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Send nothing more."""
        for task in self._drains.values():
            task.cancel()
        await asyncio.gather(*self._drains.values(), return_exceptions=True)

    # --- on the way there ----------------------------------------------------------------------

    def _await(self, sending: _Sending, movements: Sequence[Parcelled], origin: str) -> list[str]:
        names = []
        for index, movement in enumerate(movements):
            name = f"{origin}/{self._process}@{sending.name + index}"
            self._awaited[name] = _Awaited(sending, index, movement.reservation)
            names.append(name)
        return names

    def _hand_over(self, movements: Sequence[Parcelled], source: Source, first: int) -> None:
        parts: dict[int, Part] = {}
        for number, movement in enumerate(movements, first):
            part = parts.setdefault(movement.partition, Part([], []))
            part.offsets.append(number)
            part.payloads.append(movement.line)
        now = time.monotonic()
        for partition, part in parts.items():
            self._lanes[partition].add(source, part, now)
            if partition not in self._drains:
                drain = asyncio.get_running_loop().create_task(self._drain(partition))
                self._drains[partition] = drain

    async def _drain(self, partition: int) -> None:
        """Write what waits for a partition, one envelope after another."""
        lane = self._lanes[partition]
        try:
            while lane.waiting:
                runs = lane.take()
                sendings = self._begin(runs)
                try:
                    await self._producer.send_and_wait(
                        self._topic, encode_movements(runs), partition=partition
                    )
                except KafkaError as error:
                    self._log.error("an envelope was not written", error=repr(error))
                    for sending in sendings:
                        sending.fail(unknown())
                finally:
                    lane.acknowledged()
        finally:
            del self._drains[partition]

    def _begin(self, runs: Sequence[Run]) -> list[_Sending]:
        begun = []
        for run in runs:
            awaited = self._awaited.get(f"{run.topic}/{run.partition}@{run.offsets[0]}")
            if awaited is not None:
                awaited.sending.begun = True
                begun.append(awaited.sending)
        return begun

    def _late(
        self, sending: _Sending, movements: Sequence[Parcelled], place: TopicPartition
    ) -> OverloadedError | UnknownOutcomeError:
        for partition in {movement.partition for movement in movements}:
            self._lanes[partition].drop(frozenset((place,)))
        if sending.begun:
            return unknown()
        return OverloadedError(
            f"the brokers did not take it in {WAIT_SECONDS:.0f} s: it was taken back",
            "Nothing was taken. Send the same again after the time that Retry-After tells.",
        )

    # --- on the way back -----------------------------------------------------------------------

    def heard(self, stored: bytes) -> None:
        """Take a parcel of the ledger: what it tells of movements of this process."""
        if self._marker not in stored:
            return
        parcel = read_parcel(stored)
        raised = self._exceptions(parcel)
        decided: list[Decision] | None = None
        for decode, (_, value, headers) in _outcomes(parcel):
            origin = next(told for name, told in headers if name == ORIGIN).decode()
            awaited = self._awaited.pop(origin, None)
            if awaited is None:
                continue
            decisions: Sequence[Decision] = ()
            if awaited.reservation is not None:
                if decided is None:
                    decided = _decisions(parcel)
                decisions = [one for one in decided if _is_of(one, awaited.reservation)]
            told = Told(decode(value or b""), decisions, raised.get(origin, ()))
            awaited.sending.answer(awaited.place, told)

    def _exceptions(self, parcel: Parcel) -> dict[str, list[ExceptionRecord]]:
        found: dict[str, list[ExceptionRecord]] = {}
        for _, value, _ in parcel.messages.get(EXCEPTIONS, ()):
            if value is not None and self._marker in value:
                record = _decode_exception(value)
                found.setdefault(record.origin, []).append(record)
        return found


def unknown() -> UnknownOutcomeError:
    """The error for what was sent and not told of."""
    return UnknownOutcomeError(
        "the ledger has not told in time what became of it",
        "It may still be taken. Send the same again, with the same identities or Idempotency-Key: "
        "what was taken is not taken twice.",
    )


def _outcomes(parcel: Parcel) -> Iterator[tuple[_Decode, Message]]:
    """The messages of outcomes, each with what reads it."""
    for topic, decode in _DECODERS.items():
        for message in parcel.messages.get(topic, ()):
            yield decode, message


def _decisions(parcel: Parcel) -> list[Decision]:
    return [_decode_decision(value or b"") for _, value, _ in parcel.messages.get(DECISIONS, ())]


def _is_of(decision: Decision, reservation: tuple[str, str]) -> bool:
    return (decision.sku, decision.reservation) == reservation
