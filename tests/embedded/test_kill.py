"""A process that is really killed, at moments nobody chose, and started again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import generate, write_rules_folder

LINES = 4_000
KILLS = 5
RULES: dict[str, Any] = {
    "settings": {"snapshot": {"every": "2m"}, "erp": {"window": "5m"}, "drain": "2h"},
    "channels": {
        "free": {},
        "throttled": {
            "publish": {"min_interval": "30s", "max_rate": "1/s", "low_stock": 3, "min_change": 2}
        },
        "by-store": {"granularity": "location", "publish": {"max_per_key": "20/day"}},
    },
    "rules": [
        {"name": "buffer", "buffer": {"percent": 10, "min": 1}},
        {
            "name": "boxed",
            "when": {"channels": ["throttled"]},
            "buffer": {"units": 3},
            "from": "2026-11-20T12:20:00Z",
            "until": "2026-11-20T13:40:00Z",
            "priority": 5,
        },
    ],
}


def command(folder: Path, name: str, source: str) -> list[str]:
    """The same command, each time."""
    return [
        sys.executable, "-m", "engine.cli.main", "run", "--clock", "event", "--once",
        "--rules", str(folder / "rules"), "--data", str(folder / name / "data"),
        "--out", str(folder / name / "out"), "--input", source,
    ]  # fmt: skip


def run_to_the_end(folder: Path, name: str, source: str, stdin: Path | None) -> dict[str, Any]:
    """A run that nobody kills; its summary without its times."""
    with (stdin or Path("/dev/null")).open("rb") as file:
        told = subprocess.run(
            command(folder, name, source), stdin=file, capture_output=True, check=False
        )
    assert told.returncode == 0, told.stderr.decode()
    summary: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return {key: value for key, value in summary.items() if "second" not in key}


def kill_after(folder: Path, name: str, source: str, stdin: Path | None, seconds: float) -> bool:
    """Start, and kill after some time; whether it was still running then."""
    with (stdin or Path("/dev/null")).open("rb") as file:
        process = subprocess.Popen(
            command(folder, name, source),
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def files_of(folder: Path) -> dict[str, bytes]:
    """Every output file with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("from_stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(
    seed: int, from_stdin: bool, tmp_path: Path
) -> None:
    """Snapshots, throttles, time boxes and expiries included; and with the same counts."""
    (tmp_path / "rules").mkdir()
    write_rules_folder(RULES, tmp_path / "rules")
    lines = generate(seed, LINES, channels=list(RULES["channels"]))
    movements = tmp_path / "movements.ndjson"
    movements.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
    source = "-" if from_stdin else str(movements)
    stdin = movements if from_stdin else None
    chance = random.Random(seed)
    wanted = run_to_the_end(tmp_path, "whole", source, stdin)
    kills = 0
    while kills < KILLS and kill_after(tmp_path, "killed", source, stdin, chance.uniform(0.5, 1.5)):
        kills += 1
    assert kills
    # A run that came to its end unharmed has read its standard input; the next one begins anew.
    if kills == KILLS or not from_stdin:
        assert run_to_the_end(tmp_path, "killed", source, stdin) == wanted
    assert files_of(tmp_path / "killed" / "out") == files_of(tmp_path / "whole" / "out")
    assert wanted["snapshots"] > 0
