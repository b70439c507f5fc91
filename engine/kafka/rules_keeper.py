"""What the leading ingest worker does with rules: it takes them up, and judges orders of others.

The *base* is what the rules folder said when it was taken up last, or what somebody has published
since. The rows of the two catalogue topics are laid over its catalogue files, and that is checked
as a whole and announced: its content first, then an entry in every partition of the ledger's log,
then the note that all have it. A leader that dies in between is followed by one that does all of it
again; rules that are in force already change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaProducer

from engine.kafka.catalogue import (
    AVAILABILITY,
    CONTENTS,
    ENVELOPES,
    QUANTITIES,
    TOPICS,
    wanted,
)
from engine.kafka.catalogue_topics import CatalogueTopics
from engine.kafka.contents import (
    BASE,
    FOLDER,
    IN_FORCE,
    Files,
    Pointers,
    name_of,
    point,
    read_content,
    write_content,
)
from engine.kafka.envelopes import ControlEntry
from engine.kafka.orders import tell_all
from engine.kafka.partition import RULES
from engine.kafka.rules_files import deciding, load_files, read_folder
from engine.kafka.rules_orders import (
    CHANGED,
    JUDGED,
    SETTINGS,
    UNUSABLE,
    PublishOrder,
    Verdict,
)
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create
from engine.rules.mistakes import RulesError
from engine.rules.replacing import stays
from engine.rules.ruleset import RuleSet
from engine.telemetry.metrics import WorkerMetrics

CHANNEL_TOPICS: Final = tuple(topic for topic in TOPICS if topic.name in (QUANTITIES, AVAILABILITY))


class Replaced(NamedTuple):
    """A base in which files were replaced, and which of its files were put, kept and removed."""

    files: Files
    put: Sequence[str]
    kept: Sequence[str]
    removed: Sequence[str]


def replace(base: Files, given: Files) -> Replaced:
    """Channels and rules are those given; what else stays unless it is given, as in a folder.

    A file without content is none.
    """
    kept = {name: data for name, data in base.items() if stays(name, given)}
    put = {name: data for name, data in given.items() if data}
    files = {**kept, **put}
    return Replaced(files, sorted(put), sorted(kept), sorted(base.keys() - files.keys()))


class RulesKeeper:
    """Keeps the rules while this worker leads; `pointers` are as of its begin."""

    def __init__(
        self,
        settings: KafkaSettings,
        metrics: WorkerMetrics,
        partitions: int,
        producer: AIOKafkaProducer,
        catalogue: CatalogueTopics,
        pointers: Pointers,
    ) -> None:
        self._settings = settings.model_copy(update={"partitions": partitions})
        self._metrics = metrics
        self._producer = producer
        self._catalogue = catalogue
        self._pointers = pointers
        self._base: Files | None = None
        self._log = structlog.get_logger("sellable.rules").bind(worker=settings.worker_id)

    async def follow(self) -> None:
        """Take up what the rules folder has come to say, or the catalogue topics.

        A folder that says what it said when it was taken up last does not take back what was
        published since.

        Raises:
            SellableError: there is no such folder, or topics cannot be made.
            OSError: a file cannot be read.
            KafkaError: the brokers refuse.
        """
        files: Files = read_folder(self._settings)
        folder = name_of(files)
        if folder == self._pointers.folder:
            files = await self._known_base(files)
        merged = self._merged(files)
        rules = None
        try:
            if name_of(merged) != self._pointers.in_force:
                rules = await asyncio.to_thread(load_files, merged)
        except RulesError as error:
            self._metrics.rules_mistakes.set(len(error.mistakes))
            self._log.error(
                "rules are broken, those in force stay",
                folder=str(self._settings.rules),
                mistakes=[str(mistake) for mistake in error.mistakes],
            )
            return
        await self._take_up(files, folder, merged, rules)

    async def judge(self, order: PublishOrder) -> None:
        """Publish what somebody wants published, or refuse it; it is told either way.

        Raises:
            SellableError: topics cannot be made.
            KafkaError: the brokers refuse.
        """
        verdict = await self._judge(order)
        self._log.info(
            "rules were ordered", refusal=verdict.refusal, fingerprint=verdict.fingerprint
        )
        await self._producer.send_and_wait(
            self._settings.topic(CONTENTS),
            msgspec.msgpack.encode(verdict),
            key=JUDGED,
            partition=0,
        )

    async def _judge(self, order: PublishOrder) -> Verdict:
        current = await self._in_force()
        before = "" if current is None else current.fingerprint
        if order.expected is not None and before not in order.expected:
            return Verdict(order.order, before, CHANGED)
        base = await self._known_base({})
        done = replace(base, await read_content(self._settings, order.files))
        merged = self._merged(done.files)
        try:
            rules = await asyncio.to_thread(load_files, merged)
        except RulesError as error:
            return Verdict(order.order, before, UNUSABLE, "; ".join(map(str, error.mistakes)))
        if not order.settings_too and current and rules.settings != current.settings:
            return Verdict(order.order, before, SETTINGS)
        await self._take_up(done.files, self._pointers.folder, merged, rules)
        assert self._pointers.in_force is not None, "rules were put in force just now"
        return Verdict(
            order.order,
            before,
            content=self._pointers.in_force,
            fingerprint=rules.fingerprint,
            put=list(done.put),
            kept=list(done.kept),
            removed=list(done.removed),
        )

    # --- in force ------------------------------------------------------------------------------

    async def _known_base(self, otherwise: Files) -> Files:
        """The base; before the first was noted, the other files."""
        if self._base is None:
            name = self._pointers.base
            self._base = otherwise if name is None else await read_content(self._settings, name)
        return self._base

    async def _in_force(self) -> RuleSet | None:
        name = self._pointers.in_force
        if name is None:
            return None
        return await asyncio.to_thread(load_files, await read_content(self._settings, name))

    def _merged(self, base: Files) -> Files:
        """What a base comes to with the catalogue topics over it."""
        return self._catalogue.merged(deciding(base, self._settings))

    async def _take_up(
        self, base: Files, folder: str | None, merged: Files, rules: RuleSet | None
    ) -> None:
        """Have other files in force, unless they are; `folder` names what the folder says.

        `merged` is what they come to, and `rules` its rule set, None when it is in force already.
        The base is noted before anybody hears of it: whoever leads next goes on with it.
        """
        base_name, content = name_of(base), name_of(merged)
        self._metrics.rules_mistakes.set(0)
        if (base_name, folder) != (self._pointers.base, self._pointers.folder):
            await write_content(self._producer, self._settings, base)
            await self._note(BASE, base_name)
            if folder is not None:
                await self._note(FOLDER, folder)
        self._base = base
        self._pointers = self._pointers._replace(base=base_name, folder=folder)
        if rules is not None and content != self._pointers.in_force:
            await self._announce(rules, merged, content)

    async def _announce(self, rules: RuleSet, files: Files, content: str) -> None:
        await self._make_topics(rules)
        await write_content(self._producer, self._settings, files)
        topic, partitions = self._settings.topic(ENVELOPES), self._settings.partitions
        await tell_all(self._producer, topic, partitions, ControlEntry(RULES, content))
        await self._note(IN_FORCE, content)
        self._pointers = self._pointers._replace(in_force=content)
        self._log.info("rules are announced", name=content, fingerprint=rules.fingerprint)

    async def _note(self, key: bytes, name: str) -> None:
        await point(self._producer, self._settings, name, key)

    async def _make_topics(self, rules: RuleSet) -> None:
        """Make the topics of channels that are new."""
        channels = [channel.name for channel in rules.channels]
        made = await create(self._settings, wanted(self._settings, channels, CHANNEL_TOPICS))
        if made:
            self._log.info("topics of new channels were made", topics=made)
