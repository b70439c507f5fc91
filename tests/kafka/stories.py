"""Streams of movements that happen now, made of the oracle's scenarios and generator."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.oracle import Shape, generate_timed
from tests.oracle.instants import MINUTE, format_instant, parse_instant
from tests.oracle.scenarios import load_scenarios

US_PER_SECOND = 1_000_000
TIME_FIELDS = ("occurred_at", "expires_at")
NAME_FIELDS = ("sku", "reservation")
PLAIN_RULES: dict[str, Any] = {"channels": {"web": {}}}
RULES: dict[str, Any] = {
    "settings": {"publish_tick": "200ms", "erp": {"window": "1s"}, "snapshot": "off"},
    "channels": {
        "web": {"publish": {"low_stock": 3}},
        "market": {"locations": {"types": ["warehouse"]}},
        "click": {"granularity": "location"},
    },
    "rules": [
        {"name": "shelf", "buffer": {"percent": 10, "min": 1}},
        {"name": "share", "when": {"channels": ["market"]}, "share": 80},
        {"name": "cap", "when": {"channels": ["web"], "skus": ["A-1"]}, "cap": 5},
        {
            "name": "not there",
            "when": {"channels": ["web"], "locations": ["store-2"]},
            "exclude": True,
        },
    ],
    "locations": [
        {"location": "wh-east", "type": "warehouse", "region": "", "tags": ""},
        {"location": "wh-west", "type": "warehouse", "region": "", "tags": ""},
        {"location": "store-1", "type": "store", "region": "", "tags": ""},
    ],
}
"""Three kinds of channel, and some rules of each kind of effect that is easily recomputed."""


def of_generator(seed: int, size: int, skus: int) -> list[bytes]:
    """A stream of plausible and nasty movements whose last one occurs about now."""
    shape = Shape(span=2 * MINUTE, jump=0.0)
    names = [f"SKU-{number}" for number in range(skus - 1)] + ["A-1"]
    timed = generate_timed(seed, size, skus=names, channels=tuple(RULES["channels"]), shape=shape)
    shift = now_us() - timed[-1][0]
    return [shifted(line, shift) for _, line in timed]


def of_scenarios() -> list[bytes]:
    """The movements of every scenario, each with SKUs and reservations of its own."""
    lines = []
    for number, scenario in enumerate(load_scenarios()):
        fed = [step.line for step in scenario.steps if step.line is not None and not step.hidden]
        fed = [line for line in fed if line.strip()]
        times = [time for line in fed for time in _times(line)]
        shift = now_us() - max(times) if times else 0
        lines += [shifted(line, shift, f"{number}-") for line in fed]
    return lines


def shifted(line: bytes, shift: int, prefix: str = "") -> bytes:
    """The line with its times moved and its names changed; one that is no object as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict):
        return line
    for name in TIME_FIELDS:
        at = _instant(fields.get(name))
        if at is not None:
            fields[name] = format_instant(at + shift)
    for name in NAME_FIELDS:
        if isinstance(fields.get(name), str) and prefix:
            fields[name] = prefix + fields[name]
    return json.dumps(fields).encode()


def dealt(lines: Sequence[bytes], seed: int, size: int) -> Iterator[tuple[str, list[bytes]]]:
    """The lines in chunks, each on one of the incoming topics."""
    chance = random.Random(seed)
    for start in range(0, len(lines), size):
        topic = chance.choice(("movements.pos", "movements.wms", "reservations"))
        yield topic, list(lines[start : start + size])


def now_us() -> int:
    """The time of day, microseconds since the Unix epoch."""
    return int(time.time() * US_PER_SECOND)


def _times(line: bytes) -> Iterator[int]:
    try:
        fields = json.loads(line)
    except ValueError:
        return
    if isinstance(fields, Mapping):
        at = _instant(fields.get("occurred_at"))
        if at is not None:
            yield at


def _instant(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return parse_instant(text)
    except ValueError:
        return None
