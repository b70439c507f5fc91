"""Replacing what a rules folder says: all of it at once, whatever moment the process dies in.

The new set is prepared in a folder of its own inside the rules folder. One rename decides: from
then on that folder is what the rules folder says, to everybody who reads it with `settled`. Its
files are then moved to where people look for them; whoever comes next after a kill goes on with
that. The rules folder itself stays: it may be a mount, a working tree, or somebody's directory.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from engine.contracts.calls import RULES_FILE_PATTERN
from engine.contracts.limits import MAX_RULES_FILE_NAME_LENGTH
from engine.rules.case_entries import CASES_FOLDER
from engine.rules.catalogue import ITEMS_FILE, LOCATIONS_FILE
from engine.rules.sources import ENGINE_FILE

PREPARED: Final = ".sellable-prepared-"
"""How the name of a folder begins that holds a set which nothing is decided about."""
DECIDED: Final = ".sellable-decided"
"""The folder that holds what the rules folder says, until its files are where they belong."""
MOVED: Final = ".sellable-moved"
"""That folder once they are there: of no use any more."""
NEW: Final = ".sellable-new"
"""A file on its way to where it belongs."""
LEFT_BEHIND_SECONDS: Final = 3_600.0
"""Age from which a set that is prepared and not decided is taken for one of a process that died."""
READABLE: Final = 0o755

SUFFIXES: Final = (".yaml", ".csv")
"""Of the files of a rules folder that are worth a look."""
OF_OTHERS: Final = (ENGINE_FILE, LOCATIONS_FILE, ITEMS_FILE)
"""Files that belong to operators and to master data: they stay unless new ones are given."""

_NAME: Final = re.compile(RULES_FILE_PATTERN)
# What is read, or would stop a folder from being read for its suffix.
_READ: Final = ("channels.y*ml", "engine.y*ml", "*.rules.y*ml", LOCATIONS_FILE, ITEMS_FILE)
_CASES_READ: Final = ("*.yaml", "*.yml")
_CASES: Final = f"{CASES_FOLDER}/"


# When a file was changed last, in nanoseconds since the Unix epoch, and its length in bytes.
Look = tuple[int, int]


class Prepared(NamedTuple):
    """A whole rule set in a folder of its own.

    `given` are the files that were given, those without content too, and `put` those with it;
    `kept` is what the files looked like that were taken over.
    """

    folder: Path
    given: frozenset[str]
    put: tuple[str, ...]
    kept: Mapping[str, Look | None]


def is_read(name: str) -> bool:
    """Whether a rules folder may hold a file of the name, as a path inside it."""
    return len(name) <= MAX_RULES_FILE_NAME_LENGTH and _NAME.fullmatch(name) is not None


def settled(folder: Path) -> Path:
    """The folder to read the rules of a rules folder from."""
    decided = folder / DECIDED
    return decided if decided.is_dir() else folder


def files_of(folder: Path) -> list[Path]:
    """What stands in a rules folder by its names, cases aside, in their order.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path for path in settled(folder).iterdir() if path.suffix in SUFFIXES)


def stays(name: str, given: Collection[str]) -> bool:
    """Whether a file of a rule set stays when others are given: cases stay or go as a whole."""
    if name.startswith(_CASES):
        return not any(each.startswith(_CASES) for each in given)
    return name in OF_OTHERS and name not in given


def assemble(files: Mapping[str, bytes], others: Path, into: Path) -> Prepared:
    """Write a whole rule set into an empty folder: what is given, and what stays of another one.

    Channels and rules are those given. `engine.yaml`, the catalogue files, and the cases as a
    whole, stay as they are in `others` unless they are given; a file without content is none.

    Raises:
        OSError: a file cannot be read or written.
    """
    given = frozenset(files)
    kept = _what_stays(others, given)
    put = sorted(name for name, data in files.items() if data)
    for name in put:
        path = into / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(files[name])
    for name in kept:
        path = into / name
        path.parent.mkdir(exist_ok=True)
        _take_over(others / name, path)
    return Prepared(into, given, tuple(put), kept)


