"""Rules as files: those of an ingest worker's folder, and those of a content."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import msgspec

from engine.kafka.contents import Files
from engine.kafka.settings import KafkaSettings
from engine.rules.case_entries import CASES_FOLDER
from engine.rules.loader import load_rules
from engine.rules.replacing import files_of, names_in, settled
from engine.rules.ruleset import RuleSet

OVERRIDES_FILE: Final = "overrides.json"
"""File of a content that holds settings in place of those of engine.yaml, by dotted name."""
CASES: Final = f"{CASES_FOLDER}/"

Stamp = tuple[tuple[str, int, int], ...]


def read_folder(settings: KafkaSettings) -> dict[str, bytes]:
    """The files of the rules folder, and its cases.

    Raises:
        RulesError: there is no such folder.
        OSError: a file cannot be read.
    """
    if not settings.rules.is_dir():
        load_rules(settings.rules)
    return {name: path.read_bytes() for name, path in _paths(settings.rules)}


def stamp_of(settings: KafkaSettings) -> Stamp:
    """What the files of the rules folder look like from outside.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for name, path in _paths(settings.rules):
        status = path.stat()
        found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _paths(folder: Path) -> list[tuple[str, Path]]:
    there = [path for path in files_of(folder) if not path.name.startswith(".")]
    cases = [name for name in names_in(settled(folder)) if name.startswith(CASES)]
    return [
        *((path.name, path) for path in there),
        *((name, settled(folder) / name) for name in cases),
    ]


def deciding(files: Files, settings: KafkaSettings) -> dict[str, bytes]:
    """What of these files decides: no cases, but the settings that were given besides."""
    found = {name: data for name, data in files.items() if not name.startswith(CASES)}
    if settings.overrides:
        found[OVERRIDES_FILE] = msgspec.json.encode(dict(sorted(settings.overrides.items())))
    return found


class Unpacked:
    """A content taken apart: the files of a rules folder, and the settings given besides."""

    def __init__(self, files: Files) -> None:
        self.files = {name: data for name, data in files.items() if name != OVERRIDES_FILE}
        self.overrides = msgspec.json.decode(files.get(OVERRIDES_FILE, b"{}"), type=dict[str, str])

    def write_to(self, folder: Path) -> None:
        """Write the files into a folder; what is there under their names is replaced."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)


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
