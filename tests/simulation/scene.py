"""One simulation: lives of the embedded engine, one after the other, to the end of its story."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from engine.contracts import records
from engine.contracts.errors import SellableError
from engine.core.engine import Engine
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.orders import OrderDesk
from engine.embedded.outputs import OutputFiles
from engine.embedded.runtime import RUN, RunRecord, Runtime
from engine.ledger.book import Reader
from engine.rules.loader import load_rules
from engine.rules.ruleset import RuleSet
from tests.oracle import write_rules_folder
from tests.oracle.instants import DAY, HOUR, MINUTE, SECOND
from tests.simulation.faults import (
    CrashError,
    FailingStore,
    FailingSystem,
    Faults,
    SimulatedTime,
)
from tests.simulation.inputs import KEY, SimulatedInputs, Turns
from tests.simulation.journal import Journal, RecordingEngine
from tests.simulation.story import ORDERLESS, RULES_CHANGE, WILD, NewRules, Order, Story

NEVER_SECONDS = 1e9
IDLE_SECONDS = 24 * 3_600.0  # nothing comes by itself: what is waited for is the next due instant
FIRST_FILE_LINES = 50
LONGEST_REWIND = 30  # lines
MOST_LIVES = 200
FORWARD = (SECOND, 5 * MINUTE, 3 * HOUR)
ANYWHERE = (*FORWARD, 40 * HOUR, 10 * DAY, -SECOND, -5 * MINUTE, -3 * HOUR, -40 * HOUR)
JUMPS = {WILD: ANYWHERE, ORDERLESS: FORWARD}

# What the core keeps in memory, so little that it has to read its own records again all the time.
SMALL_MEMORY = {
    "ledger.book.WORKING_RECORDS": 1,
    "ledger.counts.RECENT_LENGTH": 4,
    "ledger.identities.SEAL_AT": 5,
    "ledger.identities.MERGE_AT": 3,
    "ledger.identities.PAGE_LENGTH": 2,
    "core.commit.RESERVATIONS_AT_WORK": 1,
    "core.timeline.FORGET_EVERY": 1,
    "core.timeline.SWEEP_SKUS": 1,
    "core.faces.REMEMBERED_CLASSES": 1,
    "core.faces.REMEMBERED_PLACES": 1,
}

Committed = Callable[[Mapping[bytes, bytes]], None]


class StuckError(Exception):
    """The engine did not come to its end, however often it was started."""


class Watch:
    """Stands in for the watch over the rules folder: tells new rules when their turn has come."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def changed(self) -> RuleSet | None:
        """Return the new rules, once."""
        turn = self.scene.take_turn(NewRules)
        return self.scene.put_rules(turn.rules) if isinstance(turn, NewRules) else None


