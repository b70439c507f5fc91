"""Cutting a failing story shorter, as long as the same invariant fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from engine.rules.mistakes import RulesError
from tests.simulation.check import Failure, failure_of
from tests.simulation.story import Pace, Rules, Story

MOST_PLAYS = 600
PARTS_OF_RULES = ("rules", "locations", "items")

Item = TypeVar("Item")


class Shrinker:
    """Tries shorter stories, one after the other, at most `most` of them."""

    def __init__(self, story: Story, failure: Failure, most: int = MOST_PLAYS) -> None:
        self.story = story
        self.failure = failure
        self.left = most

    def shrink(self) -> tuple[Story, Failure]:
        """Return the shortest story found, and how it fails."""
        before = None
        while before != self.story and self.left > 0:
            before = self.story
            self._shorten(
                self.story.faults, lambda kept: dataclasses.replace(self.story, faults=kept)
            )
            self._shorten(
                self.story.events, lambda kept: dataclasses.replace(self.story, events=kept)
            )
            self._simplify_rules()
            self._slow_down()
        return self.story, self.failure

    def _try(self, story: Story) -> bool:
        """Take the story if it fails like the one at hand."""
        if self.left <= 0:
            return False
        self.left -= 1
        try:
            failure = failure_of(story)
        except RulesError:
            return False
        if failure is None or failure.invariant != self.failure.invariant:
            return False
        self.story, self.failure = story, failure
        return True

    def _shorten(
        self, items: tuple[Item, ...], told_with: Callable[[tuple[Item, ...]], Story]
    ) -> None:
        """Leave out runs of items, long ones first."""
        length = len(items)
        while length:
            start = 0
            while start < len(items):
                kept = (*items[:start], *items[start + length :])
                if self._try(told_with(kept)):
                    items = kept
                else:
                    start += length
            length //= 2

    def _simplify_rules(self) -> None:
        for simpler in _simpler_rules(self.story.rules):
            self._try(dataclasses.replace(self.story, rules=simpler(self.story.rules)))

    def _slow_down(self) -> None:
        """One line at a time is easier to follow."""
        for pace in (Pace(1, 1, 1), dataclasses.replace(self.story.pace, commit=1)):
            if self.story.pace not in (pace, Pace(1, 1, 1)):
                self._try(dataclasses.replace(self.story, pace=pace))


def _simpler_rules(rules: Rules) -> Iterator[Callable[[Rules], Rules]]:
    """Yield ways to leave out one thing each, to be applied to what is left by then."""
    for part in PARTS_OF_RULES:
        for item in rules.get(part) or ():
            yield lambda told, part=part, item=item: {  # type: ignore[misc]
                **told,
                part: [each for each in told.get(part) or () if each != item],
            }
    for part in ("settings", "channels"):
        for name in rules.get(part) or {}:
            yield lambda told, part=part, name=name: _without(told, part, name)  # type: ignore[misc]
    for channel, told_of in rules["channels"].items():
        for name in told_of.get("publish") or {}:
            yield lambda told, at=channel, name=name: _without_limit(told, at, name)  # type: ignore[misc]


def _without(told: Rules, part: str, name: str) -> dict[str, Any]:
    return {**told, part: {key: value for key, value in told[part].items() if key != name}}


def _without_limit(told: Rules, channel: str, name: str) -> Rules:
    given = told["channels"].get(channel)
    if given is None:
        return told
    publish = {key: value for key, value in (given.get("publish") or {}).items() if key != name}
    return {**told, "channels": {**told["channels"], channel: {**given, "publish": publish}}}
