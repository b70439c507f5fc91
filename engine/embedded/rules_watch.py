"""Watching a rules folder: changed rules take effect while the engine runs, broken ones do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from engine.rules.loader import load_rules
from engine.rules.mistakes import RulesError
from engine.rules.replacing import files_of, look_of
from engine.rules.ruleset import RuleSet

LOOK_EVERY_SECONDS = 1.0

# What the files look like: their names, times and lengths.
Stamp = tuple[tuple[str, int, int], ...]


class RulesWatch:
    """Tells when the files of a rules folder have become another rule set.

    `seen` is what the files looked like before `rules` were read; left out: what they do now.
    """

    def __init__(
        self,
        folder: Path,
        rules: RuleSet,
        overrides: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        seen: Stamp | None = None,
    ) -> None:
        self.folder = folder
        self.overrides = dict(overrides or {})
        self._fingerprint = rules.fingerprint
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._stamp = stamp_of(folder) if seen is None else seen
        self._log = structlog.get_logger("sellable.rules")

    def changed(self) -> RuleSet | None:
        """Return the new rule set when there is one, looking at the folder once a second."""
        now = self._monotonic()
        if now - self._looked_at < LOOK_EVERY_SECONDS:
            return None
        self._looked_at = now
        return self.look()

    def look(self) -> RuleSet | None:
        """Return the new rule set when there is one; broken files are told and left aside."""
        stamp = stamp_of(self.folder)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            rules = load_rules(self.folder, self.overrides)
        except RulesError as error:
            self._log.error("rules are broken, those in force stay", mistakes=str(error))
            return None
        if rules.fingerprint == self._fingerprint:
            return None
        self._fingerprint = rules.fingerprint
        self._log.info("rules have changed", fingerprint=rules.fingerprint)
        return rules

    def knows(self, rules: RuleSet, stamp: Stamp) -> None:
        """Note that the folder holds these rules, and what its files look like."""
        self._fingerprint, self._stamp = rules.fingerprint, stamp


def stamp_of(folder: Path) -> Stamp:
    """Return what the files look like; one that goes away meanwhile is not there."""
    try:
        paths = files_of(folder)
    except OSError:
        return ()
    return tuple((path.name, *look) for path in paths if (look := look_of(path)) is not None)
