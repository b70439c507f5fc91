"""A slow, sequential, readable model of the engine, to check the engine against.

One movement after the other, everything in plain lists and dicts, nothing computed ahead. The
readings chosen where more than one is possible are listed in `README.md` beside this module.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .applying import apply
from .decoding import BYTE_ORDER_MARK, Fault, Movement, content, decode
from .instants import format_instant
from .observations import Observation, Reconciliation, read_observation
from .timeline import advance, next_publication, next_tick_on_the_way
from .world import World

MOVED_ANYWAY = ("sale", "return", "fulfil", "receipt", "transfer")
"""Goods that moved have moved, whatever a till's clock says."""
OUTCOMES = ("applied", "duplicate", "absorbed", "rejected", "refused")


class Oracle:
    """The model. Feed it lines, then read its results."""

    def __init__(
        self, rules: Mapping[str, Any] | Path, clock: Literal["event", "wall"] = "event"
    ) -> None:
        self.world = World(rules)
        self.event_clock = clock == "event"
        self.identities: dict[tuple[str, str, str], Movement] = {}
        self.outcomes: list[tuple[str, str | None]] = []
        self.exceptions: list[dict[str, Any]] = []
        self.reconciliation = Reconciliation(self.world)

    # --- what comes in -------------------------------------------------------------------

    def feed(self, line: bytes, now: int | None = None) -> str:
        """One line, with the wall clock at `now`; its outcome, "" for a blank line."""
        line = line.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n")
        if not line.strip():
            return ""
        if not self.event_clock:
            assert now is not None
            self.advance(now)
        movement = decode(line, self.world.rules.channels)
        if isinstance(movement, Fault):
            return self._refuse(line, movement.code, movement.correlation_id)
        skewed = self._too_far_ahead(movement) and _moved_anyway(movement)
        code = None if skewed else self._clock_fault(movement)
        if code is not None:
            return self._refuse(line, code, movement["correlation_id"])
        identity = (movement["source"], movement["id"], movement["sku"])
        told = content(movement)
        if identity in self.identities:
            if self.identities[identity] == told:
                return self._finish("duplicate")
            return self._refuse(line, "conflicting_duplicate", movement["correlation_id"])
        if skewed:
            movement = {**movement, "occurred_at": self.world.now}
        clock = self._clock_after(movement)
        if movement["type"] == "reserve" and self._reservation_exists(movement, clock):
            return self._refuse(line, "reservation_exists", movement["correlation_id"])
        self.identities[identity] = told
        advance(self.world, clock)
        applied = apply(self.world, movement)
        for code in (["clock_skew"] if skewed else []) + applied.warnings:
            self._except(line, code, applied.outcome, movement["correlation_id"])
        return self._finish(applied.outcome)

    def observe(self, line: bytes, finding: str, now: int | None = None) -> str:
        """One valid observation, whose finding will be called so; its outcome."""
        if not self.event_clock:
            assert now is not None
            self.advance(now)
        observation = read_observation(line)
        code = self._observation_fault(observation)
        if code is None and self.reconciliation.conflicts(observation):
            code = "conflicting_duplicate"
        if code is not None:
            self._except(line, code, "refused", observation["correlation_id"])
            return "refused"
        outcome, movement = self.reconciliation.compare(observation, finding, self.event_clock)
        if movement is not None:
            line = json.dumps(movement, separators=(",", ":"), ensure_ascii=False).encode()
            self.feed(line, now)
        return outcome

    def _observation_fault(self, observation: Observation) -> str | None:
        world = self.world
        if world.clock is None:
            return None
        age = world.clock - int(observation["at"])
        if age > world.setting("count_window"):
            return "count_too_old"
        if age > world.setting("dedupe_window"):
            return "too_old"
        ahead = world.setting("max_jump" if self.event_clock else "max_future")
        return "future_dated" if -age > ahead else None

    def advance(self, now: int) -> None:
        """Time passes without a movement."""
        advance(self.world, now)

    def finish(self, drain: bool = True) -> None:
        """The inputs have ended: jumps from publication to publication, then posts."""
        world = self.world
        if drain and world.clock is not None:
            limit = world.now + world.setting("drain")
            while next_publication(world, limit) is not None:
                advance(world, next_tick_on_the_way(world))
        world.postings.close_all()

    # --- results -------------------------------------------------------------------------

    @property
    def clock(self) -> int | None:
        """The engine's clock; None until it runs."""
        return self.world.clock

    @property
    def publications(self) -> dict[str, list[dict[str, Any]]]:
        """The availability records by channel."""
        return self.world.publisher.records

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The decision records."""
        return self.world.reservations.decisions

    @property
    def postings(self) -> list[dict[str, Any]]:
        """The posted documents."""
        return self.world.postings.documents

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        """One for each channel and one for the ledger each time, with their rows."""
        return self.world.snapshots

    def state(self, sku: str, location: str) -> dict[str, Any]:
        """Everything the ledger knows of a key; incoming as it is shown."""
        return self.world.state(sku, location)

    def stock(self, sku: str) -> dict[str, Any]:
        """What `stock --json` tells."""
        return self.world.stock(sku)

    def computed(self, channel: str, sku: str, location: str | None = None) -> int:
        """What a key of a channel may offer now."""
        return self.world.value((channel, sku, location), self.world.now)

    def counters(self) -> dict[str, Any]:
        """The summary line of a run without its times."""
        outcomes = Counter(outcome for outcome, _ in self.outcomes)
        running = self.world.clock is not None
        return {
            "received": len(self.outcomes),
            **{kind: outcomes[kind] for kind in OUTCOMES},
            "publications": {name: len(records) for name, records in self.publications.items()},
            "exceptions": dict(sorted(Counter(one["code"] for one in self.exceptions).items())),
            "decisions": len(self.decisions),
            "postings": len(self.postings),
            "snapshots": len(self.snapshots),
            "pending": len(self.world.pending_now()) if running else 0,
        }

    def fingerprint_state(self) -> dict[str, Any]:
        """All keys, open reservations and published values, to compare with another's."""
        return {
            "keys": {
                f"{sku}|{location}": self.state(sku, location)
                for sku, location in sorted(self.world.book.versions)
            },
            "reservations": {
                f"{sku}|{name}": {
                    "location": one.location,
                    "channel": one.channel,
                    "left": one.left,
                    "confirmed": one.confirmed,
                }
                for (sku, name), one in sorted(self.world.reservations.reservations.items())
                if one.left > 0
            },
            "published": {
                "|".join((channel, sku, location or "")): published.value
                for (channel, sku, location), published in sorted(
                    self.world.publisher.keys.items(), key=lambda item: str(item[0])
                )
                if published.value is not None
            },
        }

    # --- examination ---------------------------------------------------------------------

    def _too_far_ahead(self, movement: Movement) -> bool:
        world = self.world
        if world.clock is None:
            return False
        allowed = world.setting("max_jump" if self.event_clock else "max_future")
        return bool(movement["occurred_at"] > world.clock + allowed)

    def _clock_fault(self, movement: Movement) -> str | None:
        world = self.world
        if world.clock is None:
            return None
        if self._too_far_ahead(movement):
            return "future_dated"
        age = world.clock - movement["occurred_at"]
        if movement["type"] == "count" and age > world.setting("count_window"):
            return "count_too_old"
        return "too_old" if age > world.setting("dedupe_window") else None

    def _clock_after(self, movement: Movement) -> int:
        """Where the clock stands once the movement is accepted."""
        if self.world.clock is None:
            return int(movement["occurred_at"])
        if not self.event_clock:
            return self.world.clock
        return max(self.world.clock, int(movement["occurred_at"]))

    def _reservation_exists(self, movement: Movement, clock: int) -> bool:
        name = movement["reservation"]
        return self.world.reservations.find(movement["sku"], name, clock) is not None

    def _refuse(self, line: bytes, code: str, correlation_id: str | None) -> str:
        self._except(line, code, "refused", correlation_id)
        return self._finish("refused", code)

    def _finish(self, outcome: str, code: str | None = None) -> str:
        self.outcomes.append((outcome, code))
        return outcome

    def _except(self, line: bytes, code: str, outcome: str, correlation_id: str | None) -> None:
        clock = self.world.clock
        self.exceptions.append(
            {
                "exception": f"x-{len(self.exceptions) + 1:08d}",
                "code": code,
                "outcome": outcome,
                "payload": line.decode("utf-8", "surrogateescape"),
                "first_seen": None if clock is None else format_instant(clock),
                "correlation_id": correlation_id,
            }
        )


def _moved_anyway(movement: Movement) -> bool:
    forced = movement["type"] == "reserve" and movement["policy"] == "force"
    return forced or movement["type"] in MOVED_ANYWAY
