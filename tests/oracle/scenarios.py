"""Scenarios: small stories with expectations worked out by hand, for the oracle and any engine.

A file of `tests/scenarios/` is a list of `{name, rules, clock, movements, finish, expect}`.

`rules`      as in a rules folder: settings, channels, rules, locations, items (default: one
             channel `web` without any setting).
`movements`  each one of
             - a line such as `12:00:05 reserve A@L 3 reservation=r expires_at=12:05:00`: time of
               occurrence, type, SKU with or without location, quantity or none, other fields;
               `id` is m1, m2.. by position among the movements and `source` is `test` unless given;
               with the wall clock `now=` is when it arrives (by default when it occurred);
             - `{raw: text}`: the line as it is;
             - `{until: time}`: time passes. With the event clock a reservation of a SKU nobody has
               is rejected then; it shows in no expectation.
`finish`     whether the inputs end (default true), with the jumps to due publications.
`expect`     only what is listed is compared: objects by the named fields, lists in full length.

Times are `12:00:05` on 2026-11-20, `21/12:00:05` on another day of that month, or RFC 3339.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml

from .instants import format_instant, parse_instant

SCENARIOS = Path(__file__).parent.parent / "scenarios"
CLOCK_SKU = "nobody-has-this"
_TIME = re.compile(r"(?:(\d\d)/)?(\d\d:\d\d:\d\d(?:\.\d+)?)")
_TIME_FIELDS = ("occurred_at", "expires_at")


@dataclass(frozen=True)
class Step:
    """A line to feed, or (without one) time that passes until `now`."""

    line: bytes | None
    now: int | None
    """For the wall clock."""
    hidden: bool = False
    """It only moves the clock."""


@dataclass(frozen=True)
class Scenario:
    """One story."""

    name: str
    rules: dict[str, Any]
    clock: Literal["event", "wall"]
    steps: list[Step]
    finish: bool
    expect: dict[str, Any]


class Results(Protocol):
    """What is compared: of the oracle, or of an engine behind a small adapter."""

    @property
    def outcomes(self) -> list[tuple[str, str | None]]: ...
    @property
    def publications(self) -> Mapping[str, list[dict[str, Any]]]: ...
    @property
    def decisions(self) -> list[dict[str, Any]]: ...
    @property
    def exceptions(self) -> list[dict[str, Any]]: ...
    @property
    def postings(self) -> list[dict[str, Any]]: ...
    @property
    def snapshots(self) -> list[dict[str, Any]]: ...
    def state(self, sku: str, location: str) -> dict[str, Any]: ...
    def stock(self, sku: str) -> dict[str, Any]: ...
    def computed(self, channel: str, sku: str, location: str | None = None) -> int: ...
    def counters(self) -> dict[str, Any]: ...


def load_scenarios(folder: Path = SCENARIOS) -> list[Scenario]:
    """Every scenario of every file."""
    return [
        _scenario(told)
        for path in sorted(folder.glob("*.yaml"))
        for told in yaml.safe_load(path.read_text("utf-8"))
    ]


def differences(scenario: Scenario, results: Results) -> list[str]:
    """What is not as expected, one sentence each; empty when all is well."""
    found: list[str] = []
    for aspect, expected in scenario.expect.items():
        for path, wanted, actual in _aspects(scenario, aspect, expected, results):
            found += _compare(path, wanted, actual)
    return found


def time_of(text: str) -> str:
    """The short form of a time as RFC 3339."""
    short = _TIME.fullmatch(text)
    return text if short is None else f"2026-11-{short[1] or '20'}T{short[2]}Z"


def _scenario(told: Mapping[str, Any]) -> Scenario:
    steps = []
    number = 0
    clock = told.get("clock", "event")
    for movement in told["movements"]:
        if isinstance(movement, str):
            number += 1
            steps.append(_movement(movement, number, clock))
        elif "until" in movement:
            steps.append(_passing(time_of(movement["until"]), len(steps), clock))
        else:
            now = movement.get("now")
            line = _raw(movement)
            steps.append(Step(line, None if now is None else parse_instant(time_of(now))))
    return Scenario(
        name=told["name"],
        rules={"channels": {"web": {}}, **(told.get("rules") or {})},
        clock=clock,
        steps=steps,
        finish=told.get("finish", True),
        expect=told["expect"],
    )


def _raw(movement: Mapping[str, Any]) -> bytes:
    if "bytes" in movement:
        return bytes.fromhex(str(movement["bytes"]))
    return str(movement["raw"]).encode() + b" " * int(movement.get("padding", 0))


def movement_line(text: str, number: int) -> bytes:
    """The line that a short movement such as `12:00:05 sale A@L 3` stands for."""
    at, kind, place, *others = shlex.split(text)
    sku, at_sign, location = place.partition("@")
    told: dict[str, Any] = {
        "id": f"m{number}",
        "source": "test",
        "type": kind,
        "sku": sku,
        "occurred_at": time_of(at),
    }
    if at_sign:
        told["location"] = location
    for word in others:
        name, equals, value = word.partition("=")
        if not equals:
            told["quantity"] = int(word)
        elif name in _TIME_FIELDS:
            told[name] = time_of(value)
        elif name != "now":
            told[name] = {"true": True, "false": False, "null": None}.get(value, value)
    return json.dumps(told, ensure_ascii=False).encode()


def _movement(text: str, number: int, clock: str) -> Step:
    words = shlex.split(text)
    arrivals = [word.removeprefix("now=") for word in words if word.startswith("now=")]
    arrival = time_of([words[0], *arrivals][-1])
    now = parse_instant(arrival) if clock == "wall" else None
    return Step(movement_line(text, number), now)


def _passing(time: str, number: int, clock: str) -> Step:
    if clock == "wall":
        return Step(None, parse_instant(time), hidden=True)
    told = {
        "id": f"passing-{number}",
        "source": "test",
        "type": "reserve",
        "sku": CLOCK_SKU,
        "location": "nowhere",
        "quantity": 1,
        "reservation": f"passing-{number}",
        "occurred_at": time,
    }
    return Step(json.dumps(told).encode(), None, hidden=True)


def _aspects(
    scenario: Scenario, aspect: str, expected: Any, results: Results
) -> Iterator[tuple[str, Any, Any]]:
    if aspect == "outcomes":
        fed = [step for step in scenario.steps if step.line is not None]
        told = [
            " ".join(word for word in outcome if word)
            for step, outcome in zip(fed, results.outcomes, strict=False)
            if not step.hidden
        ]
        yield aspect, expected, told
    elif aspect == "state":
        for key, wanted in expected.items():
            yield key, wanted, results.state(*key.split("|"))
    elif aspect == "stock":
        for sku, wanted in expected.items():
            yield sku, wanted, results.stock(sku)
    elif aspect == "computed":
        for key, wanted in expected.items():
            yield f"computed {key}", wanted, results.computed(*key.split("|"))
    elif aspect == "publications":
        for channel, wanted in expected.items():
            yield channel, wanted, results.publications[channel]
    elif aspect == "counters":
        yield aspect, expected, results.counters()
    elif aspect == "exceptions":
        only_codes = all(isinstance(wanted, str) for wanted in expected)
        exceptions = results.exceptions
        yield aspect, expected, [one["code"] for one in exceptions] if only_codes else exceptions
    else:
        records = {
            "decisions": results.decisions,
            "postings": results.postings,
            "snapshots": results.snapshots,
        }[aspect]
        yield aspect, expected, [one for one in records if one.get("sku") != CLOCK_SKU]


def _compare(path: str, wanted: Any, actual: Any) -> list[str]:
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        found = []
        for name, value in wanted.items():
            if name not in actual:
                found.append(f"{path}.{name} is missing")
            else:
                found += _compare(f"{path}.{name}", value, actual[name])
        return found
    if isinstance(wanted, list) and isinstance(actual, list):
        if len(wanted) != len(actual):
            return [f"{path}: {len(wanted)} expected, {len(actual)} found: {actual}"]
        found = []
        for index, value in enumerate(wanted):
            found += _compare(f"{path}[{index}]", value, actual[index])
        return found
    if isinstance(wanted, str) and _TIME.fullmatch(wanted):
        wanted = format_instant(parse_instant(time_of(wanted)))
    return [] if wanted == actual else [f"{path}: expected {wanted!r}, found {actual!r}"]
