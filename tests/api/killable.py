"""An engine that can be killed and started again many times.

It runs in a process of its own, forked from one that has imported everything already.
"""

from __future__ import annotations

import json
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from tests.api.service_under_test import EmbeddedEngine

PATIENCE_SECONDS: Final = 60.0


def serve(folder: Path, told: Connection) -> None:
    """Run an engine until the process is killed; tells its port."""
    engine = EmbeddedEngine(folder)
    engine.start()
    told.send(int(engine.url.rpartition(":")[2]))
    told.recv()


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
