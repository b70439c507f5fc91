"""The embedded engine: one process, one data folder, files in and files out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.contracts import records
from engine.contracts.outcomes import ObservationOutcome
from engine.core.dead_letters import DeadLetter, exception_name, read_dead_letter
from engine.core.engine import Engine
from engine.core.observing import outcome_of
from engine.core.parts import EVENT
from engine.core.step import Outcome
from engine.embedded.folder import make_lasting, open_for_writing
from engine.embedded.inputs import Position
from engine.embedded.outputs import OutputFiles
from engine.embedded.snapshots import TOPIC as SNAPSHOTS
from engine.embedded.snapshots import snapshot_count, snapshot_lines
from engine.rules.loader import NO_OVERRIDES
from engine.rules.ruleset import RuleSet
from engine.stores.base import StoreReader

RUN = b"N"  # the runtime's own record in the store
DEFAULT_OUT = "out"  # folder inside the data folder
TOPICS = (
    "reservations.decisions",
    "erp.postings",
    SNAPSHOTS,
    "reconciliation.findings",
    "exceptions",
)


class RunRecord(msgspec.Struct, omit_defaults=True):
    """What a start of the runtime needs: how far inputs are read, how long outputs are.

    `lengths` are per output folder, so that a data folder may change where it writes. `rules`,
    `out`, `clock_mode` and `settings` (by dotted name, those given from outside) are what the last
    run was called with. `inputs_ended_at` is where the clock stood when the inputs ended: what is
    pending under the rules of `drained_rules` (their fingerprint) is drained from there on, however
    often the run is interrupted. An output folder inside the data folder is named from there, so
    that both may be moved together.
    """

    positions: dict[str, Position] = {}
    lengths: dict[str, dict[str, int]] = {}
    rules: str = ""
    out: str = ""
    clock_mode: str = ""
    settings: dict[str, str] = {}
    inputs_ended_at: int | None = None
    drained_rules: str = ""


class Committed(NamedTuple):
    """Where the clock and the ticks stood at the last commit; None before the clock runs.

    Other threads may read it: all that was published up to the tick is in the store.
    """

    clock: int | None
    last_tick: int | None


def read_run_record(store: StoreReader) -> RunRecord:
    """Return the runtime's record of a data folder; a new one when it never ran."""
    stored = store.get(RUN)
    return RunRecord() if stored is None else msgspec.msgpack.decode(stored, type=RunRecord)


def _name_of(out: Path, data: Path) -> str:
    """Return the name under which an output folder is remembered."""
    folder, home = out.absolute(), data.absolute()
    return str(folder.relative_to(home) if folder.is_relative_to(home) else folder)


def wall_clock() -> int:
    """Return the time of day as an instant."""
    return time.time_ns() // 1_000


