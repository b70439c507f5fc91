"""Where rules are put in force: those that somebody writes into the rules folder, or publishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from engine.contracts.errors import UsageError
from engine.embedded.rules_watch import RulesWatch, stamp_of
from engine.embedded.runtime import Runtime
from engine.rules.cases import check_cases
from engine.rules.checking import CheckedFolder, check_folder
from engine.rules.mistakes import Mistake
from engine.rules.replacing import Prepared, decide, discard, finish, is_outdated, prepare
from engine.rules.ruleset import RuleSet


class RulesChangedError(UsageError):
    """Other rules are in force than those that were to be replaced; `fingerprint` is theirs."""

    http_status = 412
    title = "The rules have changed"

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"the rules in force are those of {fingerprint}",
            "Nothing was published. Get the rules, and see whether your change still belongs into "
            "them; after a call without an answer, whether it is there.",
        )
        self.fingerprint = fingerprint


class RulesConflictError(UsageError):
    """The rules are sound, and cannot be put in force here."""

    http_status = 409
    title = "The rules cannot be published here"


class SettingsError(UsageError):
    """The rules bring other settings, and whoever publishes them may not change these."""

    http_status = 403
    title = "Not allowed"


class RulesOrder(NamedTuple):
    """Rules that somebody wants to publish: files of a rules folder.

    `expected` are the fingerprints of which one must be in force before (None: any);
    `settings_too` tells whether settings may be others than those in force.
    """

    files: Mapping[str, bytes]
    expected: Collection[str] | None
    settings_too: bool


class Ready(NamedTuple):
    """A rule set that was checked, and can be put in force at once."""

    order: RulesOrder
    prepared: Prepared
    checked: CheckedFolder


class PublishedRules(NamedTuple):
    """Rules that are in force: by their fingerprint, in place of those `before`.

    `put`, `kept` and `removed` are files of the rules folder; `cases` were run.
    """

    fingerprint: str
    before: str
    put: Sequence[str]
    kept: Sequence[str]
    removed: Sequence[str]
    cases: int
    warnings: Sequence[Mistake]


def make_ready(folder: Path, order: RulesOrder, overrides: Mapping[str, str]) -> Ready:
    """Prepare a rule set beside what a rules folder says, check it, and run its cases.

    Whoever gets it publishes it, or discards what was prepared.

    Raises:
        RulesError: it has mistakes.
        CasesFailedError: it comes to something else than its cases expect.
        RulesConflictError: the folder cannot be written.
    """
    try:
        prepared = prepare(folder, order.files)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        checked = check_folder(prepared.folder, overrides)
        check_cases(checked.rules, checked.cases)
    except BaseException:
        discard(prepared)
        raise
    return Ready(order, prepared, checked)


class RulesDesk:
    """Puts rules in force on the engine's thread, between two batches."""

    def __init__(self, runtime: Runtime, watch: RulesWatch) -> None:
        self._runtime = runtime
        self._watch = watch

    def follow(self) -> None:
        """Put in force what the rules folder has come to say, looking once a second."""
        self._take_up(self._watch.changed())

    def publish(self, ready: Ready) -> PublishedRules:
        """Let the rules folder say what is ready, and put it in force.

        When it raises, the rules folder and the rules in force are what they were.

        Raises:
            RulesChangedError: other rules are in force than were expected.
            SettingsError: the settings would be others, and they may not.
            RulesConflictError: the folder has changed meanwhile or cannot be written, or the data
                folder cannot hold so many channels.
        """
        engine, folder = self._runtime.engine, self._watch.folder
        prepared, rules = ready.prepared, ready.checked.rules
        # Whoever has written into the folder just now was quicker.
        self._take_up(self._watch.look())
        before = engine.rules.fingerprint
        check_expected(before, ready.order.expected)
        if not ready.order.settings_too and rules.settings != engine.rules.settings:
            raise other_settings()
        if is_outdated(folder, prepared):
            raise RulesConflictError(
                "files that were to stay have changed in the rules folder meanwhile",
                "Nothing was published. Send the same again.",
            )
        try:
            engine.check_rules(rules)
        except UsageError as error:
            raise RulesConflictError(error.message, error.advice) from error
        stamp = stamp_of(prepared.folder)
        try:
            removed = decide(folder, prepared)
        except OSError as error:
            raise unwritable(folder, error) from error
        finish_if_possible(folder)
        self._watch.knows(rules, stamp)
        self._put_in_force(rules)
        return PublishedRules(
            rules.fingerprint,
            before,
            prepared.put,
            sorted(prepared.kept),
            removed,
            len(ready.checked.cases),
            ready.checked.warnings,
        )

    def _take_up(self, rules: RuleSet | None) -> None:
        if rules is None:
            return
        try:
            self._runtime.engine.check_rules(rules)
        except UsageError as error:
            log = structlog.get_logger("sellable.rules")
            log.error("rules cannot be used here, those in force stay", reason=error.message)
            return
        self._put_in_force(rules)

    def _put_in_force(self, rules: RuleSet) -> None:
        self._runtime.commit()
        self._runtime.engine.change_rules(rules)
        self._runtime.begin_topics()
        self._runtime.commit()


def check_expected(fingerprint: str, expected: Collection[str] | None) -> None:
    """Check that the rules in force are those that somebody wants to replace; None: any.

    Raises:
        RulesChangedError: they are not.
    """
    if expected is not None and fingerprint not in expected:
        raise RulesChangedError(fingerprint)


def other_settings() -> SettingsError:
    """The error for rules that bring other settings, from somebody who may not change them."""
    return SettingsError(
        "with these rules the engine's settings would be others than those in force",
        "Nothing was published. Leave engine.yaml out, or send it as it is in force; operators "
        "change settings.",
    )


def finish_if_possible(folder: Path) -> None:
    """Move decided rules to where they belong; where that fails, they are read from where they are.

    That they are not in their place yet matters to people who look at the folder only.
    """
    try:
        finish(folder)
    except OSError as error:
        log = structlog.get_logger("sellable.rules")
        log.warning(
            "published rules are not all in their place in the rules folder yet",
            folder=str(folder),
            reason=error.strerror,
        )


def unwritable(folder: Path, error: OSError) -> RulesConflictError:
    """The error for a rules folder that cannot be written."""
    return RulesConflictError(
        f"the rules folder {folder} cannot be written: {error.strerror}",
        "Nothing was published. Let the engine's user write there, or change the rules where the "
        "folder comes from.",
    )
