"""The parts of an engine and how they take up a stored state and a rule set."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from engine.contracts import records
from engine.contracts.errors import UsageError
from engine.contracts.findings import Finding
from engine.contracts.movements import MovementDecoder
from engine.contracts.postings import Posting
from engine.core.dead_letters import DeadLetters
from engine.core.figures import BucketState, Standing, Sweep
from engine.core.publisher import Publisher
from engine.core.sums import Sums
from engine.ledger.book import Book, Reader, Sku, Windows
from engine.ledger.identities import Identities
from engine.postings.window import Window
from engine.reconciliation.settled import Settled
from engine.rules.model import DEFAULT_TIMEZONE
from engine.rules.ruleset import RuleSet

EVENT, WALL = "event", "wall"
NOT_YET = (0, 0)  # windows of an engine that has none yet
MAX_CHANNELS = 255  # over a data folder's whole history: one byte names a channel in the store


class Parts:
    """What works together on one store; the functions of the core act on it.

    `boundary` is an instant before which nothing can fall due. `ticked` tells that the record of
    dirty SKUs is out of date, `window_closed` that the posting window's is.
    """

    def __init__(self, reader: Reader, rules: RuleSet, clock_mode: str) -> None:
        self.reader = reader
        stored = reader.get(records.META)
        self.standing = Standing() if stored is None else _read_standing(stored)
        self.standing.clock_mode = clock_mode
        self.rules = rules
        self.settings = rules.settings
        self.slots: dict[str, int] = {}
        self.book = Book(reader, self._windows(), self._available, self.slots)
        self.letters = DeadLetters(self.standing.exception_number)
        self.identities = Identities(reader, self.settings.dedupe_window)
        self.window = Window(self.settings.erp_window, self._timezone_of)
        self.boundary = records.NEVER
        self.ticked = False
        self.window_closed = False
        self.next_edge: int | None = None
        self.forgotten: list[bytes] = []
        self.postings: list[Posting] = []
        self.findings: list[Finding] = []
        self.settled = Settled(reader)
        self._publisher: Publisher | None = None
        self._load()

    @property
    def publisher(self) -> Publisher:
        """What publishes under the rules in force."""
        assert self._publisher is not None, "rules are taken before anything is published"
        return self._publisher

    @property
    def running(self) -> bool:
        """Whether the clock runs."""
        return self.standing.clock is not None

    def _load(self) -> None:
        book = self.book
        self.identities.load()
        book.load_expiries()
        if self.standing.clock is not None:
            book.clock = self.standing.clock
        self.take_rules(self.rules)
        for _, stored in self.reader.scan(records.DIRTY):
            for name in msgspec.msgpack.decode(stored, type=list[str]):
                sku = book.sku(name)
                sku.dirty = True
                book.dirty.append(sku)
        book.dirty_saved = len(book.dirty)
        self.window.restore([stored for _, stored in self.reader.scan(records.WINDOW)])
        self.set_boundary()

    def take_rules(self, rules: RuleSet) -> None:
        """Put a rule set in force; when it is another than the last one, look at every SKU anew.

        Raises:
            UsageError: the data folder has seen more channels than one byte can name.
        """
        new = self.new_channels(rules)
        standing = self.standing
        self.save_buckets()
        self.rules = rules
        self.settings = rules.settings
        standing.channels.extend(new)
        if standing.tick != self.settings.publish_tick:
            self._use_tick(self.settings.publish_tick)
        self.slots.clear()
        self.slots.update({name: slot for slot, name in enumerate(standing.channels)})
        self.decoder = MovementDecoder([channel.name for channel in rules.channels])
        self._use_windows()
        self.window.forget_zones()
        if self.window.start is None:
            self.window.length = self.settings.erp_window
        order = [channel.name for channel in rules.channels]
        if (rules.fingerprint, order) != (standing.fingerprint, standing.order):
            standing.fingerprint, standing.order = rules.fingerprint, order
            self.begin_epoch(standing.clock)
        else:
            self.use_plan()

    def new_channels(self, rules: RuleSet) -> list[str]:
        """Return the names of channels that were never seen before.

        Raises:
            UsageError: with them the data folder has seen more than one byte can name.
        """
        return unseen_channels(self.standing.channels, rules)

    def _use_tick(self, tick: int) -> None:
        """Let ticks have another length; those of it that the clock has reached have passed."""
        standing = self.standing
        standing.tick = tick
        if standing.last_tick is not None and standing.clock is not None:
            standing.last_tick = standing.clock - standing.clock % tick

    def _use_windows(self) -> None:
        """Remember for the windows in force; what a shorter one has let go does not come back."""
        standing, settings, book = self.standing, self.settings, self.book
        before = standing.count_window, standing.dedupe_window
        now = settings.count_window, settings.dedupe_window
        if before != now:
            if self.running and before != NOT_YET:
                standing.counts_from = max(standing.counts_from, book.clock - before[0])
                standing.identities_from = max(standing.identities_from, book.clock - before[1])
            standing.count_window, standing.dedupe_window = now
        book.windows = self._windows()
        self.identities.window = settings.dedupe_window

    def _windows(self) -> Windows:
        settings, standing = self.settings, self.standing
        return Windows(
            settings.count_window,
            settings.reservation_window,
            settings.dedupe_window,
            standing.counts_from,
            standing.identities_from,
        )

    def begin_epoch(self, instant: int | None) -> None:
        """Number the rules in force from the instant, and begin to look at every SKU again."""
        standing = self.standing
        standing.epoch += 1
        standing.rules_from = instant
        if instant is not None:
            standing.sweep = Sweep(records.SKU, instant)
        self.book.forget_unknown()
        self.save_buckets()
        self.use_plan()

    def use_plan(self) -> None:
        """Set up what follows from the rules in force since `standing.rules_from`."""
        standing, book = self.standing, self.book
        instant = standing.rules_from
        plan = self.rules.at(records.NEVER if instant is None else instant)
        book.epoch = standing.epoch
        book.channel_count = len(self.rules.channels)
        self.sums = Sums(self.rules, plan, standing.epoch, self.slots)
        self.next_edge = next(
            (edge for edge in self.rules.edges if instant is not None and edge > instant), None
        )
        previous = self._publisher
        self._publisher = Publisher(book, self.sums, self.slots, self.settings.publish_tick)
        if previous is not None:
            self.publisher.take_over(previous)
        for outlet in self.publisher.outlets:
            saved, bucket = standing.buckets.get(outlet.channel.name), outlet.throttle.bucket
            if saved is not None and bucket is not None:
                bucket.restore(saved.tokens, saved.filled_at)
        self.publisher.restore(self.reader, standing.last_tick)

    def save_buckets(self) -> None:
        """Note where the channels' rates stand."""
        if self._publisher is None:
            return
        for outlet in self._publisher.outlets:
            bucket = outlet.throttle.bucket
            if bucket is not None and bucket.filled_at is not None:
                state = BucketState(bucket.tokens, bucket.filled_at)
                self.standing.buckets[outlet.channel.name] = state

    def set_boundary(self) -> None:
        """Find an instant before which nothing can fall due."""
        standing = self.standing
        if standing.last_tick is None:
            self.boundary = records.NEVER
            return
        clock, length = self.book.clock, self.window.length
        boundary = min(
            standing.last_tick + self.settings.publish_tick, clock - clock % length + length
        )
        if self.book.expiries.next is not None:
            boundary = min(boundary, self.book.expiries.next)
        if self.next_edge is not None:
            boundary = min(boundary, self.next_edge)
        if self.window.end is not None:
            # Due at the clock's own instant still, when the edge at it asked for a commit first.
            boundary = min(boundary, self.window.end)
        self.boundary = boundary

    def _available(self, sku: Sku, location: str | None, channel: str | None) -> int:
        return self.sums.available(self.book, sku, location, channel)

    def _timezone_of(self, location: str) -> str | None:
        timezone = self.rules.catalogue.location(location).timezone
        return None if timezone == DEFAULT_TIMEZONE else timezone


def _read_standing(stored: bytes) -> Standing:
    return msgspec.msgpack.decode(stored, type=Standing)


def unseen_channels(seen: Collection[str], rules: RuleSet) -> list[str]:
    """The names of channels that were never seen before.

    Raises:
        UsageError: with them the data folder has seen more than one byte can name.
    """
    new = [channel.name for channel in rules.channels if channel.name not in seen]
    if len(seen) + len(new) > MAX_CHANNELS:
        raise UsageError(
            f"with these rules the data folder would have seen {len(seen) + len(new)} "
            f"channels, more than the {MAX_CHANNELS} that it can hold",
            "Start a new data folder, or give retired channels' names back to use.",
        )
    return new