class Runtime:
    """An engine with its store and its output files, and the commits between them.

    With `sync` a commit returns when it has reached the disk, outputs first.

    Raises:
        SellableError: the folder is in use, damaged, or of a later version.
    """

    def __init__(
        self,
        data: Path,
        rules: RuleSet,
        rules_folder: Path,
        clock_mode: str,
        out: Path | None,
        overrides: Mapping[str, str] = NO_OVERRIDES,
        sync: bool = False,
    ) -> None:
        self.data = data
        self._sync = sync
        self.store = open_for_writing(data)
        self.record = read_run_record(self.store)
        folder = out or data / (self.record.out or DEFAULT_OUT)
        self.record.rules = str(rules_folder.absolute())
        self.record.out = _name_of(folder, data)
        self.record.clock_mode = clock_mode
        self.record.settings = dict(overrides)
        self.out = folder
        self.engine = Engine(self.store, rules, clock_mode)
        self.committed = Committed(self.engine.standing.clock, self.engine.standing.last_tick)
        self._beside: dict[bytes, bytes | None] = {}
        self.files = self._open_outputs(folder)
        self.begin_topics()
        self._encode_lines = msgspec.json.Encoder().encode_lines
        if sync:
            make_lasting(data, folder)
        if self.engine.standing.cut is not None:
            self._write_snapshot()

    def _open_outputs(self, folder: Path) -> OutputFiles:
        """Open the output folder; that it is ours is committed before anything is written."""
        name = self.record.out
        known = name in self.record.lengths
        lengths = self.record.lengths.setdefault(name, {})
        files = OutputFiles(folder, lengths if known else None)
        self.store.commit({RUN: msgspec.msgpack.encode(self.record)}, (), ())
        return files

    def begin_topics(self) -> None:
        """Make the files of all topics under the rules in force, empty ones too."""
        self.files.begin(
            [*(f"availability.{channel.name}" for channel in self.engine.rules.channels), *TOPICS]
        )

    def now(self) -> int:
        """Return the instant at which something happens that happens now.

        With the event clock it is where the clock stands; before it runs, the time of day.
        """
        clock = self.engine.clock
        by_event = self.engine.standing.clock_mode == EVENT
        return clock if by_event and clock is not None else wall_clock()

    def catch_up(self) -> None:
        """Do all that is due before the next movement; an event clock does not begin by itself."""
        if self.engine.clock is not None or self.engine.standing.clock_mode != EVENT:
            self.advance(self.now())

    # --- commits -------------------------------------------------------------------------------

    def taken(self, positions: Mapping[str, Position]) -> None:
        """Note how far the inputs are taken; the next commit makes it last."""
        self.record.positions.update(positions)

    def commit(self) -> None:
        """Commit what has changed, and the snapshot if one is due.

        Outputs are appended to their files first; the store then takes the files' new lengths
        with the state in one step. What a kill leaves beyond these lengths is cut off at the start.
        """
        self._commit_once()
        if self.engine.standing.cut is not None:
            self._write_snapshot()

    def beside(self, name: bytes, value: bytes | None) -> None:
        """Put a record of somebody else's into the next commit; None drops it."""
        self._beside[name] = value

    def write_outputs(self) -> None:
        """Append to the files what waits for them, ahead of the commit that it belongs to."""
        for topic, lines in self.engine.take_outputs().items():
            self.files.write(topic, self._encode_lines(lines))
        if self.files.unwritten:
            self.files.flush()

    def _commit_once(self) -> None:
        # Channels wait for the outputs, nobody for the state: outputs are written first.
        self.write_outputs()
        told = self._sync and self.files.unsynced
        if told:
            self.files.flush(sync=True)
        changes = self.engine.collect()
        if self._beside:
            changes.merge(self._beside)
            self._beside = {}
        # How far the clock and the inputs are by themselves is learned again after a power cut.
        sync = self._sync and (told or changes.puts.keys() > {records.META})
        self.record.lengths[self.record.out] = dict(self.files.lengths())
        changes.puts[RUN] = msgspec.msgpack.encode(self.record)
        self.store.commit(changes.puts, changes.deletes, changes.ranges, sync)
        standing = self.engine.standing
        self.committed = Committed(standing.clock, standing.last_tick)

    def _write_snapshot(self) -> None:
        for piece in snapshot_lines(self.engine):
            self.files.write(SNAPSHOTS, piece)
            self.files.flush()
        self.engine.cut_written(snapshot_count(self.engine))
        self._commit_once()

    def advance(self, to: int) -> None:
        """Let the clock reach `to`, committing wherever the engine asks for it."""
        while not self.engine.advance(to):
            self.commit()

    # --- observations --------------------------------------------------------------------------

    def observe(
        self, lines: Sequence[bytes], origin: Callable[[int], str]
    ) -> list[ObservationOutcome]:
        """Take observations of other systems; the next commit makes what came of them last.

        What was due by the clock must have happened: see `catch_up`.
        """
        observed = self.engine.observe(lines, origin)
        if any(one.adjusted is not None for one in observed):
            self.record.inputs_ended_at = None
        return [outcome_of(one, line) for one, line in zip(observed, lines, strict=True)]

    # --- exceptions ----------------------------------------------------------------------------

    def letter(self, exception: str) -> DeadLetter | None:
        """Return a stored exception."""
        stored = self.store.get(exception_name(exception))
        return None if stored is None else read_dead_letter(stored)

    def replay(self, letter: DeadLetter, line: bytes, accept_old: bool, now: str) -> Outcome:
        """Take an exception's mended movement and commit what came of it."""
        self.record.inputs_ended_at = None
        while True:
            outcome = self.engine.replay(letter, line, accept_old, now)
            self.commit()
            if outcome is not None:
                return outcome

    def keep_letter(self, letter: DeadLetter) -> None:
        """Keep an exception as an operator has changed it."""
        self.engine.keep_letter(letter)
        self.commit()

    def close(self) -> None:
        """Close the files and the store; everything was committed."""
        self.files.close()
        self.store.close()
