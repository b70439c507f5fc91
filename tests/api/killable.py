"""An engine that can be killed and started again many times, and those who call it meanwhile.

It runs in a process of its own, forked from one that has imported everything already.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from tests.api.service_under_test import EmbeddedEngine
from tests.api.wire import Wire

PATIENCE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 0.005
UNAVAILABLE: Final = 503

Answer = tuple[int, Any]


def serve(folder: Path, told: Connection) -> None:
    """Run an engine until the process is killed; tells its port."""
    engine = EmbeddedEngine(folder)
    engine.start()
    told.send(int(engine.url.rpartition(":")[2]))
    told.recv()


class Callers:
    """What all callers of an engine that is killed have in common: each asks until it is answered.

    They wait while the engine is down; the callers of one run share this.
    """

    def __init__(self, engine: KillableEngine) -> None:
        self.engine = engine
        self._is_up = asyncio.Event()

    def begin(self) -> None:
        """Let them ask."""
        self._is_up.set()

    async def ask(self, wire: Wire, path: str, body: object, key: str | None = None) -> Answer:
        """Post as often as there is no answer, or the one that it is worth asking again."""
        while True:
            await self._is_up.wait()
            wire.port = self.engine.port
            try:
                answer = await wire.ask("POST", path, body, key)
            except ConnectionError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer[0] != UNAVAILABLE:
                return answer
            await asyncio.sleep(RETRY_SECONDS)

    def restart(self) -> None:
        """Kill the engine in the midst of it all, and start it again."""
        self._is_up.clear()
        self.engine.kill()
        self.engine.start()
        self._is_up.set()


class KillableEngine:
    """An engine in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["tests.api.killable"])
        self.process: BaseProcess | None = None
        self.port = 0

    def start(self) -> None:
        """Start it on what the one before has left."""
        ours, theirs = self.processes.Pipe()
        self.process = self.processes.Process(target=serve, args=(self.folder, theirs), daemon=True)
        self.process.start()
        theirs.close()
        assert ours.poll(PATIENCE_SECONDS), "it did not start"
        self.port = ours.recv()
        self._told = ours

    def kill(self) -> None:
        """Kill it, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.join(PATIENCE_SECONDS)
            self.process.close()
            self.process = None
            self._told.close()

    def told(self, topic: str) -> list[dict[str, Any]]:
        """What it has told in a topic, whole lines only."""
        text = (self.folder / f"data/out/{topic}.ndjson").read_bytes()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1:] == b"\n"]
