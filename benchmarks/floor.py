"""The floor: what it costs only to decode the same lines, by the fastest decoder there is here.

Run in a process of its own, as the engine is: `python -m benchmarks.floor FILE`. Prints one line of
JSON: lines, refused lines and CPU microseconds a line, the best of three rounds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import msgspec

ROUNDS = 3
MICROSECONDS = 1e6


class Line(msgspec.Struct, gc=False):
    """The fields of a movement, typed as they come and checked no further."""

    id: str
    source: str
    type: str
    sku: str
    occurred_at: str
    location: str | None = None
    quantity: int | None = None
    disposition: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    to_location: str | None = None
    from_location: str | None = None
    reservation: str | None = None
    channel: str | None = None
    policy: str | None = None
    allow_partial: bool | None = None
    expires_at: str | None = None
    reason: str | None = None
    reference: str | None = None
    correlation_id: str | None = None
    schema: int | None = None


def measure(lines: list[bytes]) -> tuple[float, int]:
    """Decodes the lines; returns CPU microseconds a line and how many could not be decoded."""
    decode = msgspec.json.Decoder(Line).decode
    best = float("inf")
    refused = 0
    for _ in range(ROUNDS):
        refused = 0
        started = time.process_time()
        for line in lines:
            try:
                decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                refused += 1
        best = min(best, time.process_time() - started)
    return best / len(lines) * MICROSECONDS, refused


def main() -> None:
    """Measures the file named by the first argument."""
    lines = Path(sys.argv[1]).read_bytes().splitlines()
    microseconds, refused = measure(lines)
    print(json.dumps({"lines": len(lines), "refused": refused, "us_per_line": microseconds}))


if __name__ == "__main__":
    main()
