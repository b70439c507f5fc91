"""An explanation as lines that read like a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.cli.printing import counted, number, print_table, say, signed, some_of
from engine.contracts.instants import format_duration, format_instant
from engine.rules.explain import Explanation, Step
from engine.rules.reasons import Decision, RuleReference

LOCATIONS_SHOWN: Final = 20
"""Locations whose terms are shown one by one; those of the others are summed up."""
NAMES_SHOWN: Final = 4
"""Locations that a line names before it counts the rest."""

_Row = tuple[str, str, str, str]


def print_ledger(explanation: Explanation) -> None:
    """Print the terms, signed, from physical stock down to what is available."""
    rows = list(_terms(explanation))
    rows.append((number(explanation.available), "available", "", ""))
    print_table(("quantity", "term", "location", "rule"), rows, numbers=("quantity",))
    if explanation.excluded:
        say()
        say(("Not sold from", "bold"))
        excluded = [
            (f"  {number(line.base)}", line.location, line.reason)
            for line in explanation.excluded[:LOCATIONS_SHOWN]
        ]
        print_table(("  free", "location", "why"), excluded, numbers=("  free",))
        _say_left_out(len(explanation.excluded) - LOCATIONS_SHOWN, "location")


def print_rules(explanation: Explanation) -> None:
    """Print for each kind of effect which rule won, and why the others did not."""
    if explanation.decisions or explanation.near_misses:
        say()
        say(("Rules", "bold"))
    for decision, locations in _grouped(explanation.decisions):
        where = f" at {some_of(locations, NAMES_SHOWN)}" if locations else ""
        say(f"  {_kind(decision.kind)}{where}")
        if decision.winner is None:
            say(("    none is in force", "dim"))
        else:
            say(("    won   ", "green"), f"{place(decision.winner)}: {decision.winner.effect}")
        for loser in decision.losers:
            say(
                ("    lost  ", "red"),
                f"{place(loser.rule)}: {loser.rule.effect}; ",
                (loser.reason, "dim"),
            )
    for miss in explanation.near_misses:
        say(("  no match  ", "dim"), f"{place(miss.rule)}: ", (miss.reason, "dim"))
    _say_left_out(explanation.near_misses_left_out, "rule")
    if explanation.min_interval:
        say(f"  told at most once in {format_duration(explanation.min_interval)}, unless urgent")
    if explanation.next_edge is not None:
        say(f"  rules next change at {format_instant(explanation.next_edge)}")


def place(rule: RuleReference) -> str:
    """A rule by its name, with where it stands."""
    return f"{rule.name} ({rule.file}:{rule.line})"


def _terms(explanation: Explanation) -> Iterator[_Row]:
    """The terms of each location, of further locations together, and of the SKU as a whole."""
    winners = {
        (decision.kind, decision.winner.name): decision.winner
        for decision in explanation.decisions
        if decision.winner is not None
    }
    shown = {line.location for line in explanation.locations[:LOCATIONS_SHOWN]}
    further: dict[str, int] = {}
    for step in explanation.steps:
        if step.location is None:
            continue
        if step.location in shown:
            yield _term(step, winners)
        else:
            further[step.what] = further.get(step.what, 0) + step.quantity
    others = counted(len(explanation.locations) - len(shown), "more location")
    for what, quantity in further.items():
        yield signed(quantity), what, others, ""
    for step in explanation.steps:
        if step.location is None:
            yield _term(step, winners)


def _term(step: Step, winners: dict[tuple[str, str], RuleReference]) -> _Row:
    rule = "" if step.rule is None else step.rule
    winner = winners.get((step.what.replace(" ", "_"), rule))
    if winner is not None:
        rule = f"{place(winner)}: {winner.effect}"
    return signed(step.quantity), step.what, step.location or "", rule


def _grouped(decisions: tuple[Decision, ...]) -> list[tuple[Decision, list[str]]]:
    """Decisions that came out alike, each once with all its locations."""
    groups: dict[object, tuple[Decision, list[str]]] = {}
    for decision in decisions:
        alike = (decision.kind, decision.winner, decision.losers)
        _, locations = groups.setdefault(alike, (decision, []))
        if decision.location is not None:
            locations.append(decision.location)
    return list(groups.values())


def _kind(kind: str) -> str:
    return kind.replace("_", " ")


def _say_left_out(count: int, what: str) -> None:
    if count > 0:
        say((f"  and {counted(count, f'more {what}')} (--json names them)", "dim"))
