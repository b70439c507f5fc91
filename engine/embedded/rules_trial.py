"""Trying other rules on live stock beside a running engine, without holding it up."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from engine.contracts.errors import NotFoundError
from engine.embedded.counter import OverloadedError, stopping
from engine.embedded.looking import Looking
from engine.embedded.rules_desk import RulesConflictError
from engine.embedded.what_if import WhatIf, rules_in_force, tally, told, what_if
from engine.rules.checking import CheckedFolder, check_folder
from engine.rules.replacing import assemble, settled
from engine.rules.ruleset import RuleSet

WORK_SECONDS: Final = 0.005
REST_SECONDS: Final = 0.01
"""Trying rests longer than it works, since the engine and the lookups share one interpreter with
it: under full load they lose some third of their time to it."""

_Each = TypeVar("_Each")


class TrialBusyError(OverloadedError):
    """Other rules are being tried just now, and that is enough beside a running engine."""

    retry_after_seconds = 5


class TrialWanted(NamedTuple):
    """What somebody wants to try: files of a rules folder; on one channel, or on all (None)."""

    files: Mapping[str, bytes]
    channel: str | None
    limit: int


class Tried(NamedTuple):
    """What would change, and what was found when the rules were checked."""

    told: WhatIf
    checked: CheckedFolder


class RulesTrial:
    """Tries rules for one caller at a time, on a thread that the caller brings."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._ended = threading.Event()

    def run(self, looking: Looking, wanted: TrialWanted) -> Tried:
        """Compare what every key is with what it would be, on the stock as of one moment.

        Raises:
            RulesError: the rules have mistakes.
            RulesConflictError: what stays of the rules folder cannot be read.
            NotFoundError: neither the rules in force nor these have the channel.
            TrialBusyError: others are being tried.
            NotServingError: the engine is ending.
        """
        if not self._one.acquire(blocking=False):
            raise busy_trying()
        try:
            return self._run(looking, wanted)
        finally:
            self._one.release()

    def end(self) -> None:
        """Try nothing any more, and wait until what is tried is left."""
        self._ended.set()
        with self._one:
            pass

    def _run(self, looking: Looking, wanted: TrialWanted) -> Tried:
        record = looking.runtime.record
        checked = check_given(wanted.files, Path(record.rules), record.settings)
        last = looking.runtime.engine.rules.copy()
        then = checked.rules
        check_channel(wanted.channel, last, then)
        with looking.view() as view:
            now = rules_in_force(view, last)
            compared = self._in_turns(what_if(view, now, then))
            found = tally(compared, wanted.channel, wanted.limit)
            standing = view.standing
        answer = told(found, then, standing.fingerprint, standing.clock, now is None)
        return Tried(answer, checked)

    def _in_turns(self, items: Iterable[_Each]) -> Iterator[_Each]:
        """The items, with rests between them."""
        rest_at = time.monotonic() + WORK_SECONDS
        for each in items:
            if time.monotonic() >= rest_at:
                if self._ended.wait(REST_SECONDS):
                    raise stopping()
                rest_at = time.monotonic() + WORK_SECONDS
            yield each


def check_given(
    files: Mapping[str, bytes], folder: Path, overrides: Mapping[str, str]
) -> CheckedFolder:
    """Check files of a rules folder together with what would stay of another one.

    Raises:
        RulesError: there are mistakes.
        RulesConflictError: what would stay cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="sellable-rules-") as temporary:
        into = Path(temporary)
        try:
            assemble(files, settled(folder), into)
        except OSError as error:
            raise RulesConflictError(
                f"what stays of the rules folder {folder} cannot be read: {error.strerror}",
                "Mend it there, or send those files as well.",
            ) from error
        return check_folder(into, overrides)


def check_channel(name: str | None, now: RuleSet, then: RuleSet) -> None:
    """Check that a channel is there before or after.

    Raises:
        NotFoundError: it is not.
    """
    if name is None or now.channel(name) or then.channel(name):
        return
    known = sorted({channel.name for rules in (now, then) for channel in rules.channels})
    raise NotFoundError(f"there is no channel {name}", f"The channels are {', '.join(known)}.")


def busy_trying() -> TrialBusyError:
    """The error for whoever comes while others are being tried."""
    return TrialBusyError(
        "other rules are being tried on live stock just now",
        "Send the same again after the time that Retry-After tells.",
    )
