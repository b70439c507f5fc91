"""The leading ingest worker announces rules: their content first, then to every ledger partition.

What is announced is the rules folder of that worker with the two catalogue topics laid over its
catalogue files. It is checked as a whole before; while it has mistakes, the rules in force stay.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from engine.contracts.errors import SellableError
from engine.kafka.catalogue import AVAILABILITY, ENVELOPES, QUANTITIES, TOPICS, wanted
from engine.kafka.catalogue_topics import CatalogueTopics
from engine.kafka.clients import make_producer, running
from engine.kafka.contents import Files, name_of, point, pointed, write_content
from engine.kafka.envelopes import ControlEntry, encode_control
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from engine.rules.loader import load_rules
from engine.rules.mistakes import RulesError
from engine.rules.replacing import files_of
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics

RULES: Final = "rules"
"""Kind of the control entry that puts rules in force."""
OVERRIDES_FILE: Final = "overrides.json"
"""File of a content that holds settings in place of those of engine.yaml, by dotted name."""
LOOK_EVERY_S: Final = 1.0
STOP_WITHIN_S: Final = 5.0
"""How long whoever takes over waits for an announcement that is under way."""
RESTLESS_S: Final = 10.0
"""A catalogue that keeps changing is announced as often as that."""
CHANNEL_TOPICS: Final = tuple(topic for topic in TOPICS if topic.name in (QUANTITIES, AVAILABILITY))


async def rules_are_announced(settings: KafkaSettings) -> bool:
    """Whether every partition of the ledger's log has met rules."""
    return await pointed(settings) is not None


class Announcer:
    """Announces while it leads. What goes wrong is told and tried again: rules in force stay."""

    def __init__(self, settings: KafkaSettings, metrics: WorkerMetrics, partitions: int) -> None:
        self._settings = settings
        self._metrics = metrics
        self._partitions = partitions
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._log = structlog.get_logger("sellable.rules").bind(worker=settings.worker_id)

    @property
    def failure(self) -> BaseException | None:
        """What nobody foresaw, if it happened."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def lead(self, leads: bool) -> None:
        """Begin to announce, or leave it to another worker."""
        if leads and self._task is None:
            self._stop.clear()
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif not leads and self._task is not None:
            task, self._task = self._task, None
            self._stop.set()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        self._log.info("this worker announces the rules")
        while not self._stop.is_set():
            try:
                async with (
                    running(make_producer(self._settings, "announcer")) as producer,
                    CatalogueTopics(self._settings, self._metrics) as catalogue,
                ):
                    await self._watch(producer, catalogue)
            except (KafkaError, SellableError, OSError) as error:
                self._log.error("rules cannot be announced, trying again", error=str(error))
                await self._pause()

    async def _watch(self, producer: AIOKafkaProducer, catalogue: CatalogueTopics) -> None:
        """Announce whenever the folder or the topics have changed and have come to rest."""
        current = await pointed(self._settings)
        announced: object = None
        before: object = None
        moved_at = time.monotonic()
        while not self._stop.is_set():
            await catalogue.read()
            stamp = (_stamp(self._settings), catalogue.version)
            rests = stamp == before or before is None
            if stamp != announced and (rests or time.monotonic() - moved_at >= RESTLESS_S):
                files = catalogue.merged(read_folder(self._settings))
                current = await self._announce(producer, files, current)
                announced = stamp
            if stamp == announced:
                moved_at = time.monotonic()
            before = stamp
            await self._pause()

    async def _pause(self) -> None:
        """Wait until it is time to look again, or to stop."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _announce(
        self, producer: AIOKafkaProducer, files: Files, current: str | None
    ) -> str | None:
        """Announce the files unless they are in force already; returns what is in force then."""
        name = name_of(files)
        if name == current:
            self._metrics.rules_mistakes.set(0)
            return current
        try:
            rules = await asyncio.to_thread(load_files, files)
        except RulesError as error:
            self._metrics.rules_mistakes.set(len(error.mistakes))
            self._log.error("rules are broken, those in force stay", mistakes=str(error))
            return current
        self._metrics.rules_mistakes.set(0)
        await self._make_topics(rules)
        await write_content(producer, self._settings, files)
        entry = encode_control(ControlEntry(RULES, name))
        topic = self._settings.topic(ENVELOPES)
        for partition in range(self._partitions):
            await producer.send_and_wait(topic, entry, partition=partition)
        await point(producer, self._settings, name)
        self._log.info("rules are announced", name=name, fingerprint=rules.fingerprint)
        return name

    async def _make_topics(self, rules: RuleSet) -> None:
        """Make the topics of channels that are new."""
        settings = self._settings.model_copy(update={"partitions": self._partitions})
        channels = [channel.name for channel in rules.channels]
        made = await create(settings, wanted(settings, channels, CHANNEL_TOPICS))
        if made:
            self._log.info("topics of new channels were made", topics=made)


def read_folder(settings: KafkaSettings) -> dict[str, bytes]:
    """The files of the rules folder that decide, and the settings that were given besides.

    Raises:
        RulesError: there is no such folder.
        OSError: a file cannot be read.
    """
    if not settings.rules.is_dir():
        load_rules(settings.rules)
    files = {
        path.name: path.read_bytes()
        for path in files_of(settings.rules)
        if not path.name.startswith(".")
    }
    if settings.overrides:
        files[OVERRIDES_FILE] = msgspec.json.encode(dict(sorted(settings.overrides.items())))
    return files


def _stamp(settings: KafkaSettings) -> tuple[tuple[str, int, int], ...]:
    """What the files of the rules folder look like from outside.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for path in files_of(settings.rules):
        status = path.stat()
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)


class Unpacked:
    """A content taken apart: the files of a rules folder, and the settings given besides."""

    def __init__(self, files: Files) -> None:
        self._files = {name: data for name, data in files.items() if name != OVERRIDES_FILE}
        self.overrides = msgspec.json.decode(files.get(OVERRIDES_FILE, b"{}"), type=dict[str, str])

    def write_to(self, folder: Path) -> None:
        """Write the files into an empty folder."""
        for name, data in self._files.items():
            (folder / name).write_bytes(data)


def load_files(files: Files) -> RuleSet:
    """The rule set of a content.

    Raises:
        RulesError: the files have mistakes.
    """
    unpacked = Unpacked(files)
    with tempfile.TemporaryDirectory(prefix="sellable-rules-") as temporary:
        folder = Path(temporary)
        unpacked.write_to(folder)
        return load_rules(folder, unpacked.overrides)
