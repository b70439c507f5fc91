"""A story as text: for whoever has to find out why it fails."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from tests.simulation.check import Failure
from tests.simulation.story import Line, NewRules, Rules, Story


def tell(story: Story, failure: Failure) -> Iterator[str]:
    """Yield the lines of a failing story."""
    yield f"seed {story.seed}: {failure.invariant}"
    yield f"  after commit {failure.step}: {failure.message}"
    pace = f"{story.pace.batch} lines a batch, {story.pace.commit} a commit"
    way = "from files" if story.from_files else "one log"
    memory = ", small memory" if story.small_memory else ""
    yield f"  a {story.kind} story by the {story.clock} clock, {way}, {pace}{memory}"
    yield "  rules"
    yield from _indented(story.rules)
    yield "  what comes in"
    for event in story.events:
        if isinstance(event, Line):
            how = f"   <- {event.how}" if event.how else ""
            yield f"    {event.text.decode(errors='backslashreplace')}{how}"
        elif isinstance(event, NewRules):
            yield "    new rules"
            yield from _indented(event.rules, "      ")
        else:
            yield f"    order {dict(event.asked)}"
    yield "  what happens" if story.faults else "  nothing happens to it"
    for fault in story.faults:
        yield f"    at write {fault.at}: {fault.kind} ({fault.place:.3f})"


def _indented(rules: Rules, indent: str = "    ") -> Iterator[str]:
    told = {name: value for name, value in rules.items() if value}
    for line in yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=96).splitlines():
        yield indent + line