class Scene:
    """What outlives the process: rules folder, log, store, output files, the time of day.

    `look` is called after every commit of the engine, with what was put. `inputs` is where files
    of lines lie; their names are told in exceptions.
    """

    def __init__(
        self,
        story: Story,
        folder: Path,
        look: Committed = lambda _: None,
        inputs: Path | None = None,
    ) -> None:
        self.story = story
        self.folder = folder
        self.inputs = inputs or folder
        self.look = look
        self.out = folder / "out"
        self.lines = story.lines
        self.turns = Turns(story.events)
        self.faults = Faults(story.faults)
        self.store = FailingStore(self.faults, self._committed)
        start = min((line.arrives for line in self.lines), default=0) - SECOND // 3
        self.time = SimulatedTime(start, JUMPS.get(story.kind, ANYWHERE))
        self.faults.jump = self.time.jump
        self.journal = Journal()
        self.told_of: dict[RuleSet, Mapping[str, Any]] = {}
        self.first_rules = self.rules = self.put_rules(story.rules)
        self.lengths: Mapping[str, int] = {}
        self.lives = 0
        self.halts = 0
        self.answers: list[dict[str, Any]] = []
        self._inputs: SimulatedInputs | Inputs | None = None
        self._files: list[OutputFiles] = []

    # --- lives ---------------------------------------------------------------------------------

    def play(self) -> None:
        """Start the engine again and again until it has come to the end.

        Raises:
            StuckError: it never does.
        """
        while not self._live():
            if self.lives > MOST_LIVES:
                raise StuckError(f"not at its end after {self.lives} starts")
            if self.faults.rewind is not None:
                self._rewind(self.faults.rewind.place)
            self.store.mend()

    def read_all_again(self) -> None:
        """Deliver everything once more, by a way that the engine does not know."""
        self.story = dataclasses.replace(self.story, from_files=not self.story.from_files)
        self.play()

    def _live(self) -> bool:
        """One life of the process; returns whether it came to the end of its inputs."""
        self.lives += 1
        self.faults.begin_life()
        with self._process():
            try:
                self._run()
            except CrashError:
                self.journal.crash()
                return False
            except SellableError:
                if self.faults.failed is None:
                    raise
                self.halts += 1
                self.journal.crash()
                return False
            finally:
                while self._files:
                    self._files.pop().close()
        return True

    def _run(self) -> None:
        runtime = Runtime(
            self.folder, self.rules, self.folder / "rules", self.story.clock, self.out
        )
        with ExitStack() as closing:
            self._inputs = inputs = self._open_inputs(runtime, closing)
            # A stand-in: the loop asks for no more than what it has.
            run(runtime, inputs, self.folder, Job(once=True, stop=Stop()))  # type: ignore[arg-type]

    def _open_inputs(self, runtime: Runtime, closing: ExitStack) -> Inputs | SimulatedInputs:
        saved = runtime.record.positions
        if self.story.from_files:
            files = [str(path) for path in self._files_of_lines()]
            return closing.enter_context(Inputs(files, False, saved))
        time = self.time if self.story.clock == "wall" else None
        return SimulatedInputs(self.lines, self.turns, saved, time)

    def _files_of_lines(self) -> list[Path]:
        paths = [self.inputs / "first.ndjson", self.inputs / "second.ndjson"]
        if not paths[0].exists():
            texts = [line.text + b"\n" for line in self.lines]
            paths[0].write_bytes(b"".join(texts[:FIRST_FILE_LINES]))
            paths[1].write_bytes(b"".join(texts[FIRST_FILE_LINES:]))
        return paths

    def _rewind(self, place: float) -> None:
        """Somebody sets the committed position back: lines are read again."""
        self.faults.rewind = None
        stored = self.store.kept.get(RUN)
        if stored is None:
            return
        record = msgspec.msgpack.decode(stored, type=RunRecord)
        if KEY in record.positions:
            back = record.positions[KEY].line - int(place * LONGEST_REWIND)
            record.positions[KEY] = msgspec.structs.replace(
                record.positions[KEY], line=max(0, back)
            )
            self.store.kept.commit({RUN: msgspec.msgpack.encode(record)})

    # --- what the process finds ----------------------------------------------------------------

    @contextmanager
    def _process(self) -> Iterator[None]:
        """Let the runtime find this machine in place of the real one."""
        pace, time = self.story.pace, self.time
        places: dict[str, object] = {
            "runtime.open_for_writing": lambda _: self.store,
            "runtime.OutputFiles": self._open_files,
            "runtime.Engine": self._make_engine,
            "outputs.os": FailingSystem(self.faults),
            "loop.time": time,
            "loop.wall_clock": time.wall_clock,
            "orders.time": time,
            "orders.wall_clock": time.wall_clock,
            "dead_letter_desk.wall_clock": time.wall_clock,
            "orders.take_orders": self._take_orders,
            "orders.answer": self._answer,
            "orders.LOOK_EVERY_SECONDS": -1.0,
            "loop.RulesWatch": lambda *_, **__: Watch(self),
            "loop.OrderDesk": lambda runtime, watch: OrderDesk(runtime, watch, time.monotonic),
            "loop.BATCH_LINES": pace.batch,
            "loop.LIVE_BATCH_LINES": pace.batch,
            "loop.COMMIT_LINES": pace.commit,
            "loop.WRITE_LINES": max(1, pace.commit // 2),
            "loop.COMMIT_SECONDS": NEVER_SECONDS,
            "loop.IDLE_SECONDS": IDLE_SECONDS,
            "loop.DRAIN_COMMIT_TICKS": pace.drain,
        }
        with ExitStack() as stack:
            for place, stand_in in places.items():
                stack.enter_context(patch(f"engine.embedded.{place}", stand_in))
            stack.enter_context(self.small_memory())
            yield

    @contextmanager
    def small_memory(self) -> Iterator[None]:
        """Let the core keep as little in memory as the story says."""
        with ExitStack() as stack:
            for place, length in SMALL_MEMORY.items() if self.story.small_memory else ():
                stack.enter_context(patch(f"engine.{place}", length))
            yield

    def _open_files(self, folder: Path, committed: Mapping[str, int] | None) -> OutputFiles:
        files = OutputFiles(folder, committed)
        self._files.append(files)
        return files

    def _make_engine(self, reader: Reader, rules: RuleSet, clock: str) -> Engine:
        return RecordingEngine(reader, rules, clock, self.journal.note)

    def take_turn(self, kind: type[NewRules | Order]) -> NewRules | Order | None:
        """Return what is to happen now, if it is of the kind; it then has happened."""
        inputs = self._inputs
        if not isinstance(inputs, SimulatedInputs) or not inputs.turn_is_due:
            return None
        if not isinstance(self.turns.waiting[0][1], kind):
            return None
        return self.turns.waiting.pop(0)[1]

    def put_rules(self, rules: Mapping[str, Any]) -> RuleSet:
        """Write the rules folder, and return what it says."""
        folder = self.folder / "rules"
        for path in folder.glob("*"):
            path.unlink()
        write_rules_folder(rules, folder)
        self.rules = load_rules(folder)
        self.told_of[self.rules] = rules
        return self.rules

    def _take_orders(self, _: Path) -> list[tuple[str, dict[str, Any]]]:
        turn = self.take_turn(Order)
        return [("order", dict(turn.asked))] if isinstance(turn, Order) else []

    def _answer(self, _: Path, name: str, reply: dict[str, Any]) -> None:
        self.answers.append({name: reply})

    # --- after a commit ------------------------------------------------------------------------

    def _committed(self, puts: Mapping[bytes, bytes]) -> None:
        if RUN in puts:
            record = msgspec.msgpack.decode(puts[RUN], type=RunRecord)
            self.lengths = record.lengths.get(record.out, {})
        if records.META in puts:
            self.look(puts)

    def struck(self) -> Counter[str]:
        """Return how often what has happened, in the machine and on the way to it."""
        found = Counter(fault.kind for fault in self.faults.struck)
        found.update(line.how for line in self.lines if line.how)
        turns = [event for event in self.story.events if isinstance(event, NewRules)]
        found[RULES_CHANGE] = len(turns)
        return +found

    def outputs(self) -> dict[str, bytes]:
        """The bytes of every output file that holds any, by topic."""
        found = {path.name: path.read_bytes() for path in sorted(self.out.glob("*.ndjson"))}
        return {name.removesuffix(".ndjson"): data for name, data in found.items() if data}
