"""Workers of the engine for the benchmarks, each in a process of its own."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inv1 import CACHE
from benchmarks.process import ROOT
from benchmarks.rules import write_rules
from engine.kafka.settings import KafkaSettings, load_settings
from tests.kafka.broker import make_broker
from tests.kafka.cluster import worker_words
from tests.kafka.processes import Child, free_port, until

LOOK_EVERY_S = 0.25
PATIENCE_S = 1_800.0
COMPILED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode")}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STAT_USER, STAT_SYSTEM = 11, 12  # of /proc/PID/stat, counted after the name of the program


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's process, and where it tells its metrics."""

    child: Child
    listen: str

    @property
    def pid(self) -> int:
        """The process."""
        return self.child.process.pid

    def cpu_s(self) -> float:
        """CPU time that the process has used so far, user and system, all threads."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[STAT_USER]) + int(stat[STAT_SYSTEM])) / TICKS_PER_SECOND

    def peak_bytes(self) -> int:
        """The most memory that the process has had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        row = next(row for row in status.splitlines() if row.startswith("VmHWM"))
        return int(row.split()[1]) * 1024

    def metric(self, name: str) -> float | None:
        """The sum of a metric over its labels, None as long as the worker tells none."""
        rows = [row for row in self._metrics() if row.split("{")[0].split(" ")[0] == name]
        return sum(float(row.rpartition(" ")[2]) for row in rows) if rows else None

    def count(self, name: str) -> float:
        """The same of a counter, 0 as long as nothing was counted."""
        return self.metric(name) or 0.0

    def _metrics(self) -> list[str]:
        try:
            with urllib.request.urlopen(f"http://{self.listen}/metrics") as answer:
                text: str = answer.read().decode()
        except OSError:
            return []  # the worker is too busy to answer: it is asked again
        return text.splitlines()

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait until something is so; raises AssertionError when the worker ends before."""

        def is_done() -> bool:
            assert self.child.process.poll() is None, self.child.said()
            time.sleep(LOOK_EVERY_S)
            return done()

        until(is_done, what, PATIENCE_S)

    def says(self, words: str, times: int = 1) -> None:
        """Wait until the worker's log has the words so often."""
        self.until(lambda: self.child.said().count(words) >= times, words)

    def stop(self) -> None:
        """End it in good order."""
        assert self.child.stop(signal.SIGTERM) == 0, self.child.said()


@contextmanager
def running_broker(folder: Path, partitions: int) -> Iterator[KafkaSettings]:
    """Runs a broker, and gives the settings of an engine on it under the rules of INV-1."""
    broker = make_broker(folder / "broker")
    broker.start()
    try:
        yield load_settings(
            brokers=broker.bootstrap,
            rules=write_rules(folder / "rules"),
            data=folder / "data",
            partitions=partitions,
        )
    finally:
        broker.kill()


def start(settings: KafkaSettings, kind: str, log: Path, **more: object) -> Worker:
    """Start a worker; its modules were compiled before, as they are where it is installed."""
    listen = f"127.0.0.1:{free_port()}"
    words = worker_words(settings, kind, metrics_listen=listen, **more)
    return Worker(Child(words, log, {"PYTHONPATH": str(ROOT), **COMPILED}), listen)
