"""What the engine was asked to do, commit by commit, and engines that do the same again.

The journal is the log of the embedded engine: whatever it is given, by movements, time, rules and
orders, in the order in which it took effect. What a crash undid is not in it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from engine.core.changes import Changes
from engine.core.dead_letters import DeadLetter
from engine.core.engine import Engine
from engine.core.step import Outcome, Prepared
from engine.embedded.snapshots import TOPIC as SNAPSHOTS
from engine.embedded.snapshots import snapshot_lines
from engine.ledger.book import Reader
from engine.rules.ruleset import RuleSet
from engine.stores.memory import MemoryStore


class Took(NamedTuple):
    """Lines that were taken, what became of each, and where each came from.

    When the engine stopped before the end there is one line more than outcomes: the one that it
    stopped at.
    """

    lines: Sequence[bytes]
    outcomes: Sequence[Outcome]
    origins: Sequence[str]


class Advanced(NamedTuple):
    """The clock was let go on."""

    to: int


class Ruled(NamedTuple):
    """Rules were put in force, by an order or by a start."""

    rules: RuleSet


class Replayed(NamedTuple):
    """A mended movement was taken."""

    letter: DeadLetter
    line: bytes
    accept_old: bool
    now: str | None


class Kept(NamedTuple):
    """An exception was kept as an operator has changed it."""

    letter: DeadLetter


class Asked(NamedTuple):
    """A step without arguments: its name."""

    name: str


class Cut(NamedTuple):
    """A snapshot was written."""

    snapshots: int


Call = Took | Advanced | Ruled | Replayed | Kept | Asked | Cut

COLLECT = "collect"
SETTLE = "next_publication"
CLOSE_WINDOWS = "close_windows"
ORDER_SNAPSHOT = "order_snapshot"


class RecordingEngine(Engine):
    """An engine that writes down what it is asked to do."""

    def __init__(
        self, reader: Reader, rules: RuleSet, clock_mode: str, note: Callable[[Call], None]
    ) -> None:
        super().__init__(reader, rules, clock_mode)
        self._note = note
        note(Ruled(rules))

    def take(self, batch: Prepared, start: int, outcomes: list[Outcome] | None = None) -> int:
        told: list[Outcome] = []
        end = super().take(batch, start, told)
        seen = min(end + 1, len(batch.lines))
        origins = [batch.origin(index) for index in range(start, seen)]
        self._note(Took(batch.lines[start:seen], told, origins))
        if outcomes is not None:
            outcomes.extend(told)
        return end

    def advance(self, to: int) -> bool:
        self._note(Advanced(to))
        return super().advance(to)

    def change_rules(self, rules: RuleSet) -> None:
        super().change_rules(rules)
        self._note(Ruled(rules))

    def replay(
        self, letter: DeadLetter, line: bytes, accept_old: bool, now: str | None
    ) -> Outcome | None:
        self._note(Replayed(copy.deepcopy(letter), line, accept_old, now))
        return super().replay(letter, line, accept_old, now)

    def keep_letter(self, letter: DeadLetter) -> None:
        self._note(Kept(copy.deepcopy(letter)))
        super().keep_letter(letter)

    def next_publication(self) -> int | None:
        self._note(Asked(SETTLE))
        return super().next_publication()

    def close_windows(self) -> None:
        self._note(Asked(CLOSE_WINDOWS))
        super().close_windows()

    def order_snapshot(self) -> None:
        self._note(Asked(ORDER_SNAPSHOT))
        super().order_snapshot()

    def cut_written(self, snapshots: int) -> None:
        self._note(Cut(snapshots))
        super().cut_written(snapshots)

    def collect(self) -> Changes:
        self._note(Asked(COLLECT))
        return super().collect()


class Journal:
    """Collects calls; a commit makes them last, a crash forgets them."""

    def __init__(self) -> None:
        self.committed: list[Call] = []
        self._open: list[Call] = []

    def note(self, call: Call) -> None:
        """Write down a call."""
        self._open.append(call)

    def commit(self) -> list[Call]:
        """Let what was written down last, and return it."""
        calls, self._open = self._open, []
        self.committed += calls
        return calls

    def crash(self) -> None:
        """Forget what was not committed."""
        self._open = []


class Player:
    """An engine that lives through a journal without an interruption, and what it tells.

    With `as_written` it commits where the journal does; else only where it has to, and it takes
    the lines one by one.
    """

    def __init__(self, rules: RuleSet, clock: str, as_written: bool) -> None:
        self.store = MemoryStore()
        self.rules = rules
        self.engine = Engine(self.store, rules, clock)
        self.has_begun = False
        self._clock = clock
        self.told: dict[str, bytearray] = {}
        self.disagreement: str | None = None
        self._as_written = as_written
        self._has_to_commit = False
        self._encode_lines = msgspec.json.Encoder().encode_lines

    def play(self, calls: Iterable[Call]) -> None:
        """Do what the calls say; the first is the start of an engine."""
        for call in calls:
            self._play(call)
            self.has_begun = True

    def commit(self) -> None:
        """Commit what has changed."""
        changes = self.engine.collect()
        for topic, lines in changes.outputs.items():
            self._tell(topic, self._encode_lines(lines))
        self.store.commit(changes.puts, changes.deletes, changes.ranges)
        self._has_to_commit = False

    def _tell(self, topic: str, data: bytes) -> None:
        self.told.setdefault(topic, bytearray()).extend(data)

    def _play(self, call: Call) -> None:
        match call:
            case Asked(name):
                self._ask(name)
            case Took():
                self._take(call)
            case Advanced(to):
                self._has_to_commit |= not self.engine.advance(to)
            case Ruled(rules):
                self._rule(rules)
            case Replayed(letter, line, accept_old, now):
                outcome = self.engine.replay(copy.deepcopy(letter), line, accept_old, now)
                self._has_to_commit |= outcome is None
            case Kept(letter):
                self.engine.keep_letter(copy.deepcopy(letter))
            case Cut(snapshots):
                self._tell(SNAPSHOTS, b"".join(snapshot_lines(self.engine)))
                self.engine.cut_written(snapshots)

    def _ask(self, name: str) -> None:
        if name == COLLECT:
            if self._as_written or self._has_to_commit:
                self.commit()
        elif name == SETTLE:
            self.engine.next_publication()
        elif name == CLOSE_WINDOWS:
            self.engine.close_windows()
        else:
            assert name == ORDER_SNAPSHOT
            self.engine.order_snapshot()

    def _rule(self, rules: RuleSet) -> None:
        before, self.rules = self.rules, rules
        if not self.has_begun:
            # The rules may have changed before anything was committed.
            self.engine = Engine(self.store, rules, self._clock)
        elif rules is not before:
            if not self._as_written:
                self.commit()
            self.engine.change_rules(rules)
            if not self._as_written:
                self.commit()

    def _take(self, call: Took) -> None:
        outcomes: list[Outcome] = []
        if self._as_written:
            batch = self.engine.prepare(call.lines, lambda index: call.origins[index])
            self.engine.take(batch, 0, outcomes)
        else:
            for line, origin in zip(call.lines, call.origins, strict=True):
                batch = self.engine.prepare([line], lambda _, at=origin: at)  # type: ignore[misc]
                self.engine.take(batch, 0, outcomes)
        self._has_to_commit |= len(outcomes) < len(call.lines)
        if [told.outcome for told in outcomes] != [told.outcome for told in call.outcomes]:
            self.disagreement = f"{call.lines}: {call.outcomes} became {outcomes}"
