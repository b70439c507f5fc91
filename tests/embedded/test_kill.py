"""The engine as a process of its own, killed at any moment and started again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.oracle import Shape, generate, write_rules_folder
from tests.oracle.instants import HOUR

PROJECT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 120.0
LINES: Final = 20_000
SKUS: Final = tuple(f"SKU-{number:03d}" for number in range(150))
LOCATIONS: Final = ("store-1", "store-2", "store-3", "wh-east", "wh-west")
NOT_OF_THE_STREAM: Final = ("seconds", "movements_per_second")
RULES: Final[dict[str, Any]] = {
    "settings": {"snapshot": {"every": "10m"}, "drain": "30m"},
    "channels": {
        "free": {},
        "slow": {"publish": {"max_rate": "2/s", "min_interval": "5s", "low_stock": 3}},
        "careful": {"publish": {"min_change": 3, "max_staleness": "2m", "max_per_key": "250/day"}},
        "by-place": {"granularity": "location", "publish": {"max_rate": "20/s"}},
        "pickup": {"granularity": "location", "locations": {"types": ["store"]}},
    },
    "rules": [
        {"name": "always", "buffer": {"percent": 10, "min": 1}},
        {
            "name": "peak",
            "when": {"channels": ["free", "pickup"], "categories": ["TOYS"]},
            "buffer": {"units": 3},
            "from": "2026-11-20T12:30:00Z",
            "until": "2026-11-20T13:10:00.250Z",
        },
        {
            "name": "hourly",
            "when": {"channels": ["free"], "categories": ["GROCERY"]},
            "min_interval": "10m",
            "until": "2026-11-20T13:30:00Z",
        },
        {"name": "some", "when": {"channels": ["slow"]}, "share": 50, "cap": 20},
    ],
    "locations": [
        {"location": place, "type": "store" if place.startswith("store") else "warehouse"}
        for place in LOCATIONS
    ],
    "items": [
        {"sku": sku, "category": "TOYS" if number % 3 else "GROCERY"}
        for number, sku in enumerate(SKUS)
    ],
}


@dataclass(frozen=True)
class Case:
    """Rules and movements, and what an uninterrupted run made of them."""

    folder: Path
    outputs: dict[str, bytes]
    summary: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all outputs."""
        return sum(map(len, self.outputs.values()))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Twenty thousand movements in two hours, run without an interruption."""
    folder = tmp_path_factory.mktemp("case")
    write_rules_folder(RULES, folder / "rules")
    lines = generate(
        5, LINES, SKUS, LOCATIONS, list(RULES["channels"]), Shape(span=2 * HOUR, jump=0.0)
    )
    (folder / "movements.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    process = start(folder, "whole", "movements.ndjson")
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    return Case(folder, outputs(folder / "whole" / "out"), summary(out))


def start(
    folder: Path, name: str, source: str, stdin: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start the engine on a data folder of that name."""
    command = [sys.executable, "-m", "engine.cli.main", "run", "--rules", "rules"]
    command += ["--data", f"{name}/data", "--out", f"{name}/out", "--input", source]
    command += ["--clock", "event", "--once"]
    with (stdin or Path(os.devnull)).open("rb") as given:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def outputs(out: Path) -> dict[str, bytes]:
    """The output files that hold anything."""
    found = {path.name: path.read_bytes() for path in sorted(out.glob("*.ndjson"))}
    return {name: data for name, data in found.items() if data}


def summary(printed: bytes) -> dict[str, Any]:
    """The summary without what depends on the machine."""
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return {name: value for name, value in told.items() if name not in NOT_OF_THE_STREAM}


def killed_once_written(process: subprocess.Popen[bytes], out: Path, size: int) -> bool:
    """Kill the engine once its outputs are so large; False when it ended before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None:
        assert time.monotonic() < deadline, "the engine neither writes nor ends"
        if sum(path.stat().st_size for path in out.glob("*.ndjson")) >= size:
            process.kill()
            process.communicate()
            return True
        time.sleep(0.001)
    process.communicate()
    return False


@pytest.mark.parametrize("seed", range(4))
def test_files_and_counts_are_those_of_an_uninterrupted_run_however_often_it_is_killed(
    case: Case, seed: int
) -> None:
    """Killed by SIGKILL as its outputs grow, five times: every byte is the same in the end."""
    chance = random.Random(seed)
    name, folder = f"killed-{seed}", case.folder
    kills = 0
    for share in sorted(chance.random() for _ in range(5)):
        process = start(folder, name, "movements.ndjson")
        kills += killed_once_written(process, folder / name / "out", int(case.size * share))
    process = start(folder, name, "movements.ndjson")
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert kills > 0
    assert outputs(folder / name / "out") == case.outputs
    assert summary(out) == case.summary


def test_standard_input_from_a_file_goes_on_where_it_was_after_a_kill(case: Case) -> None:
    """With `--input -` and the same file redirected to it, every byte is the same."""
    folder, movements = case.folder, case.folder / "movements.ndjson"
    kills = 0
    for share in (0.2, 0.7):
        process = start(folder, "piped", "-", movements)
        kills += killed_once_written(process, folder / "piped" / "out", int(case.size * share))
    process = start(folder, "piped", "-", movements)
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert kills > 0
    found = outputs(folder / "piped" / "out")
    origins = {
        json.loads(line)["origin"].split(":")[0] for line in found["exceptions.ndjson"].splitlines()
    }
    assert origins == {"-"}
    renamed = case.outputs["exceptions.ndjson"].replace(
        b'"origin":"movements.ndjson:', b'"origin":"-:'
    )
    assert found == {**case.outputs, "exceptions.ndjson": renamed}
    assert summary(out) == case.summary


def test_another_start_after_the_end_changes_nothing(case: Case) -> None:
    """The inputs were taken; what was pending at the end stays so."""
    process = start(case.folder, "whole", "movements.ndjson")
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert outputs(case.folder / "whole" / "out") == case.outputs
    assert summary(out) == case.summary
