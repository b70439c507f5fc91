"""`sellable rules check`: every mistake of a rules folder, with file, line and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.cli.options import AsJson, RulesFolder
from engine.cli.printing import counted, print_json, say
from engine.rules.checking import CheckedFolder, check_folder
from engine.rules.mistakes import Mistake, RulesError


def check(folder: RulesFolder, as_json: AsJson = False) -> None:
    """Check a rules folder: channels, rules, catalogue, settings and test cases.

    Tells every mistake at once, each with its file, its line and a way to mend it; warns of what
    is allowed and hardly meant, such as a name that the catalogue does not have. With mistakes
    the exit status is 2.
    """
    try:
        found = check_folder(folder)
    except RulesError as error:
        if as_json:
            print_json(_data(str(folder), error.mistakes, ()))
        raise
    if as_json:
        print_json({**_data(str(folder), (), found.warnings), **_counts(found)})
    else:
        _print(found)


def _data(folder: str, mistakes: Sequence[Mistake], warnings: Sequence[Mistake]) -> dict[str, Any]:
    return {
        "folder": folder,
        "valid": not mistakes,
        "mistakes": msgspec.to_builtins(mistakes),
        "warnings": msgspec.to_builtins(warnings),
    }


def _counts(found: CheckedFolder) -> dict[str, Any]:
    rules = found.rules
    return {
        "fingerprint": rules.fingerprint,
        "channels": [channel.name for channel in rules.channels],
        "rules": len(rules.rules),
        "locations": len(rules.catalogue.locations),
        "items": len(rules.catalogue.items),
        "cases": len(found.cases),
    }


def _print(found: CheckedFolder) -> None:
    rules = found.rules
    for warning in found.warnings:
        say(("warning: ", "yellow"), str(warning))
    counts = (
        counted(len(rules.channels), "channel"),
        counted(len(rules.rules), "rule"),
        counted(len(rules.catalogue.locations), "location"),
        counted(len(rules.catalogue.items), "item"),
        counted(len(found.cases), "test case"),
    )
    warned = f", {counted(len(found.warnings), 'warning')}" if found.warnings else ""
    say(f"{', '.join(counts)}: ", ("no mistakes", "green"), warned)
