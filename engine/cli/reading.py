"""Opening a data folder to look at it, whether an engine runs on it or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.cli.printing import say
from engine.contracts.errors import UsageError
from engine.embedded.folder import open_for_reading
from engine.embedded.runtime import RunRecord, read_run_record
from engine.embedded.view import View
from engine.rules.loader import load_rules
from engine.rules.mistakes import RulesError
from engine.rules.ruleset import RuleSet


@contextmanager
def looking_at(data: Path) -> Iterator[View]:
    """A view of what the engine of a data folder has committed.

    Raises:
        StoreMissingError: there is no data folder.
    """
    store = open_for_reading(data)
    try:
        yield View(store)
    finally:
        store.close()


def rules_of(view: View, folder: Path | None) -> RuleSet:
    """The rules that a data folder was last run with, or those of another folder.

    Raises:
        RulesError: the rules folder has mistakes, or is not there any more.
        UsageError: none was given, and no engine has run on the data folder.
    """
    record = read_run_record(view.store)
    return load_rules(folder or rules_folder(record), record.settings)


def rules_to_explain_with(view: View, folder: Path | None) -> RuleSet:
    """The rules under which a number is explained: those in force, or those of another folder.

    The data folder knows the rules in force by their fingerprint only. When the folder of the last
    run says something else meanwhile, that is told on stderr; the engine that runs, if one does,
    still has those.

    Raises:
        RulesError: the rules folder has mistakes, or is not there any more.
        UsageError: none was given, and no engine has run on the data folder.
    """
    try:
        found = rules_of(view, folder)
    except RulesError as error:
        if folder is None:
            error.advice = (
                "The engine goes on with the rules that it took up before, which are in no folder "
                "any more: if it listens, ask it with --url; or name a copy of them with --rules."
            )
        raise
    in_force = view.standing.fingerprint
    if folder is None and in_force and found.fingerprint != in_force:
        say(
            ("note: ", "yellow"),
            "the rules folder does not say any more what the engine has put in force: this is what "
            "comes of the folder as it is now",
            to_stderr=True,
        )
    return found


def rules_folder(record: RunRecord) -> Path:
    """The rules folder that the engine last ran with.

    Raises:
        UsageError: none has.
    """
    if not record.rules:
        raise UsageError(
            "no engine has run on this data folder, so its rules are not known",
            "Run one with `sellable run` first, or name a rules folder with --rules.",
        )
    return Path(record.rules)
