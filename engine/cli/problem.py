"""The problem that a running engine answers with, in words for a terminal."""

from __future__ import annotations

import msgspec

from engine.cli.printing import counted
from engine.rules.cases import Difference
from engine.rules.mistakes import Mistake


class FailedCase(msgspec.Struct):
    """A case that came out otherwise than expected."""

    name: str
    file: str
    line: int
    differences: list[Difference]


class Problem(msgspec.Struct):
    """What is wrong and how to mend it; of rules every mistake, and every case that failed."""

    detail: str = ""
    advice: str = ""
    mistakes: list[Mistake] = []
    failed: list[FailedCase] = []

    def told(self) -> str:
        """What is wrong, all of it."""
        if self.mistakes:
            head = f"{counted(len(self.mistakes), 'mistake')} in the rules, with what stays there:"
            return "\n".join([head, *(f"  {mistake}" for mistake in self.mistakes)])
        lines = [self.detail]
        for case in self.failed:
            lines.append(f"  {case.name} ({case.file}:{case.line})")
            lines += [f"    {difference}" for difference in case.differences]
        return "\n".join(lines)