def prepare(folder: Path, files: Mapping[str, bytes]) -> Prepared:
    """Write what a rules folder shall say beside what it says; nothing is decided by that.

    Raises:
        OSError: the folder cannot be written.
    """
    _sweep(folder)
    made = Path(tempfile.mkdtemp(prefix=PREPARED, dir=folder))
    try:
        made.chmod(READABLE)
        prepared = assemble(files, settled(folder), made)
        for name in prepared.put:
            _make_lasting(made / name)
        for below in (made, made / CASES_FOLDER):
            if below.is_dir():
                _make_lasting(below)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return prepared


def discard(prepared: Prepared) -> None:
    """Take back what was prepared."""
    shutil.rmtree(prepared.folder, ignore_errors=True)


def is_outdated(folder: Path, prepared: Prepared) -> bool:
    """Whether the files that were to stay are others now."""
    return _what_stays(settled(folder), prepared.given) != prepared.kept


def decide(folder: Path, prepared: Prepared) -> list[str]:
    """Let the prepared set be what the folder says; returns the files that are none of it any more.

    Raises:
        OSError: it cannot be; then the folder says what it said before.
    """
    finish(folder)
    gone = sorted(set(names_in(folder)) - set(names_in(prepared.folder)))
    prepared.folder.rename(folder / DECIDED)
    return gone


def finish(folder: Path) -> None:
    """Move the files of a decided set to where they belong; again after a kill, with the same end.

    Raises:
        OSError: it cannot be done now; what the folder says is decided all the same.
    """
    decided = folder / DECIDED
    if decided.is_dir():
        _make_lasting(folder)  # the decision, before the disk has any of what follows from it
        names = names_in(decided)
        for name in names:
            _move(decided / name, folder / name)
        for name in set(names_in(folder)) - set(names):
            (folder / name).unlink()
        for below in (folder, folder / CASES_FOLDER):
            if below.is_dir():
                _make_lasting(below)
        decided.rename(folder / MOVED)
    if (folder / MOVED).is_dir():
        shutil.rmtree(folder / MOVED)


def names_in(folder: Path) -> list[str]:
    """The files of a folder that have to do with its rules, as paths inside it."""
    found = [path for pattern in _READ for path in folder.glob(pattern)]
    cases = [path for pattern in _CASES_READ for path in (folder / CASES_FOLDER).glob(pattern)]
    return sorted(
        path.relative_to(folder).as_posix()
        for path in (*found, *cases)
        if path.is_file() and not path.name.startswith(".")
    )


def look_of(path: Path) -> Look | None:
    """When a file was changed last, and its length; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _what_stays(folder: Path, given: frozenset[str]) -> dict[str, Look | None]:
    """The files of a folder that stay when others are given, and what they look like."""
    return {name: look_of(folder / name) for name in names_in(folder) if stays(name, given)}


def _take_over(path: Path, to: Path) -> None:
    """Have the same file in another place, without a copy where the file system can do that."""
    try:
        os.link(path.resolve(), to)
    except OSError:
        shutil.copy2(path, to)


def _move(path: Path, to: Path) -> None:
    """Put a copy of a file in the place of another one, unless they are the same."""
    if look_of(path) == look_of(to):
        return
    to.parent.mkdir(exist_ok=True)
    new = to.parent / NEW
    shutil.copy2(path, new)
    _make_lasting(new)
    new.replace(to)


def _make_lasting(path: Path) -> None:
    """Have a file, or the names in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Take away what processes that died have prepared."""
    long_ago = time.time() - LEFT_BEHIND_SECONDS
    for path in folder.glob(f"{PREPARED}*"):
        if path.is_dir() and path.stat().st_mtime < long_ago:
            shutil.rmtree(path, ignore_errors=True)
