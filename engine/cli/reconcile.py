"""`sellable reconcile`: what another system believes, against the book."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
import typer

from engine.cli.examples import epilog
from engine.cli.options import AsJson, Data
from engine.cli.ordering import orders
from engine.cli.printing import counted, number, print_json, print_table, say, signed
from engine.contracts.findings import ADJUSTED, REVIEW, Finding
from engine.contracts.observations import COLUMNS
from engine.contracts.outcomes import OBSERVATION_OUTCOMES, ObservationOutcome
from engine.embedded.inputs import Inputs

LINES_AT_ONCE: Final = 1_000
"""Lines of one order: they share a commit, and a running engine is not held up for long."""
WAIT_SECONDS: Final = 1.0
SHOWN_ROWS: Final = 200
"""Findings that a table shows; the file has all."""
_NUMBERS: Final = ("expected", "observed", "difference")
_COLUMNS: Final = ("sku", "location", "disposition", "source", *_NUMBERS, "class", "action")


class Reconciled(msgspec.Struct):
    """What became of the observations of a file, the findings, and what was refused."""

    received: int = 0
    agrees: int = 0
    differs: int = 0
    duplicate: int = 0
    refused: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)
    refusals: list[ObservationOutcome] = msgspec.field(default_factory=list)

    def add(self, outcome: ObservationOutcome) -> None:
        """Count one, and keep what is to be told of it."""
        assert outcome.outcome in OBSERVATION_OUTCOMES, "each has a count"
        self.received += 1
        setattr(self, outcome.outcome, getattr(self, outcome.outcome) + 1)
        if outcome.finding is not None:
            self.findings.append(outcome.finding)
        if outcome.exception is not None:
            self.refusals.append(outcome)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile", epilog=epilog("reconcile"))(reconcile)


def reconcile(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Observations: NDJSON or CSV, also .gz or .zst; - reads stdin."
        ),
    ],
    data: Data,
    as_json: AsJson = False,
) -> None:
    """Compare what another system believes with the book.

    The book is as of the time of each observation. One that differs gives a finding, with what
    explains it and what the policy of engine.yaml has done: nothing is adjusted unless it says so.
    A running engine does it at once; else it is done here, and what follows from it is published
    when the engine runs again. What is refused is kept as an exception. The same file again is
    dropped as duplicate.
    """
    told = Reconciled()
    with Inputs([file], columns=COLUMNS) as inputs:
        for done in orders(data, _orders(inputs)):
            for outcome in msgspec.convert(done.answer["outcomes"], list[ObservationOutcome]):
                told.add(outcome)
        _tell_damages(inputs)
    if as_json:
        print_json(told)
    else:
        _print(told)


def _orders(inputs: Inputs) -> Iterator[dict[str, Any]]:
    while not inputs.ended:
        batch = inputs.read(LINES_AT_ONCE, WAIT_SECONDS)
        if batch is not None:
            lines = [
                (base64.b64encode(line).decode(), batch.origin(index))
                for index, line in enumerate(batch.lines)
            ]
            yield {"order": "reconcile", "lines": lines}


def _tell_damages(inputs: Inputs) -> None:
    for damage in inputs.damages:
        say(
            ("warning: ", "bold yellow"),
            f"{damage.path} is damaged at byte {damage.offset}: {damage.message}; every whole line "
            "before that was taken",
            to_stderr=True,
        )


def _print(told: Reconciled) -> None:
    if told.findings:
        print_table(_COLUMNS, map(_row, told.findings[:SHOWN_ROWS]), numbers=_NUMBERS)
        left = len(told.findings) - SHOWN_ROWS
        if left > 0:
            say(f"and {counted(left, 'finding')} more in reconciliation.findings.ndjson")
    for refused in told.refusals[:SHOWN_ROWS]:
        say((f"{refused.exception} {refused.code}: ", "red"), refused.message or "")
    adjusted = sum(finding.action == ADJUSTED for finding in told.findings)
    review = sum(finding.action == REVIEW for finding in told.findings)
    say(
        f"{counted(told.received, 'observation')}: {number(told.agrees)} agree, "
        f"{number(told.differs)} differ ({number(adjusted)} adjusted, {number(review)} to review), "
        f"{number(told.duplicate)} duplicate, {number(told.refused)} refused"
    )


def _row(finding: Finding) -> list[str]:
    return [
        finding.sku,
        finding.location,
        finding.disposition,
        finding.source,
        number(finding.expected),
        number(finding.observed),
        signed(finding.difference),
        finding.class_,
        finding.action,
    ]
