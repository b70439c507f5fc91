"""`sellable rehearse` as it is called: a verdict, a report, and data that add up."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import invoke

PROJECT = Path(__file__).parents[2]
RULES = PROJECT / "rules"
PATIENCE_SECONDS = 120.0
# A machine under test is busy: what depends on its speed has no limit.
NO_HURRY = " ".join(
    f"--limit {name}=none" for name in ("urgent-p50", "urgent-p99", "urgent-max", "drain")
)


def rehearse(capfd: pytest.CaptureFixture[str], folder: Path, line: str) -> tuple[int, str, str]:
    """Rehearse with the working rules, and return status, output and what was said of errors."""
    capfd.readouterr()
    words = shlex.split(f"rehearse --rules {RULES} --report {folder / 'report.html'} {line}")
    status = invoke(words)
    return status, *capfd.readouterr()


def test_a_rehearsal_with_every_fault_loses_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed in the middle, with tills offline, a marketplace throttled and the ERP away."""
    faults = ["till-chain@1s+1s", "marketplace@1s+1s", "worker@2s+500ms", "erp@0s+3s"]
    line = "--duration 4s --rate 150 --skus 50 --no-headroom --json --keep kept " + NO_HURRY
    line = line.replace("kept", str(tmp_path / "kept"))
    status, out, err = rehearse(
        capfd, tmp_path, line + "".join(f" --fault {fault}" for fault in faults)
    )
    assert (status, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    measured = {each["name"]: each["measured"] for each in told["judgements"]}
    assert told["holds"] is True
    assert measured["lost"] == 0
    assert told["load"]["movements"] > 400
    assert [each["kind"] for each in told["faults"]] == [
        "till-chain",
        "marketplace",
        "worker",
        "erp",
    ]
    assert len(told["engine"]["restarts"]) == 1
    assert sum(told["series"]["offered"]) == told["load"]["movements"]
    assert sum(told["series"]["taken"]) == told["load"]["movements"]
    assert measured["urgent-untold"] >= measured["urgent-p99"]
    assert (tmp_path / "kept" / "data" / "out" / "exceptions.ndjson").exists()
    assert "It holds" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_limit_that_is_missed_ends_with_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says which: nothing is told in no time. With a search for headroom, of two tries."""
    monkeypatch.setattr("engine.rehearsal.headroom.MOST_TRIALS", 2)
    line = "--duration 2s --rate 300 --skus 20 --limit urgent-max=0ms --limit headroom=none"
    status, out, err = rehearse(capfd, tmp_path, line)
    assert (status, err) == (1, "")
    assert "MISSED" in out
    assert "It does not hold: " in out
    assert "times this load held" in out or "No part of this load held" in out
    assert "<h2>Headroom</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_recording_is_played_faster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At the factor, and it says so when the recording is too short for the time asked for."""
    recording = PROJECT / "tests" / "cli" / "movements.ndjson"
    line = f"--movements {recording} --factor 1000 --duration 1s --no-headroom --json {NO_HURRY}"
    status, out, _ = rehearse(capfd, tmp_path, line)
    told = json.loads(out)
    assert status == 0
    assert told["load"]["source"] == "movements.ndjson"
    assert told["load"]["factor"] == 1000
    assert told["load"]["movements"] > 0


@pytest.mark.parametrize(
    "line",
    [
        "--duration soon",
        "--duration 10ms",
        "--fault fire",
        "--fault worker=ledger",
        "--fault marketplace=nowhere",
        "--limit speed=9",
        "--report /nowhere/report.html",
        "--movements nowhere.ndjson",
        "--factor 0",
    ],
)
def test_a_wrong_call_ends_with_2_and_says_what_to_do(
    line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before anything is rehearsed."""
    status, out, err = rehearse(capfd, tmp_path, line)
    assert (status, out) == (2, "")
    assert err


def test_an_engine_whose_rehearsal_is_gone_stops(tmp_path: Path) -> None:
    """A rehearsal that is killed leaves no process behind."""
    kept = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    command = f"rehearse --rules {RULES} --duration 60s --no-headroom --skus 20"
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", *shlex.split(command)], env=kept, cwd=tmp_path
    )
    try:
        until(lambda: len(running_on(tmp_path)) >= 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not running_on(tmp_path))


def running_on(folder: Path) -> list[str]:
    """The processes of engines and generators whose files lie in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"engine.rehearsal." in words and str(folder).encode() in words:
            found.append(path.parent.name)
    return found


def until(found: Any) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
