"""The compacted topics `catalogue.locations` and `catalogue.items`, laid over the rules folder."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition

from engine.contracts.catalogue import ItemRow, LocationRow
from engine.kafka.catalogue import CATALOGUE_ITEMS, CATALOGUE_LOCATIONS
from engine.kafka.clients import make_consumer, running
from engine.kafka.contents import Files
from engine.kafka.settings import KafkaSettings
from engine.rules.catalogue import ITEMS_FILE, LOCATIONS_FILE, read_catalogue
from engine.rules.mistakes import Mistakes
from engine.telemetry.metrics import WorkerMetrics

POLL_MS: Final = 200
TAG_SEPARATOR: Final = ";"
ROWS_AT_ONCE: Final = 900
"""Below the number of mistakes after which the reader of the files gives up."""
FIRST_ROW: Final = 2
"""Line of the first row of a file, below its header; no row spans lines."""

Row = tuple[str, ...]


class _Kind(NamedTuple):
    topic: str
    file: str
    record: type[LocationRow] | type[ItemRow]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.record.__struct_fields__


KINDS: Final = (
    _Kind(CATALOGUE_LOCATIONS, LOCATIONS_FILE, LocationRow),
    _Kind(CATALOGUE_ITEMS, ITEMS_FILE, ItemRow),
)


class CatalogueTopics:
    """What the topics say now; `version` rises with every change.

    A message that is no row, or not a valid one, is told in the log and counted; the row that was
    there before stays.
    """

    def __init__(self, settings: KafkaSettings, metrics: WorkerMetrics) -> None:
        self.version = 0
        self._metrics = metrics
        self._consumer = make_consumer(settings, "catalogue")
        self._ending = AsyncExitStack()
        self._places = {TopicPartition(settings.topic(kind.topic), 0): kind for kind in KINDS}
        self._rows: dict[str, dict[str, Row]] = {kind.file: {} for kind in KINDS}
        self._log = structlog.get_logger("sellable.catalogue")

    async def __aenter__(self) -> CatalogueTopics:
        async with AsyncExitStack() as undo:
            await undo.enter_async_context(running(self._consumer))
            places = list(self._places)
            self._consumer.assign(places)
            ends = await self._consumer.end_offsets(places)
            await self._consumer.seek_to_beginning(*places)
            for place in places:
                while await self._consumer.position(place) < ends[place]:
                    await self.read(POLL_MS)
            self._ending = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ending.aclose()

    async def read(self, wait_ms: int = 0) -> None:
        """Take what has come since the last time."""
        found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=ROWS_AT_ONCE)
        for place, records in found.items():
            kind = self._places[place]
            fresh: dict[str, Row] = {}
            for record in records:
                key = (record.key or b"").decode(errors="replace")
                if key in fresh or record.value is None:
                    self._keep(kind, fresh)
                    fresh = {}
                if record.value is None:
                    self.version += self._rows[kind.file].pop(key, None) is not None
                    continue
                row = self._row(kind, key, record)
                if row is not None:
                    fresh[key] = row
            self._keep(kind, fresh)

    def merged(self, files: Files) -> Files:
        """The files of a rules folder with the rows of the topics in place of theirs."""
        return {
            **files,
            **{
                kind.file: _merged(kind, files.get(kind.file), self._rows[kind.file])
                for kind in KINDS
                if self._rows[kind.file]
            },
        }

    def _row(self, kind: _Kind, key: str, record: Any) -> Row | None:
        try:
            values = msgspec.structs.asdict(msgspec.json.decode(record.value, type=kind.record))
        except (msgspec.MsgspecError, ValueError) as error:
            self._refuse(kind, key, str(error))
            return None
        if values[kind.columns[0]] != key:
            self._refuse(kind, key, f"its {kind.columns[0]} is not its key")
            return None
        tags = values["tags"]
        if not isinstance(tags, str):
            values["tags"] = TAG_SEPARATOR.join(tags)
        row = tuple(values[column] for column in kind.columns)
        if any(not cell.isprintable() for cell in row):
            self._refuse(kind, key, "it holds a character that cannot be printed")
            return None
        return row

    def _keep(self, kind: _Kind, rows: Mapping[str, Row]) -> None:
        """Let those rows count that the rules' own reader finds no mistake in."""
        if not rows:
            return
        names = list(rows)
        with tempfile.TemporaryDirectory(prefix="sellable-catalogue-") as temporary:
            folder = Path(temporary)
            (folder / kind.file).write_bytes(_csv(kind, rows.values()))
            mistakes = Mistakes()
            read_catalogue(folder, mistakes)
        wrong = set()
        for mistake in mistakes.found:
            name = names[mistake.line - FIRST_ROW]
            wrong.add(name)
            self._refuse(kind, name, f"{mistake.message}. {mistake.remedy}")
        valid = {name: row for name, row in rows.items() if name not in wrong}
        self.version += bool(valid)
        self._rows[kind.file].update(valid)

    def _refuse(self, kind: _Kind, key: str, reason: str) -> None:
        self._metrics.catalogue_refusals.inc()
        self._log.error(
            "a catalogue message is no valid row", topic=kind.topic, key=key, why=reason
        )


def _merged(kind: _Kind, data: bytes | None, rows: Mapping[str, Row]) -> bytes:
    """The file with the rows in place of its own; a file that is no such table stays as it is."""
    listed: dict[str, Row] = {}
    if data is not None:
        try:
            reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
            for row in reader:
                if None in row or None in row.values():
                    return data
                cells = {name.strip(): cell.strip() for name, cell in row.items()}
                listed[cells[kind.columns[0]]] = tuple(
                    cells.get(column, "") for column in kind.columns
                )
        except (csv.Error, UnicodeDecodeError, KeyError):
            return data
    listed.update(rows)
    return _csv(kind, (listed[name] for name in sorted(listed)))


def _csv(kind: _Kind, rows: Iterable[Row]) -> bytes:
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\n")
    table.writerow(kind.columns)
    table.writerows(rows)
    return written.getvalue().encode()
