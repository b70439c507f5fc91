"""The engine over one store, as a runtime sees it.

It is pure: it reads a store but never writes one, has no clock but what it is given, and does no
input or output. Whoever runs it commits what `collect` returns, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from engine.contracts.decisions import Decision
from engine.contracts.exceptions import ExceptionRecord, Refusal
from engine.contracts.movements import Movement
from engine.contracts.records import ReservationRecord
from engine.core import commit, cut, observing, step, timeline
from engine.core.changes import Changes, Output
from engine.core.dead_letters import OBSERVATION, REPLAYED, DeadLetter
from engine.core.figures import Standing
from engine.core.observing import Observed
from engine.core.parts import Parts
from engine.core.step import Foreseen, Outcome, Prepared
from engine.ledger.book import Reader
from engine.rules.model import Channel
from engine.rules.ruleset import RuleSet


class Told(NamedTuple):
    """Records that wait for the commit, in order; both lists grow with every movement."""

    decisions: Sequence[Decision]
    exceptions: Sequence[ExceptionRecord]


class Backlog(NamedTuple):
    """Keys of a channel that are held back, and since when the oldest of them has differed."""

    channel: Channel
    pending: int
    oldest_since: int | None


class HeldBack(NamedTuple):
    """How many keys of a channel are held back, and how many of them by nothing but its rate."""

    channel: Channel
    pending: int
    by_rate: int


class Engine:
    """The core over one store and one rule set.

    `take` and `advance` may stop early; then the caller commits, writes the snapshot if one is
    due (`standing.cut`), and calls again.
    """

    def __init__(self, reader: Reader, rules: RuleSet, clock_mode: str) -> None:
        self.parts = Parts(reader, rules, clock_mode)

    @property
    def standing(self) -> Standing:
        """Where the engine stands: counts, clock, what is due."""
        return self.parts.standing

    @property
    def clock(self) -> int | None:
        """The engine's clock, None before it runs."""
        return self.parts.book.clock if self.parts.running else None

    @property
    def rules(self) -> RuleSet:
        """The rules in force."""
        return self.parts.rules

    def prepare(self, lines: Sequence[bytes], origin: Callable[[int], str]) -> Prepared:
        """Decode a batch of lines."""
        return step.prepare(self.parts, lines, origin)

    def take(self, batch: Prepared, start: int, outcomes: list[Outcome] | None = None) -> int:
        """Take a batch's movements from `start` on; returns the index of the first not taken."""
        return step.take(self.parts, batch, start, outcomes)

    def take_mended(self, batch: Prepared, outcomes: list[Outcome], accept_old: bool) -> None:
        """Take a mended movement whose exception another engine keeps, by the wall clock."""
        step.take(self.parts, batch, 0, outcomes, accept_old)

    def observe(
        self, lines: Sequence[bytes], origin: Callable[[int], str], accept_old: bool = False
    ) -> list[Observed]:
        """Take observations of other systems, once all that is due by the clock has happened."""
        return observing.observe(self.parts, lines, origin, accept_old)

    def observe_mended(self, line: bytes, accept_old: bool) -> Observed:
        """Take a mended observation; one that is refused again changes nothing."""
        return observing.replay(self.parts, line, accept_old)

    def foresee(self, movement: Movement | Refusal) -> Foreseen:
        """Tell what a reserve would come to if it were taken now; nothing is changed."""
        return step.foresee(self.parts, movement)

    def reservation(self, sku: str, name: str) -> ReservationRecord | None:
        """Return a reservation as it stands now, None when it is not remembered."""
        book = self.parts.book
        item = book.sku(sku)
        found = book.reservation(item, name)
        if found is not None or name in item.changed_reservations:
            return found
        # Whoever asks for names that are not there must not fill the memory with them.
        if item.reservations.pop(name, None) is not None:
            item.has_all_reservations = False
        return None

    def told(self) -> Told:
        """Return what was told since the last commit: decisions, exceptions."""
        return Told(self.parts.book.decisions, self.parts.letters.fresh)

    def advance(self, to: int) -> bool:
        """Let the clock reach `to`; False when it stopped early for a commit."""
        return timeline.advance(self.parts, to)

    def look_ahead(self, now: int, begin: Sequence[int], most: int) -> bool:
        """Work out ahead what the next tick will tell, in rounds.

        `begin` is how long before the tick each round begins, microseconds, descending; `most` is
        how many SKUs are looked at. Returns whether more are left to look at.
        """
        last, length = self.standing.last_tick, self.parts.settings.publish_tick
        if last is None or not self.parts.book.dirty:
            return False
        left = last + length - now
        rounds = sum(1 for within in begin if left <= within)
        return rounds > 0 and self.parts.publisher.ahead.look(last + length, rounds, most)

    def check_rules(self, rules: RuleSet) -> None:
        """Check whether other rules could be put in force.

        Raises:
            UsageError: they name more new channels than the data folder can hold.
        """
        self.parts.new_channels(rules)

    def change_rules(self, rules: RuleSet) -> None:
        """Put other rules in force from now on; commit before and after."""
        self.parts.take_rules(rules)
        self.parts.set_boundary()

    def take_outputs(self) -> dict[str, Sequence[Output]]:
        """Return ahead of `collect` what the next commit has for each topic."""
        return commit.take_outputs(self.parts)

    def collect(self) -> Changes:
        """Return all that a commit has to hold, but for outputs that were taken before."""
        return commit.collect(self.parts)

    # --- the end of input ----------------------------------------------------------------------

    def next_publication(self) -> int | None:
        """Return the next tick at which something is published if no more input comes."""
        parts = self.parts
        last = parts.standing.last_tick
        if last is None:
            return None
        tick = last + parts.settings.publish_tick
        # After a rule edge the next tick comes in any case, and looks at everything itself.
        if parts.book.dirty and parts.standing.sweep is None:
            publishes = parts.publisher.settle(tick)
            parts.ticked = True
            if publishes:
                return tick
        return timeline.next_tick(parts, last)

    def next_drained(self, limit: int) -> int | None:
        """Return the tick to which to let the clock go while what is pending is told to the end.

        None when nothing is published any more up to the instant `limit`. What falls due before
        the next publication may bring another one, or none: so the clock goes no further than that
        before it is asked again, and an interruption changes nothing.
        """
        due = self.next_publication()
        if due is None or due > limit:
            return None
        return timeline.next_tick_on_the_way(self.parts)

    def next_due(self) -> int | None:
        """Return the next instant at which anything falls due."""
        return timeline.next_due(self.parts) if self.parts.running else None

    def close_windows(self) -> None:
        """Post what the open posting window holds, and those that are still to come."""
        timeline.close_windows(self.parts)

    def pending(self) -> int:
        """Return how many keys' last publications differ from their values now."""
        return self.parts.publisher.pending_count()

    def backlogs(self) -> list[Backlog]:
        """Return what each channel's limits hold back, in order of the channels."""
        return [
            Backlog(outlet.channel, len(outlet.throttle), outlet.throttle.oldest())
            for outlet in self.parts.publisher.outlets
        ]

    def held_back(self) -> list[HeldBack]:
        """Return how much each channel's limits hold back, at no cost, in order of the channels."""
        return [
            HeldBack(outlet.channel, len(outlet.throttle), outlet.throttle.by_rate())
            for outlet in self.parts.publisher.outlets
        ]

    # --- snapshots and exceptions --------------------------------------------------------------

    def order_snapshot(self) -> None:
        """Ask for a snapshot on the next tick."""
        self.parts.standing.snapshot_ordered = True
        self.parts.boundary = min(self.parts.boundary, self.parts.book.clock)

    def cut_rows(self) -> Iterator[tuple[str | None, cut.Row]]:
        """Yield the rows of the snapshot that is due, by channel, None for the ledger."""
        return cut.cut_rows(self.parts)

    def cut_written(self, snapshots: int) -> None:
        """Note that the snapshot that was due is written."""
        timeline.cut_written(self.parts, snapshots)

    def replay(
        self, letter: DeadLetter, line: bytes, accept_old: bool, now: str | None
    ) -> Outcome | None:
        """Take an exception's mended line; None when a commit has to come first.

        What is refused again changes nothing, and the exception stays as it is.
        """
        outcome: Outcome | None
        if letter.about == OBSERVATION:
            observed = self.observe_mended(line, accept_old)
            outcome = Outcome(observed.outcome, observed.refusal)
        else:
            outcome = step.replay(self.parts, letter.record.exception, line, accept_old)
        if outcome is not None and not isinstance(outcome.refusal, Refusal):
            letter.status = REPLAYED
            letter.changed_at = now
            letter.note = outcome.outcome
            self.parts.letters.keep(letter)
        return outcome

    def keep_letter(self, letter: DeadLetter) -> None:
        """Keep an exception as an operator has changed it."""
        self.parts.letters.keep(letter)
