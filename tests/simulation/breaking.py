"""Engines, stores and files that are broken on purpose, to show that the simulation notices.

Each is a context in which stories are played. They break at the seams of the engine (what goes in,
what is stored, what is written), so that they break it whatever its inside looks like.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from engine.contracts import records
from engine.contracts.errors import SellableError
from engine.core.changes import Changes
from engine.core.engine import Engine
from engine.core.step import Outcome, Prepared
from engine.embedded import orders
from engine.embedded.inputs_position import Position
from engine.embedded.outputs import OutputFiles, OutputFullError
from engine.embedded.runtime import RUN, RunRecord, Runtime
from engine.ledger.book import Reader
from engine.rules.ruleset import RuleSet
from engine.stores.base import StoreUnreachableError
from tests.simulation import scene
from tests.simulation.faults import FailingStore
from tests.simulation.journal import Call, RecordingEngine

Commit = Callable[[dict[bytes, bytes]], None]
Rewrite = Callable[[str, bytes], bytes]


# --- what goes in ------------------------------------------------------------------------------


@contextmanager
def _lines_as(make_change: Callable[[], Callable[[bytes], bytes]]) -> Iterator[None]:
    """Every line is another one by the time the engine decodes it; each engine has its change."""

    class Broken(RecordingEngine):
        def prepare(self, lines: Sequence[bytes], origin: Callable[[int], str]) -> Prepared:
            change = vars(self).setdefault("change", make_change())
            return super().prepare([change(line) for line in lines], origin)

    with patch.object(scene, "RecordingEngine", Broken):
        yield


@contextmanager
def takes_every_reservation() -> Iterator[None]:
    """A strict reservation is taken whether there is stock or not."""

    def change(line: bytes) -> bytes:
        return line.replace(b'"reserve"', b'"reserve", "policy": "force"')

    with _lines_as(lambda: change):
        yield


@contextmanager
def knows_no_duplicate() -> Iterator[None]:
    """Each delivery counts as a movement of its own."""

    def make_change() -> Callable[[bytes], bytes]:
        number = itertools.count()
        return lambda line: line.replace(b'"id": "', b'"id": "%d-' % next(number), 1)

    with _lines_as(make_change):
        yield


@contextmanager
def goes_by_the_order_of_arrival() -> Iterator[None]:
    """What comes late counts as if it had occurred when the one before it did."""

    def make_change() -> Callable[[bytes], bytes]:
        newest = ""

        def change(line: bytes) -> bytes:
            nonlocal newest
            told = json.loads(line)
            newest = told["occurred_at"] = max(newest, told["occurred_at"])
            return json.dumps(told).encode()

        return change

    with _lines_as(make_change):
        yield


# --- the engine --------------------------------------------------------------------------------


@contextmanager
def _engine_as(broken: type[RecordingEngine]) -> Iterator[None]:
    with patch.object(scene, "RecordingEngine", broken):
        yield


@contextmanager
def posts_with_every_commit() -> Iterator[None]:
    """The posting window closes whenever something is committed."""

    class Broken(RecordingEngine):
        def collect(self) -> Changes:
            Engine.close_windows(self)
            return super().collect()

    with _engine_as(Broken):
        yield


@contextmanager
def leaves_rules_as_they_are() -> Iterator[None]:
    """New rules are read, and not put in force."""

    class Broken(RecordingEngine):
        def change_rules(self, rules: RuleSet) -> None:
            super().change_rules(self.rules)

    with _engine_as(Broken):
        yield


@contextmanager
def follows_a_clock_that_goes_back() -> Iterator[None]:
    """The engine's clock is whatever the wall clock shows."""

    class Broken(RecordingEngine):
        def advance(self, to: int) -> bool:
            done = super().advance(to)
            if self.clock is not None and to < self.clock:
                self.parts.book.clock = to
            return done

    with _engine_as(Broken):
        yield


