"""Our own two runtimes, as any other peer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.brokers import OUTPUTS, fill_topic, last_append
from benchmarks.peers.expected import last_numbers, read_view, write_dump, write_peer_rules
from benchmarks.peers.jobs import Clock, Facts, Job, Mode
from benchmarks.peers.running import Mark, Measured, cpu_seconds, peak_bytes, start
from benchmarks.peers.verify import publications
from benchmarks.process import ROOT, FailedRunError, Folders, command, run_once
from engine.embedded.folder import open_for_reading
from engine.embedded.view import View
from engine.kafka.table import LocalTable
from tests.kafka.processes import free_port

EVERY_CHANGE = "1ms"  # the shortest tick there is
KAFKA_TICK = "100ms"
KINDS = ("ingest", "ledger", "publish")
LOOK_EVERY_S = 0.25
QUIET_S = 3.0
PATIENCE_S = 900.0
BYTES_A_PUBLICATION = 240  # roughly: to know when to kill


@dataclass
class EmbeddedPeer:
    """`sellable run`: one process, files in, files out."""

    name: str = "sellable-embedded"
    title: str = "sellable, embedded"
    facts: Facts = field(
        default_factory=lambda: Facts(
            version="this commit",
            input="file",
            state="RocksDB",
            output="files",
            after_a_crash="exactly once, by cutting files back",
        )
    )
    uses_kafka: bool = field(default=False, init=False)
    clock: Clock = field(default=Clock.EVENT, init=False)
    most_movements: int | None = field(default=None, init=False)

    def missing(self) -> str | None:
        """Nothing."""
        return None

    def build(self) -> None:
        """Nothing is to be built."""

    def prepare(self, job: Job) -> None:
        """Write the rules."""
        ticks = {"publish_tick": EVERY_CHANGE} if job.mode is Mode.CHANGES else {}
        write_peer_rules(job.folder / "rules", self.clock, ticks)

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job, or be killed in it."""
        folders = Folders(job.folder / "rules", job.folder / "data", job.out)
        if kill_at is not None:
            self._kill(folders, job, kill_at)
            return None
        cost = run_once(folders, [Path(job.made.path)])
        store = open_for_reading(folders.data)
        try:
            write_dump(job.dump, *read_view(View(store), last_numbers(publications(self, job))))
        finally:
            store.close()
        return Measured((Mark(job.made.lines, cost.wall_s, cost.cpu_s),), cost.peak_bytes)

    def _kill(self, folders: Folders, job: Job, kill_at: int) -> None:
        """Kill it when its outputs are about as long as those of so many movements."""
        words = command(folders, [job.made.path], ("--clock", "event", "--once"))
        process, _ = start(words, job.folder / "log")
        first = job.out / f"{OUTPUTS[0]}.ndjson"
        share = 0.7 if job.mode is Mode.CHANGES else 0.3  # publications of a channel a movement
        enough = kill_at * share * BYTES_A_PUBLICATION
        while process.poll() is None and not (first.exists() and first.stat().st_size >= enough):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()


