"""Worker processes of one engine, by name: started, stopped, killed and started again."""

from __future__ import annotations

import signal
from pathlib import Path
from types import TracebackType

from engine.kafka.settings import KafkaSettings
from tests.kafka.cluster import worker
from tests.kafka.processes import Child, until


class Fleet:
    """Each worker has a name such as `ledger-2`, a log and a data folder that outlast it."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._children: dict[str, Child] = {}
        self._starts = 0

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for name in list(self._children):
            self.kill(name)

    def start(self, *names: str, **more: object) -> None:
        """Start workers, and wait until they run."""
        for name in names:
            self.begin(name, **more)
        self.wait(*names)

    def begin(self, name: str, **more: object) -> None:
        """Start a worker, and wait for nothing."""
        self._starts += 1
        log = self._folder / f"{name}-{self._starts}.log"
        kind = name.partition("-")[0]
        data = self._folder / name
        self._children[name] = worker(self._settings, kind, log, data=data, **more)

    def wait(self, *names: str) -> None:
        """Wait until workers run."""
        until(lambda: all(self._runs(name) for name in names), f"{names} run")

    def kill(self, name: str) -> None:
        """End a worker as a power cut would."""
        self._children.pop(name).kill()

    def stop(self, name: str) -> None:
        """End a worker in good order."""
        child = self._children.pop(name)
        assert child.stop(signal.SIGTERM) == 0, child.said()

    def freeze(self, name: str) -> None:
        """Let a worker stand still."""
        self._children[name].send(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a worker go on."""
        self._children[name].send(signal.SIGCONT)

    def check(self) -> None:
        """See that no worker has ended by itself."""
        for name, child in self._children.items():
            assert child.process.poll() is None, f"{name}: {child.said()}"

    def stop_all(self) -> None:
        """End all workers in good order."""
        for name in list(self._children):
            self.stop(name)

    def _runs(self, name: str) -> bool:
        child = self._children[name]
        assert child.process.poll() is None, f"{name}: {child.said()}"
        return "the worker runs" in child.said()
