"""Workers whose brokers end, hang and come back: they wait, and go on where they were."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.kafka.broker import Broker
from tests.kafka.cluster import worker
from tests.kafka.conftest import MakeSettings
from tests.kafka.stock import Stream, check, prepare, until_applied, until_available

SOME = 300
AWAY_S = 30.0


async def test_workers_go_on_when_the_brokers_come_back(
    own_broker: Broker, make_own_settings: MakeSettings, tmp_path: Path
) -> None:
    """After a restart in good order, after a kill, and after half a minute of silence."""
    settings, stream = make_own_settings(), Stream()
    envelopes = await prepare(settings)
    workers = [
        worker(settings, kind, tmp_path / f"{kind}.log", data=tmp_path / kind)
        for kind in ("ledger", "publish")
    ]
    await envelopes.movements(stream.opening())
    await until_applied(settings, stream)

    await envelopes.movements(stream.take(SOME), each=3)
    own_broker.stop()
    own_broker.start()
    await envelopes.movements(stream.take(SOME), each=3)
    own_broker.kill()
    await asyncio.sleep(AWAY_S)
    own_broker.start()
    await envelopes.movements(stream.take(SOME), each=3)
    own_broker.pause()
    await asyncio.sleep(settings.session_timeout_ms / 1_000)
    own_broker.resume()
    await envelopes.movements(stream.take(SOME), each=3)

    await until_applied(settings, stream)
    await until_available(settings, stream)
    await check(settings, stream)
    for one in workers:
        assert one.stop() == 0, one.said()
