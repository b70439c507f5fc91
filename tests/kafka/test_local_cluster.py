"""From nothing to a running cluster, without containers: what `make cluster` starts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from engine.contracts.instants import format_instant
from engine.embedded.runtime import wall_clock
from tests.kafka.cluster import PROJECT
from tests.kafka.processes import Child, free_port, until


def test_a_movement_that_is_sent_is_looked_up_in_the_read_model(tmp_path: Path) -> None:
    """Through the broker and all four workers, each in a process of its own; and over HTTP."""
    broker, redis, http = free_port(), free_port(), free_port()
    words = [sys.executable, "-m", "tests.kafka.local_cluster", str(tmp_path / "run")]
    cluster = Child(
        [*words, str(broker), str(redis), str(http)], tmp_path / "log", {"PYTHONPATH": str(PROJECT)}
    )
    try:
        until(lambda: runs(cluster), "the cluster runs")
        (tmp_path / "movements.ndjson").write_bytes(receipt())
        words = ["topics", "send", str(tmp_path / "movements.ndjson"), "--topic", "movements.wms"]
        call(*words, f"--brokers=127.0.0.1:{broker}")

        def told() -> bool:
            url = f"--redis-url=redis://127.0.0.1:{redis}/0"
            return bool(json.loads(call("lookup", "10-0001", "--json", url)))

        until(told, "a channel was told")
        found = httpx.get(f"http://127.0.0.1:{http}/v1/availability", params={"sku": "10-0001"})
        assert found.json()["items"][0]["version"] == 1
        assert cluster.stop(signal.SIGTERM) == 0, cluster.said()
    finally:
        cluster.kill()


def receipt() -> bytes:
    """Goods that come in now: of what is older than three days nobody can tell any more."""
    fields = {"id": "r-1", "source": "wms", "type": "receipt", "sku": "10-0001"}
    place = {"location": "DC-EAST", "quantity": 40, "occurred_at": format_instant(wall_clock())}
    return json.dumps({**fields, **place}).encode()


def runs(cluster: Child) -> bool:
    """Whether all of it has come up."""
    assert cluster.process.poll() is None, cluster.said()
    return "The engine runs" in cluster.said()


def call(*words: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
