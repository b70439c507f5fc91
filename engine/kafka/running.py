"""A worker's process: it runs until SIGTERM or SIGINT, or until it must not go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Any, Final, TypeVar

import structlog
from aiokafka.errors import KafkaError

from engine.contracts.errors import SellableError
from engine.kafka.catalogue import MOVEMENTS, OUTCOMES
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import BrokersError, partitions_of

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_Done = TypeVar("_Done")


class MissingTopicsError(SellableError):
    """Topics that a worker needs are not there."""

    title = "Topics are missing"


class WrongPartitionsError(SellableError):
    """The ledger has another number of partitions than it must have."""

    title = "The number of partitions is not what it was"


def run_until_stopped(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a worker in this process; the event that it takes is set by the first signal.

    The same signal again ends the process at once.

    Raises:
        SellableError: the worker must not go on.
    """
    asyncio.run(_run(work))


async def _run(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        structlog.get_logger("sellable.worker").info("stopping", signal=signal.Signals(number).name)
        stop.set()
        loop.remove_signal_handler(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, ask, number)
    try:
        await work(stop)
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def telling_refusals(settings: KafkaSettings) -> Iterator[None]:
    """Tell what the brokers refuse in words.

    Raises:
        BrokersError: they refused something.
    """
    try:
        yield
    except KafkaError as error:
        raise BrokersError(
            f"the brokers {settings.brokers} refuse: {error!r}",
            "Check the rights of this user and the state of the cluster, and start it again.",
        ) from error


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together; the first error of one is raised as itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def all_of(work: Iterable[Coroutine[Any, Any, _Done]]) -> list[_Done]:
    """Do all at once, and return what each came to; with the first error, all have ended."""
    async with task_group() as tasks:
        doing = [tasks.create_task(one) for one in work]
    return [one.result() for one in doing]


async def check_topics(settings: KafkaSettings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions the topics have.

    Raises:
        MissingTopicsError: a topic is not there.
        BrokersError: the brokers cannot be reached.
    """
    names = [settings.topic(topic) for topic in topics]
    found = await partitions_of(settings, names)
    missing = [name for name in names if name not in found]
    if missing:
        raise MissingTopicsError(
            f"there is no topic {', '.join(missing)} at {settings.brokers}",
            _how_to_make(settings, missing),
        )
    return found


def _how_to_make(settings: KafkaSettings, missing: Sequence[str]) -> str:
    prefix = settings.topic_prefix
    words = f"sellable topics create --brokers {settings.brokers} --rules DIR"
    if prefix:
        words += f" --topic-prefix {prefix}"
    own = prefix + MOVEMENTS.partition("{")[0]
    sources = [
        topic.removeprefix(own)
        for topic in missing
        if topic.startswith(own) and topic != settings.topic(OUTCOMES)
    ]
    if sources:
        words += f" --sources {','.join(sources)}"
    return f"Make the topics: {words}"


async def ledger_partitions(settings: KafkaSettings, topics: Sequence[str]) -> int:
    """How many partitions the ledger has: the topics named all have as many.

    The number is fixed when the topics are made, since a SKU's partition follows from it.

    Raises:
        MissingTopicsError: a topic is not there.
        WrongPartitionsError: they differ from one another, or from a number that was set.
        BrokersError: the brokers cannot be reached.
    """
    found = await check_topics(settings, topics)
    counts = set(found.values())
    if "partitions" in settings.model_fields_set:
        counts.add(settings.partitions)
    if len(counts) != 1:
        told = ", ".join(f"{name} has {count}" for name, count in found.items())
        raise WrongPartitionsError(
            f"the ledger's topics do not have the partitions they must have: {told}",
            "Their number must never change: a SKU's partition follows from it. Set --partitions "
            "to what is there; if somebody added partitions, start with new topics under another "
            "--topic-prefix.",
        )
    return counts.pop()
