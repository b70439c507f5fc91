"""Runs the merchandisers' cases: what the rules come to, against what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.errors import UsageError
from engine.contracts.instants import format_duration
from engine.rules.case_entries import CASES_FOLDER, NO_RULE, Case, WinnersEntry, read_cases
from engine.rules.explain import Explanation, StockLine, explain_channel
from engine.rules.loader import NO_OVERRIDES, collect_rules
from engine.rules.mistakes import Mistakes, RulesError
from engine.rules.model import Kind
from engine.rules.replacing import settled
from engine.rules.ruleset import EVERYWHERE, RuleSet

WITHOUT_AN_INSTANT = 0
"""The instant of a case that gives none: 1970, before the `from` of any rule in use."""

_SKU_KINDS = (Kind.CHANNEL_BUFFER, Kind.SHARE, Kind.FLOOR, Kind.CAP, Kind.MIN_INTERVAL)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that came out otherwise than expected."""

    what: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.actual}"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case after it ran; it passed when there are no differences."""

    name: str
    file: str
    line: int
    differences: tuple[Difference, ...]
    explanation: Explanation

    @property
    def passed(self) -> bool:
        """Whether everything came out as expected."""
        return not self.differences


class CasesFailedError(UsageError):
    """Rules come to something else than their own cases expect; `failed` are those cases."""

    http_status = 422
    title = "The rules fail their cases"

    def __init__(self, failed: Sequence[CaseResult], cases: int) -> None:
        super().__init__(
            f"{len(failed)} of {cases} cases in {CASES_FOLDER}/ come out otherwise than expected",
            "Mend the rules, or the cases where the rules are meant so.",
        )
        self.failed = failed


def check_cases(rules: RuleSet, cases: Sequence[Case]) -> None:
    """Check that rules come to what their cases expect.

    Raises:
        CasesFailedError: they do not.
    """
    failed = [result for case in cases if not (result := run_case(rules, case)).passed]
    if failed:
        raise CasesFailedError(failed, len(cases))


def run_cases(folder: Path, overrides: Mapping[str, str] = NO_OVERRIDES) -> list[CaseResult]:
    """Run every case in `tests/*.yaml` of a rules folder against its rules.

    Raises:
        RulesError: the rules or the cases have mistakes; the error holds all of them.
    """
    mistakes = Mistakes()
    rules = collect_rules(folder, overrides, mistakes)
    cases = read_cases(settled(folder), rules, mistakes)
    if rules is None or mistakes.found:
        raise RulesError(str(folder), mistakes.found)
    return [run_case(rules, case) for case in cases]


def run_case(rules: RuleSet, case: Case) -> CaseResult:
    """Run one case against a rule set that has its channel."""
    entry = case.entry
    channel = next(channel for channel in rules.channels if channel.name == entry.channel)
    indexes = {channel.name: channel.index for channel in rules.channels}
    claims: dict[int, int] = {}
    for claim in entry.claims:
        index = EVERYWHERE if claim.channel is None else indexes[claim.channel]
        claims[index] = claims.get(index, 0) + claim.quantity
    explanation = explain_channel(
        rules,
        WITHOUT_AN_INSTANT if entry.at is None else entry.at,
        channel,
        entry.sku,
        entry.location,
        {place: StockLine(line.sellable, line.reserved) for place, line in entry.stock.items()},
        claims,
    )
    differences = tuple(_compare(case, explanation))
    return CaseResult(entry.name, case.file, case.line, differences, explanation)


def _compare(case: Case, actual: Explanation) -> Iterator[Difference]:
    expect = case.entry.expect
    if expect.available is not None and expect.available != actual.available:
        yield Difference("available", str(expect.available), str(actual.available))
    if expect.status is not None and expect.status != actual.status:
        yield Difference("status", expect.status, actual.status)
    if expect.pool is not None and expect.pool != actual.pool:
        yield Difference("pool", str(expect.pool), str(actual.pool))
    if expect.min_interval is not None and expect.min_interval != actual.min_interval:
        expected, found = map(format_duration, (expect.min_interval, actual.min_interval))
        yield Difference("min_interval", expected, found)
    if expect.excluded is not None:
        wanted = sorted(set(expect.excluded))
        excluded = sorted(line.location for line in actual.excluded)
        if wanted != excluded:
            yield Difference("excluded", _listed(wanted), _listed(excluded))
    if expect.rules is not None:
        yield from _compare_winners(expect.rules, actual)


def _compare_winners(expect: WinnersEntry, actual: Explanation) -> Iterator[Difference]:
    won = {
        (decision.kind, decision.location): decision.winner.name
        for decision in actual.decisions
        if decision.winner is not None
    }
    for kind in _SKU_KINDS:
        wanted: str | None = getattr(expect, kind.value)
        name = won.get((kind.value, actual.location), NO_RULE)
        if wanted is not None and wanted != name:
            yield Difference(f"rules.{kind.value}", wanted, name)
    sold = [line.location for line in actual.locations]
    barred = [line.location for line in actual.excluded if line.rule is not None]
    for kind, places in (
        (Kind.LOCATION_BUFFER, sold),
        (Kind.EXCLUDE, sorted(sold + barred)),
    ):
        by_location: dict[str, str] | None = getattr(expect, kind.value)
        for place, wanted_there in _spread(by_location, places):
            name = won.get((kind.value, place), NO_RULE)
            if wanted_there != name:
                yield Difference(f"rules.{kind.value} at {place}", wanted_there, name)


def _spread(by_location: dict[str, str] | None, places: list[str]) -> Iterator[tuple[str, str]]:
    """The expected rule by location; the one under the empty text is meant for every location."""
    for place, name in (by_location or {}).items():
        if place:
            yield place, name
        else:
            yield from ((each, name) for each in places)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else NO_RULE
