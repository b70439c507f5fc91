"""Runs a peer in a process of its own and reads its costs while it runs.

A peer says on its standard output how far it is, in lines of JSON: `{"at": movements}` twenty times
on the way, `{"done": movements}` when all is durable. Then it waits for a line on its standard
input: `d` has it write its final state and say `{"dumped": true}`. What it took is read from
`/proc` at each of these lines, so that starting, warming up, working and dumping are told apart.
One that can write its final state on the way only says so with `{"apart": {"wall_s", "cpu_s"}}`:
what that took is taken off.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.process import ROOT, FailedRunError, on_one_core

KIB = 1024
PATIENCE_S = 1_800.0  # a run that takes longer hangs
WARM_SHARE = 0.5  # of the movements: what comes after them is the steady rate
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_SHOWN_LINES = 40
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Mark:
    """So many movements were done after so much wall and CPU time of the process."""

    movements: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Measured:
    """What a run took until all was durable; its last mark is that moment.

    `parts` are the CPU seconds of each process by its name, where there are several.
    """

    marks: tuple[Mark, ...]
    peak_bytes: int
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def end(self) -> Mark:
        """The whole run, start included."""
        return self.marks[-1]

    @property
    def per_second(self) -> float:
        """Movements a second of wall time, the start included."""
        return self.end.movements / self.end.wall_s

    @property
    def per_cpu_second(self) -> float:
        """Movements a second of CPU time, the start included."""
        return self.end.movements / self.end.cpu_s

    @property
    def steady(self) -> Mark:
        """The second half: the start and the warming up of a compiler are behind it."""
        before = next(
            mark for mark in self.marks if mark.movements >= WARM_SHARE * self.end.movements
        )
        if before is self.end:
            return self.end
        return Mark(
            self.end.movements - before.movements,
            self.end.wall_s - before.wall_s,
            self.end.cpu_s - before.cpu_s,
        )

    @property
    def steady_per_second(self) -> float:
        """Movements a second of wall time in the second half."""
        return self.steady.movements / self.steady.wall_s

    @property
    def steady_per_cpu_second(self) -> float:
        """Movements a second of CPU time in the second half."""
        return self.steady.movements / self.steady.cpu_s


def run_to_the_end(
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    kill_at: int | None = None,
) -> Measured | None:
    """Run a peer's command and measure it; or kill it after so many movements, and return None.

    Raises:
        FailedRunError: it ended before it was done, hung, or did not write its state.
    """
    process, started = start(words, log, environment)
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        marks: list[Mark] = []
        apart_wall_s = apart_cpu_s = 0.0
        for said in _said(process):
            if "apart" in said:
                apart_wall_s += said["apart"]["wall_s"]
                apart_cpu_s += said["apart"]["cpu_s"]
                continue
            done: int = said.get("done", said.get("at"))
            wall_s = time.perf_counter() - started - apart_wall_s
            marks.append(Mark(done, wall_s, cpu_seconds(process.pid) - apart_cpu_s))
            if kill_at is not None and done >= kill_at:
                return None
            if "done" in said:
                break
        else:
            process.wait()
            raise FailedRunError(_complaint(words, process.returncode, log))
        peak = peak_bytes(process.pid)
        _dump(process, words, log)
        return Measured(tuple(marks), peak)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def start(
    words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], float]:
    """Start a peer's command on the last core, with its complaints appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with log.open("ab") as complaints, on_one_core():
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=None if environment is None else {**os.environ, **environment},
            preexec_fn=_die_with_parent,
        )
    return process, started


def cpu_seconds(pid: int) -> float:
    """User and system time of a process until now, all its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * KIB


def _said(process: subprocess.Popen[bytes]) -> Any:
    stream: IO[bytes] | None = process.stdout
    assert stream is not None
    for line in stream:
        if line.startswith(b"{"):
            yield json.loads(line)


def _dump(process: subprocess.Popen[bytes], words: Sequence[str], log: Path) -> None:
    assert process.stdin is not None
    process.stdin.write(b"d\n")
    process.stdin.flush()
    if not any("dumped" in said for said in _said(process)):
        process.wait()
        raise FailedRunError(_complaint(words, process.returncode, log))
    process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _complaint(words: Sequence[str], status: int, log: Path) -> str:
    last = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join([f"{words[0]} ended with {status}:", *last])
