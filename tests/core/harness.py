"""Drives the core over a store in memory, with batches cut and engines restarted at random.

The results have the shape that the oracle's have, so that both can be compared.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts.outcomes import ObservationOutcome
from engine.core.engine import Engine
from engine.core.observing import outcome_of
from engine.core.step import Outcome
from engine.embedded.view import View
from engine.rules.loader import load_rules
from engine.stores.memory import MemoryStore
from tests.oracle import write_rules_folder

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass
class EngineRun:
    """One run of the core.

    `chance` decides where batches are cut, engines restarted, and ticks looked ahead to.
    """

    folder: Path
    clock: str = "event"
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    restarts: float = 0.0
    looks_ahead: float = 0.4
    longest_batch: int = 7

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.rules = load_rules(self.folder)
        self.engine = Engine(self.store, self.rules, self.clock)
        self.topics: dict[str, list[dict[str, Any]]] = {}
        self.raw_outcomes: list[Outcome] = []
        self.snapshots: list[dict[str, Any]] = []
        self.taken = self.observed = 0

    # --- driving -------------------------------------------------------------------------------

    def feed_all(self, lines: Sequence[bytes]) -> None:
        """Feed lines by the event clock, in batches of random lengths."""
        lines = [line.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n") for line in lines]
        lines = [line for line in lines if line.strip()]
        while lines:
            length = self.chance.randint(1, self.longest_batch)
            self._take(lines[:length])
            lines = lines[length:]

    def feed(self, line: bytes, now: int | None = None) -> None:
        """Feed one line, with the wall clock at `now`."""
        if now is not None:
            self.advance(now)
        self.feed_all([line])

    def advance(self, now: int) -> None:
        """Let time pass."""
        while not self.engine.advance(now):
            self._commit()
        self._commit()

    def finish(self) -> None:
        """End the input: drain, post, commit."""
        clock = self.engine.clock
        if clock is not None:
            limit = clock + self.rules.settings.drain
            while (tick := self.engine.next_drained(limit)) is not None:
                # A kill comes at any commit; then it is asked for the way again.
                killed = not self.engine.advance(tick) and self.chance.random() < 0.3
                self._commit()
                if not killed:
                    self.advance(tick)
        self.engine.close_windows()
        self._commit()

    def change_rules(self, rules: Mapping[str, Any]) -> None:
        """Put other rules in force, as a running engine does when the files have changed."""
        self._commit()
        write_rules_folder(rules, self.folder)
        self.rules = load_rules(self.folder)
        self.engine.change_rules(self.rules)
        self._commit()

    def restart(self, rules: Mapping[str, Any] | None = None) -> None:
        """Start another engine on the store, under other rules if some are given."""
        self._commit()
        if rules is not None:
            write_rules_folder(rules, self.folder)
            self.rules = load_rules(self.folder)
        self.engine = Engine(self.store, self.rules, self.clock)

    def replay(self, exception: str, line: bytes, accept_old: bool = False) -> Outcome:
        """Replay a mended movement, with the commits that it asks for."""
        letter = self.view().exception(exception)
        while True:
            outcome = self.engine.replay(letter, line, accept_old, "2026-11-21T00:00:00Z")
            self._commit()
            if outcome is not None:
                return outcome

    def observe(self, *lines: bytes, now: int | None = None) -> list[ObservationOutcome]:
        """Take observations, with the wall clock at `now`."""
        if now is not None:
            self.advance(now)
        elif self.engine.clock is not None:
            self.advance(self.engine.clock)
        first, self.observed = self.observed, self.observed + len(lines)
        observed = self.engine.observe(lines, lambda index: f"observed:{first + index}")
        self.raw_outcomes += [one.adjusted.outcome for one in observed if one.adjusted]
        self._commit()
        return [outcome_of(one, line) for one, line in zip(observed, lines, strict=True)]

    def _take(self, lines: Sequence[bytes]) -> None:
        done, first = 0, self.taken
        self.taken += len(lines)
        while done < len(lines):
            batch = self.engine.prepare(lines, lambda index: f"test:{first + index}")
            done = self.engine.take(batch, done, self.raw_outcomes)
            self._commit()
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Work out a part of the next tick ahead, as a runtime does when it has the time."""
        engine = self.engine
        if engine.clock is not None and self.chance.random() < self.looks_ahead:
            tick = engine.rules.settings.publish_tick
            begin = (tick, tick // 2, tick // 4)
            engine.look_ahead(engine.clock, begin, most=self.chance.randint(1, 3))

    def _commit(self) -> None:
        # A runtime writes the outputs before it gathers the state.
        outputs = self.engine.take_outputs()
        changes = self.engine.collect()
        assert not changes.outputs, "nothing is told twice"
        for topic, records in outputs.items():
            told = [msgspec.json.decode(msgspec.json.encode(record)) for record in records]
            self.topics.setdefault(topic, []).extend(told)
        self.store.commit(changes.puts, changes.deletes, changes.ranges)
        if self.chance.random() < self.restarts:
            self.engine = Engine(self.store, self.rules, self.clock)
        if self.engine.standing.cut is not None:
            self._cut()

    def _cut(self) -> None:
        from engine.contracts.instants import format_instant

        taken_at = format_instant(self.engine.standing.cut or 0)
        names: list[str | None] = [channel.name for channel in self.rules.channels]
        rows: dict[str | None, list[Any]] = {name: [] for name in [*names, None]}
        for channel, row in self.engine.cut_rows():
            rows[channel].append(msgspec.json.decode(msgspec.json.encode(row)))
        for name, told in rows.items():
            self.snapshots.append(
                {"channel": name, "ledger": name is None, "taken_at": taken_at, "rows": told}
            )
        self.engine.cut_written(len(rows))
        self._commit()

    # --- results -------------------------------------------------------------------------------

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        """Outcome and code, one per line."""
        return [
            (one.outcome, None if one.refusal is None else one.refusal.code)
            for one in self.raw_outcomes
        ]

    @property
    def publications(self) -> Mapping[str, list[dict[str, Any]]]:
        """The availability records by channel."""
        return {c.name: self.topics.get(f"availability.{c.name}", []) for c in self.rules.channels}

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The decision records."""
        return self.topics.get("reservations.decisions", [])

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        """The exception records."""
        return [_with_payload(told) for told in self.topics.get("exceptions", [])]

    @property
    def postings(self) -> list[dict[str, Any]]:
        """The posted documents."""
        return self.topics.get("erp.postings", [])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings."""
        return self.topics.get("reconciliation.findings", [])

    def view(self) -> View:
        """What a reader of the store sees."""
        return View(self.store)

    def stock(self, sku: str) -> dict[str, Any]:
        """What `stock --json` tells."""
        from engine.contracts.errors import NotFoundError

        try:
            unallocated, rows = self.view().stock(sku)
        except NotFoundError:
            return {"sku": sku, "unallocated_reserved": 0, "locations": []}
        locations = []
        for row in rows:
            told = msgspec.json.decode(msgspec.json.encode(row))
            told["on_hand"] = row.sellable + row.inspecting + row.damaged
            del told["sku"]
            locations.append(told)
        return {"sku": sku, "unallocated_reserved": unallocated, "locations": locations}

    def state(self, sku: str, location: str) -> dict[str, Any]:
        """Everything the ledger knows of a key."""
        for told in self.stock(sku)["locations"]:
            if told["location"] == location:
                return {k: v for k, v in told.items() if k not in ("location", "on_hand")}
        return {
            "sellable": 0, "inspecting": 0, "damaged": 0, "reserved": 0, "incoming": 0,
            "version": 0, "counted_at": {"sellable": None, "inspecting": None, "damaged": None},
        }  # fmt: skip

    def computed(self, channel: str, sku: str, location: str | None = None) -> int:
        """What a key of a channel may offer now."""
        for key in self.view().availability(self.rules, sku, channel):
            if key.location == location:
                return key.computed
        return 0

    def counters(self) -> dict[str, Any]:
        """The summary line without its times."""
        told = msgspec.to_builtins(self.engine.standing.figures)
        figures = self.engine.standing.figures
        return {
            **{k: getattr(figures, k) for k in msgspec.structs.asdict(figures)},
            **told,
            "publications": {
                c.name: figures.publications.get(c.name, 0) for c in self.rules.channels
            },
            "exceptions": dict(sorted(figures.exceptions.items())),
            "pending": self.engine.pending(),
        }


def _with_payload(told: dict[str, Any]) -> dict[str, Any]:
    """The record with a payload that is not UTF-8 as text, its odd bytes escaped."""
    if "payload_base64" not in told:
        return told
    payload = base64.b64decode(told["payload_base64"]).decode(errors="surrogateescape")
    return {**told, "payload": payload}


def rules_folder(rules: Mapping[str, Any], folder: Path) -> Path:
    """Write a rules folder for the engine."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rules_folder(rules, folder)
    return folder
