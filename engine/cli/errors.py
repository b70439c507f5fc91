"""Telling an error on stderr: what is wrong, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def wants_json(words: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, whatever else is wrong with it."""
    return "--json" in words


def tell_error(message: str, advice: str, as_json: bool) -> None:
    """Write an error to stderr, as lines for people or as one line of JSON."""
    if as_json:
        print(json.dumps({"error": message, "advice": advice}), file=sys.stderr)
        return
    print(f"error: {message}", file=sys.stderr)
    if advice:
        print(f"  {advice}", file=sys.stderr)
