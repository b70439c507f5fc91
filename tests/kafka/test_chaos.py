"""Workers are killed, stopped and added, and brokers die, while movements flow.

In the end everything that was said is what the oracle says, and no version ever went back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.kafka.broker import Broker
from tests.kafka.conftest import MakeSettings
from tests.kafka.fleet import Fleet
from tests.kafka.stories import RULES, of_generator
from tests.kafka.test_end_to_end import comes_to_rest, engine_with, flow

MOVEMENTS = 3_000
PAUSE_S = 0.5
"""Between two chunks of a hundred: all in all the movements flow for some 15 seconds."""
REQUEST_TIMEOUT_MS = 3_000
"""Shorter than the broker is away."""

Act = tuple[float, Callable[[], None]]


async def play(flowing: asyncio.Task[None], acts: list[Act]) -> None:
    """Do one thing after the other, each after some seconds, while movements flow."""
    for after_s, act in acts:
        await asyncio.sleep(after_s)
        await asyncio.to_thread(act)
    await flowing


async def test_ledger_workers_are_killed_stopped_and_added_while_movements_flow(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Two, then one, then three, then two; SIGKILL in the middle of its work, and SIGTERM."""
    settings = await engine_with(make_settings, RULES)
    lines = of_generator(seed=21, size=MOVEMENTS, skus=60)
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("ingest", "publish", "ledger-1", "ledger-2")
        flowing = asyncio.create_task(flow(settings, lines, 21, PAUSE_S))
        acts: list[Act] = [
            (2.0, lambda: fleet.kill("ledger-1")),
            (1.0, lambda: fleet.start("ledger-1")),
            (1.0, lambda: fleet.start("ledger-3")),
            (1.0, lambda: fleet.stop("ledger-2")),
            (1.0, lambda: fleet.kill("ledger-3")),
            (0.0, lambda: fleet.start("ledger-2")),
        ]
        await play(flowing, acts)
        await comes_to_rest(settings, RULES, len(lines), fleet.check)
        fleet.stop_all()


async def test_every_kind_of_worker_is_killed_once_while_movements_flow(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Each is started again with its data folder, but for a ledger that has lost its own."""
    settings = await engine_with(make_settings, RULES)
    lines = of_generator(seed=22, size=MOVEMENTS, skus=60)
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("ingest", "publish", "ledger")
        flowing = asyncio.create_task(flow(settings, lines, 22, PAUSE_S))
        acts: list[Act] = [
            (2.0, lambda: fleet.kill("publish")),
            (0.5, lambda: fleet.kill("ingest")),
            (0.5, lambda: fleet.start("publish", "ingest")),
            (1.0, lambda: fleet.kill("ledger")),
            (0.0, lambda: fleet.start("ledger-elsewhere")),
        ]
        await play(flowing, acts)
        await comes_to_rest(settings, RULES, len(lines), fleet.check)
        fleet.stop_all()


async def test_a_broker_that_dies_and_comes_back_stops_nobody(
    own_broker: Broker, make_own_settings: MakeSettings, tmp_path: Path
) -> None:
    """All workers wait for it, for longer than a request may take, and go on by themselves."""
    settings = await engine_with(make_own_settings, RULES)
    lines = of_generator(seed=23, size=MOVEMENTS, skus=60)
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("ingest", "publish", "ledger", request_timeout_ms=REQUEST_TIMEOUT_MS)
        flowing = asyncio.create_task(flow(settings, lines, 23, PAUSE_S))
        acts: list[Act] = [(3.0, own_broker.kill), (5.0, own_broker.start)]
        await play(flowing, acts)
        await comes_to_rest(settings, RULES, len(lines), fleet.check)
        fleet.stop_all()
