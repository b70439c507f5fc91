"""How a peer in Python tells how far it is; see `running`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

REPORTS = 20


class Progress:
    """Tells twenty times on the way how many movements are done."""

    def __init__(self, movements: int) -> None:
        self._movements = movements
        self._every = max(1, movements // REPORTS)
        self._next = self._every

    def reached(self, done: int) -> None:
        """So many movements are done."""
        if done >= self._next:
            self._next = done - done % self._every + self._every
            say({"at": done})

    def finish(self, rows: Iterable[bytes], path: Path) -> None:
        """All is done and durable: write the final state when told so."""
        say({"done": self._movements})
        if sys.stdin.readline().startswith("d"):
            with path.open("wb") as file:
                file.writelines(rows)
            say({"dumped": True})


def say(what: dict[str, object]) -> None:
    """One line of JSON."""
    print(json.dumps(what), flush=True)
