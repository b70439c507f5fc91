"""How long does a ledger worker that was killed take to serve again, and how much memory?

Every key is opened, a stream runs over all of them, and in its midst the worker is killed: it
starts again with its data folder. When the stream is done it is killed once more and starts
without the folder, so that all of its state comes from the changelog.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kafka_log import PARTITIONS, make_timed_topics, write_workload
from benchmarks.kafka_workers import Worker, running_broker, start
from engine.kafka.settings import KafkaSettings

TAKEN = "sellable_movements_total"
LEFT = "sellable_lag_messages"


@dataclass(frozen=True, slots=True)
class Phase:
    """What a ledger worker did, how long it took, and the most memory that it has had."""

    name: str
    seconds: float
    cpu_s: float
    peak_bytes: int


def measure_restore(
    openings: Path, stream: Path, rate: int, folder: Path, tell: Callable[[str], None]
) -> Iterator[Phase]:
    """Yield what the worker did, one after the other.

    Raises:
        AssertionError: a movement has no outcome, or the worker ended by itself.
    """
    with running_broker(folder, PARTITIONS) as settings:
        make_timed_topics(settings)
        yield from _measure(settings, openings, stream, rate, folder, tell)


def _measure(
    settings: KafkaSettings,
    openings: Path,
    stream: Path,
    rate: int,
    folder: Path,
    tell: Callable[[str], None],
) -> Iterator[Phase]:
    tell("writing the log")
    log = write_workload(settings, [openings, stream], rate, tell)
    more = count_lines(stream)
    ledger, begun = _serve(settings, folder, "nothing")
    yield _told("start with nothing", ledger, begun, 0.0)
    ledger.until(lambda: ledger.count(TAKEN) >= log.movements - more, "all keys are opened")
    yield _told(f"opening {log.movements - more:,} keys", ledger, begun, 0.0)
    tell("killing it in the midst of the stream")
    ledger.until(lambda: ledger.count(TAKEN) >= log.movements - more // 2, "half of the stream")
    ledger.child.kill()
    ledger, begun = _serve(settings, folder, "with")
    yield _told("SIGKILL, then a start with the data folder", ledger, begun, 0.0)
    begun, before_s = time.monotonic(), ledger.cpu_s()
    ledger.until(lambda: ledger.metric(LEFT) == 0, "the stream is taken")
    yield _told("the rest of the stream", ledger, begun, before_s)
    ledger.child.kill()
    shutil.rmtree(settings.data / "ledger")
    tell("starting it without its data folder")
    ledger, begun = _serve(settings, folder, "without")
    yield _told("SIGKILL, then a start without the data folder", ledger, begun, 0.0)
    ledger.stop()


def _serve(settings: KafkaSettings, folder: Path, name: str) -> tuple[Worker, float]:
    """A ledger worker that serves all partitions, and when it was started."""
    begun = time.monotonic()
    ledger = start(settings, "ledger", folder / f"ledger-{name}.log")
    ledger.says("partition is served", PARTITIONS)
    return ledger, begun


def _told(name: str, ledger: Worker, begun: float, before_s: float) -> Phase:
    seconds = time.monotonic() - begun
    return Phase(name, seconds, ledger.cpu_s() - before_s, ledger.peak_bytes())


def count_lines(path: Path) -> int:
    """How many lines a file has."""
    with path.open("rb") as file:
        return sum(1 for _ in file)
