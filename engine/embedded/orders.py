"""Orders of other processes to a running engine, such as replay; and changed rules."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import msgspec

from engine.contracts.errors import UsageError
from engine.core.parts import EVENT
from engine.embedded.dead_letter_desk import StillRefused, dismiss, replay
from engine.embedded.folder import answer, take_orders
from engine.embedded.rules_desk import RulesDesk
from engine.embedded.rules_watch import RulesWatch
from engine.embedded.runtime import Runtime, wall_clock

LOOK_EVERY_SECONDS = 0.1


class OrderDesk:
    """Serves what other processes ask of the engine, between two batches."""

    def __init__(
        self,
        runtime: Runtime,
        watch: RulesWatch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runtime = runtime
        self.rules = RulesDesk(runtime, watch)
        self._monotonic = monotonic
        self._looked_at = 0.0

    def serve(self) -> None:
        """Carry out what was ordered, and put changed rules in force."""
        now = self._monotonic()
        if now - self._looked_at < LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        for name, order in take_orders(self.runtime.data):
            answer(self.runtime.data, name, carry_out(self.runtime, order))
        self.rules.follow()


def carry_out(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order; what is wrong with the order becomes an answer.

    Raises:
        SellableError: the store or the outputs have failed. What was to be committed then is in
            neither of them nor in memory, so the engine has to stop and start again.
    """
    work = _WORK.get(str(order.get("order")))
    if work is None:
        return {"error": f"there is no order {order.get('order')!r}", "advice": ""}
    try:
        return work(runtime, order)
    except (UsageError, StillRefused) as error:
        return {"error": error.message, "advice": error.advice, "exit_code": error.exit_code}


def _snapshot(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
    """Take a snapshot on the next tick; with the event clock the next tick may have to be made."""
    engine = runtime.engine
    before = engine.standing.figures.snapshots
    if engine.clock is None:
        return {"error": "no movement has come yet", "advice": "Run the engine on an input first."}
    engine.order_snapshot()
    tick = engine.rules.settings.publish_tick
    if engine.standing.clock_mode == EVENT:
        runtime.advance(engine.clock - engine.clock % tick + tick)
    else:
        _wait_for_cut(runtime, engine.clock - engine.clock % tick + tick)
    runtime.commit()
    return {
        "snapshots": engine.standing.figures.snapshots - before,
        "file": str(runtime.files.path("reconciliation.snapshots")),
    }


def _wait_for_cut(runtime: Runtime, tick: int) -> None:
    while wall_clock() < tick:
        time.sleep(max(0.0, (tick - wall_clock()) / 1_000_000))
    runtime.advance(wall_clock())


def _replay(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
    told = order.get("set") or {}
    if not isinstance(told, dict):
        raise UsageError("`set` holds no fields", "Give an object of fields and their new values.")
    changes = {str(key): str(value) for key, value in told.items()}
    return replay(runtime, str(order.get("exception")), changes, bool(order.get("accept_old")))


def _dismiss(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
    return dismiss(runtime, str(order.get("exception")), str(order.get("reason", "")))


def _reconcile(runtime: Runtime, order: dict[str, Any]) -> dict[str, Any]:
    """Take observations: `lines` are pairs of a line in base64 and where it came from."""
    pairs = order.get("lines")
    if not isinstance(pairs, list):
        raise UsageError("`lines` holds no observations", "Give pairs of line and origin.")
    runtime.catch_up()
    lines = [base64.b64decode(line) for line, _ in pairs]
    outcomes = runtime.observe(lines, lambda index: str(pairs[index][1]))
    runtime.commit()
    return {"outcomes": msgspec.to_builtins(outcomes)}


_WORK: dict[str, Callable[[Runtime, dict[str, Any]], dict[str, Any]]] = {
    "snapshot": _snapshot,
    "replay": _replay,
    "dismiss": _dismiss,
    "reconcile": _reconcile,
}