@contextmanager
def forgets_identities_at_the_start() -> Iterator[None]:
    """What was seen is known as long as the process lives."""

    class Broken(RecordingEngine):
        def __init__(
            self, reader: Reader, rules: RuleSet, clock_mode: str, note: Callable[[Call], None]
        ) -> None:
            super().__init__(reader, rules, clock_mode, note)
            self.parts.identities.recent.clear()

    with _engine_as(Broken):
        yield


@contextmanager
def breaks_in_the_middle() -> Iterator[None]:
    """An assertion of the engine's own fails."""

    class Broken(RecordingEngine):
        def take(self, batch: Prepared, start: int, outcomes: list[Outcome] | None = None) -> int:
            raise AssertionError("more was freed than was reserved")

    with _engine_as(Broken):
        yield


@contextmanager
def works_with_other_rules(**without: None) -> Iterator[None]:
    """The engine does not see what the rules say of some things."""
    real = scene.Scene.put_rules

    def put(self: scene.Scene, rules: Mapping[str, Any]) -> RuleSet:
        real(self, _stripped(rules, frozenset(without)))
        self.told_of[self.rules] = rules
        return self.rules

    with patch.object(scene.Scene, "put_rules", put):
        yield


def _stripped(rules: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    channels = {
        channel: {
            **told,
            "publish": {n: v for n, v in told.get("publish", {}).items() if n not in names},
        }
        for channel, told in rules["channels"].items()
    }
    kept = [rule for rule in rules["rules"] if not names & rule.keys()]
    return {**rules, "channels": channels, "rules": kept}


# --- the store ---------------------------------------------------------------------------------


@contextmanager
def _store_as(change: Callable[[FailingStore, dict[bytes, bytes]], None]) -> Iterator[None]:
    """Every commit puts something else."""

    class Broken(FailingStore):
        def commit(
            self,
            puts: Mapping[bytes, bytes],
            deletes: Any = (),
            ranges: Any = (),
            sync: bool = False,
        ) -> None:
            changed = dict(puts)
            change(self, changed)
            super().commit(changed, deletes, ranges, sync)

    with patch.object(scene, "FailingStore", Broken):
        yield


@contextmanager
def forgets(prefix: bytes) -> Iterator[None]:
    """Records of one kind are kept as they were first written."""

    def change(store: FailingStore, puts: dict[bytes, bytes]) -> None:
        for name in [name for name in puts if name[:1] == prefix]:
            if store.kept.get(name) is not None:
                del puts[name]

    with _store_as(change):
        yield


@contextmanager
def drops(prefix: bytes) -> Iterator[None]:
    """Records of one kind are not kept at all."""

    def change(_: FailingStore, puts: dict[bytes, bytes]) -> None:
        for name in [name for name in puts if name[:1] == prefix]:
            del puts[name]

    with _store_as(change):
        yield


@contextmanager
def brings_back_an_older_record() -> Iterator[None]:
    """Now and then the engine's own record is the one of some commits before."""
    before: list[bytes] = []

    def change(_: FailingStore, puts: dict[bytes, bytes]) -> None:
        if records.META in puts:
            before.append(puts[records.META])
            if len(before) % 5 == 0:
                puts[records.META] = before[-4]

    with _store_as(change):
        yield


@contextmanager
def reads_without_checksums() -> Iterator[None]:
    """A record with a flipped bit is read as it stands."""

    def get(self: FailingStore, key: bytes) -> bytes | None:
        return self.damaged.get(key, self.kept.get(key))

    def scan(
        self: FailingStore, prefix: bytes, start: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self.kept.scan(prefix, start):
            yield key, self.damaged.get(key, value)

    with patch.object(FailingStore, "get", get), patch.object(FailingStore, "scan", scan):
        yield


# --- the runtime and its files -----------------------------------------------------------------


@contextmanager
def _writes_as(rewrite: Rewrite) -> Iterator[None]:
    """Every output says something else."""
    real = OutputFiles.write

    def write(self: OutputFiles, topic: str, data: bytes) -> None:
        real(self, topic, rewrite(topic, data))

    with patch.object(OutputFiles, "write", write):
        yield


@contextmanager
def tells_twice(topic: str) -> Iterator[None]:
    """What is told of a topic is told twice."""
    with _writes_as(lambda name, data: data * 2 if name.startswith(topic) else data):
        yield


@contextmanager
def swallows(topic: str) -> Iterator[None]:
    """The last line of every other write to a topic is lost."""
    writes = itertools.count()

    def rewrite(name: str, data: bytes) -> bytes:
        if name != topic or next(writes) % 2:
            return data
        return b"".join(data.splitlines(keepends=True)[:-1])

    with _writes_as(rewrite):
        yield


@contextmanager
def never_drains() -> Iterator[None]:
    """What is pending when the inputs end stays so."""
    with patch("engine.embedded.loop._drain", lambda *_: None):
        yield


@contextmanager
def forgets_positions() -> Iterator[None]:
    """How far the inputs are read is not kept."""
    with patch.object(Runtime, "taken", lambda *_: None):
        yield


@contextmanager
def commits_positions_first() -> Iterator[None]:
    """How far the inputs are read is committed as soon as they are."""
    real = Runtime.taken

    def taken(self: Runtime, positions: Mapping[str, Position]) -> None:
        real(self, positions)
        self.store.commit({RUN: msgspec.msgpack.encode(self.record)}, (), ())

    with patch.object(Runtime, "taken", taken):
        yield


@contextmanager
def commits_positions_later() -> Iterator[None]:
    """How far the inputs are read is committed after the state that came of it."""

    class Broken(FailingStore):
        def commit(
            self,
            puts: Mapping[bytes, bytes],
            deletes: Any = (),
            ranges: Any = (),
            sync: bool = False,
        ) -> None:
            before = self.kept.get(RUN)
            if before is None or RUN not in puts:
                super().commit(puts, deletes, ranges, sync)
                return
            late = msgspec.msgpack.decode(puts[RUN], type=RunRecord)
            late.positions = msgspec.msgpack.decode(before, type=RunRecord).positions
            state = {**puts, RUN: msgspec.msgpack.encode(late)}
            super().commit(state, deletes, ranges, sync)
            super().commit({RUN: puts[RUN]})

    with patch.object(scene, "FailingStore", Broken):
        yield


@contextmanager
def leaves_what_was_half_written() -> Iterator[None]:
    """At the start the files are taken as they are."""
    real = OutputFiles.__init__

    def begin(self: OutputFiles, folder: Path, committed: Mapping[str, int] | None) -> None:
        found = {path.name: path.stat().st_size for path in folder.glob("*.ndjson")}
        taken = None if committed is None else {
            topic: found.get(f"{topic}.ndjson", 0) for topic in committed
        }  # fmt: skip
        real(self, folder, taken)

    with patch.object(OutputFiles, "__init__", begin):
        yield


@contextmanager
def tries_a_failed_commit_again() -> Iterator[None]:
    """An error of the store is taken for a commit that is not there."""
    real = Runtime.commit

    def commit(self: Runtime) -> None:
        try:
            real(self)
        except StoreUnreachableError:
            real(self)

    with patch.object(Runtime, "commit", commit):
        yield


@contextmanager
def goes_on_with_a_full_disk() -> Iterator[None]:
    """What cannot be written is left out."""
    real = OutputFiles.flush

    def flush(self: OutputFiles, sync: bool = False) -> None:
        try:
            real(self, sync)
        except OutputFullError:
            self._pieces.clear()

    with patch.object(OutputFiles, "flush", flush):
        yield


@contextmanager
def answers_orders_with_every_error() -> Iterator[None]:
    """Whatever fails while an order is carried out becomes its answer."""
    real = orders.carry_out

    def carry_out(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return real(runtime, order)
        except SellableError as error:
            return {"error": error.message}

    with patch.object(orders, "carry_out", carry_out):
        yield
