"""Why one rule won and the others did not, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.contracts.instants import format_duration, format_instant
from engine.rules.model import Buffer, Kind, Location, LocationMatch, Rule

HUNDRED = 100
NAMES_SHOWN = 3
"""How many of the names of a condition a reason repeats."""

_CLOSENESS = (
    "the winner names SKUs, this one does not",
    "the winner names locations, this one does not",
    "the winner names an item attribute, this one does not",
    "the winner names a location attribute, this one does not",
    "the winner names channels, this one does not",
)
"""By position in the specificity; the last position, a number, is told with its figures."""


@dataclass(frozen=True, slots=True)
class RuleReference:
    """A rule by name, with the file and line it stands in."""

    name: str
    file: str
    line: int
    effect: str
    note: str


@dataclass(frozen=True, slots=True)
class Loser:
    """A rule that has the kind of effect in question and did not decide it."""

    rule: RuleReference
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How one kind of effect was decided; `location` is None where it is for the whole SKU."""

    kind: str
    location: str | None
    winner: RuleReference | None
    losers: tuple[Loser, ...]


def decide(
    kind: Kind, candidates: Iterable[Rule], channel: int, instant: int, location: str | None
) -> tuple[Rule | None, Decision]:
    """The winning rule of a kind and the whole decision.

    `candidates` are by rank the rules whose conditions on SKU and location fit.
    """
    fitting = [rule for rule in candidates if rule.for_channel(channel) and kind in rule.kinds]
    winner = next((rule for rule in fitting if rule.in_force(instant)), None)
    losers = tuple(
        Loser(reference(rule, kind), _why_not(rule, winner, instant))
        for rule in fitting
        if rule is not winner
    )
    won = reference(winner, kind) if winner else None
    return winner, Decision(kind.value, location, won, losers)


def reference(rule: Rule, kind: Kind) -> RuleReference:
    """A rule as an explanation names it, with its effect of one kind in words."""
    return RuleReference(rule.name, rule.file, rule.line, effect(rule, kind), rule.note)


def effect(rule: Rule, kind: Kind) -> str:
    """What a rule does, in words: `10% rounded up, at least 1, at most 20`."""
    match kind:
        case Kind.EXCLUDE:
            return "excluded" if rule.exclude else "not excluded"
        case Kind.LOCATION_BUFFER:
            return _buffer(rule.location_buffer)
        case Kind.CHANNEL_BUFFER:
            return _buffer(rule.channel_buffer)
        case Kind.SHARE:
            return f"{_percent(*rule.share)} of the pool" if rule.share else ""
        case Kind.FLOOR:
            return f"0 below {rule.floor}"
        case Kind.CAP:
            return f"at most {rule.cap}"
    assert kind is Kind.MIN_INTERVAL
    return f"at most once in {format_duration(rule.min_interval or 0)}"


def why_elsewhere(
    where: LocationMatch, places: Sequence[tuple[str, Location]], only_sku: bool
) -> str:
    """Why a rule with conditions on the location fits none of these places."""
    if only_sku:
        return "it has conditions on the location, and the channel publishes one number per SKU"
    failing = []
    for name, wanted, match in (
        ("locations", where.ids, lambda place, _: place in where.ids),
        ("location_types", where.types, lambda _, at: at.type in where.types),
        ("regions", where.regions, lambda _, at: at.region in where.regions),
        ("location_tags", where.tags, lambda _, at: bool(where.tags & at.tags)),
    ):
        if wanted and not any(match(place, at) for place, at in places):
            failing.append(f"{name} {_names(wanted)}")
    if not failing:
        return "no location meets all its conditions at once"
    return f"no location here meets its condition {' nor '.join(failing)}"


def _why_not(rule: Rule, winner: Rule | None, instant: int) -> str:
    if rule.begins is not None and instant < rule.begins:
        return f"not in force before {format_instant(rule.begins)}"
    if rule.ends is not None and instant >= rule.ends:
        return f"not in force since {format_instant(rule.ends)}"
    assert winner is not None, "a rule that is in force loses to another"
    if rule.priority != winner.priority:
        return f"lower priority: {rule.priority}, the winner has {winner.priority}"
    pairs = zip(rule.specificity[:-1], winner.specificity[:-1], _CLOSENESS, strict=True)
    for mine, best, reason in pairs:
        if mine != best:
            return f"less specific: {reason}"
    count, most = rule.specificity.condition_kinds, winner.specificity.condition_kinds
    if count != most:
        return f"less specific: {count} kinds of condition, the winner has {most}"
    return "as specific as the winner, whose name sorts first"


def _buffer(buffer: Buffer | None) -> str:
    assert buffer is not None, "a rule with this kind of effect has a buffer"
    if not buffer.denominator:
        return "1 unit" if buffer.units == 1 else f"{buffer.units} units"
    text = f"{_percent(buffer.numerator, buffer.denominator)} rounded "
    text += "up" if buffer.round_up else "down"
    if buffer.minimum:
        text += f", at least {buffer.minimum}"
    if buffer.maximum is not None:
        text += f", at most {buffer.maximum}"
    return text


def _percent(numerator: int, denominator: int) -> str:
    """An exact percentage; it was written as a decimal, so it has an end."""
    digits = 0
    while numerator * HUNDRED * 10**digits % denominator:
        digits += 1
    scaled = numerator * HUNDRED * 10**digits // denominator
    if not digits:
        return f"{scaled}%"
    text = str(scaled).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}%"


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    shown = ", ".join(listed[:NAMES_SHOWN])
    more = len(listed) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
