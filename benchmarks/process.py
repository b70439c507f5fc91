"""Runs of the engine, and of the floor, in processes of their own on one core, and their cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KIB = 1024


@dataclass(frozen=True)
class Cost:
    """What a run said, and what it took.

    `loop_s` is what the engine measured itself: without the start of the interpreter. `cpu_s` is
    user and system time of the whole process, background threads of the store included.
    """

    summary: Mapping[str, Any]
    wall_s: float
    cpu_s: float
    loop_s: float
    peak_bytes: int

    @property
    def publications(self) -> int:
        """Publications of all channels in the data folder's whole history."""
        return sum(self.summary["publications"].values())


@dataclass(frozen=True)
class Folders:
    """Where one run keeps its rules, its data and its outputs."""

    rules: Path
    data: Path
    out: Path


class FailedRunError(Exception):
    """The engine did not end with exit status 0."""


def command(folders: Folders, inputs: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """The command line of a run."""
    words = [sys.executable, "-m", "engine.cli.main", "run"]
    words += ["--rules", str(folders.rules), "--data", str(folders.data)]
    words += ["--out", str(folders.out), *options]
    for path in inputs:
        words += ["--input", path]
    return words


def run_once(folders: Folders, inputs: Sequence[Path]) -> Cost:
    """Runs the engine over the inputs by the event clock, to their end.

    Raises:
        FailedRunError: it did not end with exit status 0.
    """
    words = command(folders, [str(path) for path in inputs], ("--clock", "event", "--once"))
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        with on_one_core():
            process = subprocess.Popen(words, cwd=ROOT, stdout=said, stderr=complained)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            complained.seek(0)
            raise FailedRunError(complained.read().decode(errors="replace"))
        said.seek(0)
        summary = json.loads(said.read().splitlines()[-1])
    return Cost(
        summary=summary,
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        loop_s=summary["seconds"],
        peak_bytes=usage.ru_maxrss * KIB,
    )


def floor_us(path: Path) -> float:
    """What decoding a line of the file costs, in CPU microseconds, in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.floor", str(path)]
    with on_one_core():
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise FailedRunError(f"the floor ended with {process.returncode}")
    measured: float = json.loads(said)["us_per_line"]
    return measured


@contextmanager
def on_one_core() -> Iterator[None]:
    """Lets the processes that are started inside run on the last core alone."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine() -> str:
    """Describes this machine and the commit in one line."""
    version = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    return f"{processor()}, {os.cpu_count()} cores, {version}, {commit()}"


def processor() -> str:
    """The model of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    rows = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return names[0] if names else "unknown processor"


def commit() -> str:
    """The commit that is checked out, in short; `+` after it tells that files differ from it."""
    hash_of = _git("rev-parse", "--short", "HEAD")
    differs = _git("status", "--porcelain", "--untracked-files=no")
    return (hash_of or "no commit") + ("+" if differs else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
