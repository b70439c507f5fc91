"""Watching a rules folder: changed rules take effect while the engine runs, broken ones do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from engine.rules.loader import load_rules
from engine.rules.mistakes import RulesError
from engine.rules.ruleset import RuleSet

LOOK_EVERY_SECONDS = 1.0
SUFFIXES = (".yaml", ".csv")

_Stamp = tuple[tuple[str, int, int], ...]


class RulesWatch:
    """Tells when the files of a rules folder have become another rule set."""

    def __init__(
        self,
        folder: Path,
        rules: RuleSet,
        overrides: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.overrides = dict(overrides or {})
        self._fingerprint = rules.fingerprint
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._stamp = self._stat()
        self._log = structlog.get_logger("sellable.rules")

    def changed(self) -> RuleSet | None:
        """Return the new rule set when there is one; broken files are told and left aside."""
        now = self._monotonic()
        if now - self._looked_at < LOOK_EVERY_SECONDS:
            return None
        self._looked_at = now
        stamp = self._stat()
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

    def _stat(self) -> _Stamp:
        """Return what the files look like; one that goes away meanwhile is not there."""
        found: list[tuple[str, int, int]] = []
        try:
            paths = sorted(path for path in self.folder.iterdir() if path.suffix in SUFFIXES)
        except OSError:
            return ()
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((path.name, status.st_mtime_ns, status.st_size))
        return tuple(found)
