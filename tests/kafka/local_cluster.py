"""The whole engine on this machine without containers: `make cluster`, or

    python -m tests.kafka.local_cluster FOLDER

A broker, a Redis, the topics, the four workers, and HTTP, with the rules folder of the project;
their logs and data are in the folder. Ctrl-C ends all of it; what was in Kafka stays for the next
time.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.kafka.broker import make_broker
from tests.kafka.processes import Child, free_port, until
from tests.kafka.redis_server import RedisServer

PROJECT = Path(__file__).parents[2]
BROKER_PORT = 9092
REDIS_PORT = 6379
HTTP_PORT = 8080
KINDS = ("ingest", "ledger", "publish", "dispatch")
LOOK_EVERY_S = 0.2
WELCOME = """\
The engine runs: brokers {brokers}, Redis {redis}, logs in {folder}.
Try, in another terminal:
  echo '{{"id":"r-1","source":"wms","type":"receipt","sku":"10-0001","location":"DC-EAST",'\
'"quantity":40,"occurred_at":"'$(date -u +%FT%TZ)'"}}' |
    .venv/bin/sellable topics send --topic movements.wms{at}
  sleep 3; .venv/bin/sellable lookup 10-0001{redis_at}
  curl -s 'http://127.0.0.1:{http}/v1/availability?sku=10-0001'
Ctrl-C ends it.
"""


def main(
    folder: Path,
    broker_port: int = BROKER_PORT,
    redis_port: int = REDIS_PORT,
    http_port: int = HTTP_PORT,
) -> int:
    """Run until SIGINT or SIGTERM, or until a part ends by itself; returns the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending:
        try:
            return _run(folder.resolve(), broker_port, redis_port, http_port, ending)
        except KeyboardInterrupt:
            print("stopping", flush=True)
            return 0


def _run(folder: Path, broker_port: int, redis_port: int, http_port: int, ending: ExitStack) -> int:
    broker = make_broker(folder / "broker", broker_port)
    broker.start()
    ending.callback(broker.stop)
    redis = RedisServer(folder, redis_port)
    redis.start()
    ending.callback(redis.stop)
    common = ["--brokers", broker.bootstrap, "--rules", str(PROJECT / "rules")]
    subprocess.run([*_program(), "topics", "create", *common], check=True, cwd=PROJECT)
    workers = {}
    for kind in KINDS:
        words = [*_program(), "worker", kind, *common, "--data", str(folder / kind)]
        words += ["--metrics-listen", f"127.0.0.1:{free_port()}"]
        if kind == "dispatch":
            words += ["--redis-url", redis.url]
        workers[kind] = Child(words, folder / f"{kind}.log", {"PYTHONPATH": str(PROJECT)})
        ending.callback(workers[kind].stop)
    words = [*_program(), "api", *common, "--data", str(folder / "api")]
    words += ["--redis-url", redis.url, "--listen", f"127.0.0.1:{http_port}"]
    workers["api"] = Child(words, folder / "api.log", {"PYTHONPATH": str(PROJECT)})
    ending.callback(workers["api"].stop)
    until(lambda: all(map(_runs, workers.values())), "all workers run")
    at = "" if broker_port == BROKER_PORT else f" --brokers {broker.bootstrap}"
    redis_at = "" if redis_port == REDIS_PORT else f" --redis-url {redis.url}"
    print(
        WELCOME.format(
            brokers=broker.bootstrap,
            redis=redis.url,
            folder=folder,
            at=at,
            redis_at=redis_at,
            http=http_port,
        ),
        flush=True,
    )
    while True:
        for kind, child in workers.items():
            if child.process.poll() is not None:
                print(f"{kind} has ended:\n{child.said()}", file=sys.stderr)
                return 1
        time.sleep(LOOK_EVERY_S)


def _runs(child: Child) -> bool:
    assert child.process.poll() is None, child.said()
    return "the worker runs" in child.said()


def _program() -> list[str]:
    return [sys.executable, "-m", "engine.cli.main"]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
