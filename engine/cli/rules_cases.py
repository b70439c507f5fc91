"""`sellable rules test`: the merchandisers' cases against their rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import typer

from engine.cli.options import AsJson, RulesFolder
from engine.cli.printing import counted, print_json, say
from engine.contracts.errors import EXIT_FAILED
from engine.rules.cases import CaseResult, run_cases


def run_them(folder: RulesFolder, as_json: AsJson = False) -> None:
    """Run the cases in the folder's tests/*.yaml against its rules.

    A case gives a SKU, a channel, stock and a time, and says what is expected: the quantity, the
    status, the winning rules. The exit status is 1 when a case fails, 2 when rules or cases have
    mistakes.
    """
    results = run_cases(folder)
    if as_json:
        print_json(_data(str(folder), results))
    else:
        _print(results)
    if not all(result.passed for result in results):
        raise typer.Exit(EXIT_FAILED)


def _data(folder: str, results: Sequence[CaseResult]) -> dict[str, Any]:
    passed = sum(result.passed for result in results)
    return {
        "folder": folder,
        "cases": len(results),
        "passed": passed,
        "failed": len(results) - passed,
        "results": [
            {
                "name": result.name,
                "file": result.file,
                "line": result.line,
                "passed": result.passed,
                "differences": msgspec.to_builtins(result.differences),
            }
            for result in results
        ],
    }


def _print(results: Sequence[CaseResult]) -> None:
    for result in results:
        if result.passed:
            say(("ok      ", "green"), result.name)
            continue
        say(("FAILED  ", "bold red"), f"{result.name} ({result.file}:{result.line})")
        for difference in result.differences:
            say(f"          {difference}")
    failed = sum(not result.passed for result in results)
    if not results:
        say("no cases: write some into tests/*.yaml of the rules folder")
    elif failed:
        say(f"{counted(len(results), 'case')}, ", (f"{failed} failed", "bold red"))
    else:
        say(f"{counted(len(results), 'case')}, ", ("all passed", "green"))