@dataclass
class KafkaPeer:
    """`sellable worker`: ingest, ledger and publish, one process each, all on one core.

    It has the wall clock, so what is due at a time of day falls due at other movements than with
    the event clock; `expected` knows. Its tick is a tenth of a second, so that it does not tell
    less than others for taking movements faster than they happened.
    """

    name: str = "sellable-kafka"
    title: str = "sellable, on Kafka"
    facts: Facts = field(
        default_factory=lambda: Facts(
            version="this commit",
            input="Kafka",
            state="RocksDB, a changelog topic",
            output="Kafka",
            after_a_crash="repeats carry the version they had",
        )
    )
    uses_kafka: bool = field(default=True, init=False)
    clock: Clock = field(default=Clock.WALL, init=False)
    most_movements: int | None = field(default=None, init=False)

    def missing(self) -> str | None:
        """Nothing."""
        return None

    def build(self) -> None:
        """Nothing is to be built."""

    def prepare(self, job: Job) -> None:
        """Make the topics, and fill the one that comes in."""
        tick = EVERY_CHANGE if job.mode is Mode.CHANGES else KAFKA_TICK
        write_peer_rules(job.folder / "rules", self.clock, {"publish_tick": tick})
        words = [*_program("topics", "create", job), "--partitions", "1"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise FailedRunError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        fill_topic(job.brokers, f"{job.name}.movements.pos", Path(job.made.path))

    def run(self, job: Job, kill_at: int | None = None) -> Measured | None:
        """Do the job, or be killed in it."""
        again = (job.folder / "ledger").exists()
        with ExitStack() as ending:
            began = time.time()
            workers = {kind: _Worker(job, kind, ending) for kind in KINDS}
            marks: list[Mark] = []
            parts: dict[str, float] = {}
            for done, parts in _followed(workers, job.made.lines, again):
                wall_s = time.time() - began
                if done >= job.made.lines:
                    wall_s = max(last_append(job.brokers, _topics(job))) - began
                marks.append(Mark(done, wall_s, sum(parts.values())))
                if kill_at is not None and done >= kill_at:
                    return None
            peak = sum(peak_bytes(worker.pid) for worker in workers.values())
            for worker in workers.values():
                worker.stop()
        self._dump(job)
        return Measured(tuple(marks), peak, parts)

    def _dump(self, job: Job) -> None:
        table = LocalTable(job.folder / "ledger" / "ledger" / "0")
        try:
            write_dump(job.dump, *read_view(View(table), last_numbers(publications(self, job))))
        finally:
            table.close()


class _Worker:
    """One of the three processes; killed at the end of the stack unless stopped before."""

    def __init__(self, job: Job, kind: str, ending: ExitStack) -> None:
        self._listen = f"127.0.0.1:{free_port()}"
        self._log = job.folder / f"{kind}.log"
        words = [*_program("worker", kind, job), "--data", str(job.folder / kind)]
        words += ["--metrics-listen", self._listen]
        self._process, _ = start(words, self._log)
        ending.callback(self._kill)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def metrics(self) -> dict[str, float]:
        """All metrics by name, summed over their labels; empty before there are any."""
        if self._process.poll() is not None:
            raise FailedRunError(self._log.read_text(errors="replace")[-4_000:])
        try:
            with urllib.request.urlopen(f"http://{self._listen}/metrics") as answer:
                rows = answer.read().decode().splitlines()
        except OSError:
            return {}
        found: dict[str, float] = {}
        for row in rows:
            if not row.startswith("#"):
                name, _, value = row.rpartition(" ")
                name = name.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found

    def stop(self) -> None:
        """End it in good order."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()

    def _kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


def _followed(
    workers: Mapping[str, _Worker], movements: int, again: bool
) -> Iterator[tuple[int, dict[str, float]]]:
    """How many movements the ledger has done, and the CPU time of each worker until then.

    It ends when all are done and nothing is pending any more; waiting for that is no work. Workers
    that were started again do not know what was done before: there, all is read that was written.
    """
    deadline = time.monotonic() + PATIENCE_S
    quiet_since = time.monotonic()
    parts = dict.fromkeys(workers, 0.0)
    before: tuple[float, float] = (0.0, 0.0)
    while True:
        time.sleep(LOOK_EVERY_S)
        told = {kind: worker.metrics() for kind, worker in workers.items()}
        ledger, publish = told["ledger"], told["publish"]
        is_read = all(one.get("sellable_lag_messages", 1.0) == 0 for one in told.values())
        done = ledger.get("sellable_movements_total", 0.0)
        now = (done, publish.get("sellable_publications_total", 0.0))
        if now != before or publish.get("sellable_pending_keys", 1.0) > 0:
            before, quiet_since = now, time.monotonic()
            parts = {kind: cpu_seconds(worker.pid) for kind, worker in workers.items()}
        if not (is_read if again else done >= movements):
            yield int(done), parts
        elif time.monotonic() - quiet_since >= QUIET_S:
            yield movements, parts
            return
        if time.monotonic() > deadline:
            raise FailedRunError(f"after {PATIENCE_S:.0f} s {int(done)} movements were done")


def _program(group: str, name: str, job: Job) -> list[str]:
    words = [sys.executable, "-m", "engine.cli.main", group, name]
    words += ["--brokers", job.brokers, "--rules", str(job.folder / "rules")]
    return [*words, "--topic-prefix", f"{job.name}."]


def _topics(job: Job) -> list[str]:
    return [f"{job.name}.{name}" for name in OUTPUTS]


__all__ = ["EmbeddedPeer", "KafkaPeer"]
