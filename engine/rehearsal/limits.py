"""What a rehearsal must not exceed, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from engine.contracts.errors import UsageError
from engine.contracts.instants import parse_duration

TIME: Final = "time"
COUNT: Final = "count"
FACTOR: Final = "factor"

URGENT_P50: Final = "urgent-p50"
URGENT_P99: Final = "urgent-p99"
URGENT_MAX: Final = "urgent-max"
URGENT_UNTOLD: Final = "urgent-untold"
BACKLOG: Final = "backlog"
DRAIN: Final = "drain"
CHANNEL_DRAIN: Final = "channel-drain"
LOST: Final = "lost"
OVERSELLS: Final = "oversells"
REFUSED: Final = "refused"
ERP_BACKLOG: Final = "erp-backlog"
HEADROOM: Final = "headroom"

SECOND: Final = 1_000_000  # microseconds


class Kind(msgspec.Struct, frozen=True):
    """A figure that can have a limit: what it says, its unit, and its limit by default.

    Times are in microseconds. With `at_least` the figure must reach the limit, else not exceed it.
    """

    name: str
    says: str
    unit: str
    default: float | None
    at_least: bool = False


KINDS: Final = (
    Kind(URGENT_P50, "Delay of an urgent publication, median", TIME, 2 * SECOND),
    Kind(URGENT_P99, "Delay of an urgent publication, 99 of 100", TIME, 5 * SECOND),
    Kind(URGENT_MAX, "Delay of an urgent publication, longest", TIME, 30 * SECOND),
    Kind(URGENT_UNTOLD, "Urgent, counted from the first untold change, 99 of 100", TIME, None),
    Kind(BACKLOG, "Movements that waited at once", COUNT, None),
    Kind(DRAIN, "Time to take the movements that waited at the end", TIME, 60 * SECOND),
    Kind(CHANNEL_DRAIN, "Time to tell what only rates held back at the end", TIME, None),
    Kind(LOST, "Movements without an outcome", COUNT, 0),
    Kind(OVERSELLS, "Oversells: more promised than is there", COUNT, None),
    Kind(REFUSED, "Movements refused as exceptions", COUNT, None),
    Kind(ERP_BACKLOG, "ERP documents that waited at once", COUNT, None),
    Kind(HEADROOM, "Headroom: how many times this load still holds", FACTOR, 1.0, at_least=True),
)
BY_NAME: Final[Mapping[str, Kind]] = {kind.name: kind for kind in KINDS}


class Judgement(msgspec.Struct):
    """One figure beside its limit; `holds` is None where nothing was measured or no limit stands.

    Times are in seconds.
    """

    name: str
    says: str
    unit: str
    measured: float | None
    limit: float | None
    holds: bool | None


def parse_limits(texts: list[str]) -> dict[str, float]:
    """Return the limits by name: those by default, and those that texts such as `drain=30s` say.

    Raises:
        UsageError: a text is no limit.
    """
    limits = {kind.name: kind.default for kind in KINDS if kind.default is not None}
    for text in texts:
        name, _, value = text.partition("=")
        kind = BY_NAME.get(name)
        if kind is None or not value:
            raise UsageError(f"there is no limit {text!r}", _ADVICE)
        if value == "none":
            limits.pop(name, None)
            continue
        limits[name] = _value(kind, text, value)
    return limits


def judge(measured: Mapping[str, float | None], limits: Mapping[str, float]) -> list[Judgement]:
    """Return every figure beside its limit."""
    return [_judge(kind, measured.get(kind.name), limits.get(kind.name)) for kind in KINDS]


def _judge(kind: Kind, measured: float | None, limit: float | None) -> Judgement:
    holds = None
    if measured is not None and limit is not None:
        holds = measured >= limit if kind.at_least else measured <= limit
    return Judgement(
        kind.name, kind.says, kind.unit, _shown(kind, measured), _shown(kind, limit), holds
    )


def _shown(kind: Kind, value: float | None) -> float | None:
    if value is None:
        return None
    return round(value / SECOND, 3) if kind.unit == TIME else round(value, 2)


def _value(kind: Kind, text: str, value: str) -> float:
    try:
        found = float(parse_duration(value)) if kind.unit == TIME else float(value)
    except ValueError as error:
        raise UsageError(f"the limit {text} has no proper value: {error}", _ADVICE) from error
    if found < 0:
        raise UsageError(f"the limit {text} is below 0", _ADVICE)
    return found


_ADVICE: Final = (
    "Limits are NAME=VALUE: "
    + ", ".join(kind.name for kind in KINDS)
    + "; times such as 500ms or 5s, `none` for no limit."
)
