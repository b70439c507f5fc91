"""The commands `topics`, `worker` and `lookup` as they are typed, against real parts."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.cli.examples import BROKERS, EXAMPLES, Example
from engine.cli.main import invoke
from tests.cli.conftest import PATIENCE_SECONDS, PROJECT
from tests.cli.test_examples import with_program
from tests.kafka.broker import Broker
from tests.kafka.processes import Child, until
from tests.kafka.redis_server import RedisServer

REDIS = "redis://127.0.0.1:6379/0"
KINDS = ("ingest", "ledger", "publish", "dispatch")
TYPED = [
    (command, example)
    for command, examples in EXAMPLES.items()
    for example in examples
    if example.needs_brokers and not example.until_stopped
]
WORKERS = {
    kind: example
    for kind in KINDS
    for example in EXAMPLES[f"worker {kind}"]
    if example.until_stopped
}


class Place:
    """A folder with rules, a broker and a Redis, and a shell in it."""

    def __init__(self, folder: Path, broker: Broker, redis: RedisServer) -> None:
        self.folder = folder
        self.broker = broker
        self._redis = redis
        self._environment = with_program(folder)

    def here(self, line: str) -> str:
        """A command line with the addresses of this place."""
        return line.replace(BROKERS, self.broker.bootstrap).replace(REDIS, self._redis.url)

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Type a line into the shell and wait for its end."""
        return subprocess.run(
            ["/bin/sh", "-c", self.here(line)],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def start(self, line: str, log: str) -> Child:
        """Type a line that runs until it is stopped."""
        command = f"cd {self.folder} && exec {self.here(line)}"
        return Child(["/bin/sh", "-c", command], self.folder / log, self._environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A broker and a Redis without prefixes, since examples have none; topics are made."""
    from tests.kafka.broker import make_broker

    folder = tmp_path_factory.mktemp("commands")
    shutil.copytree(PROJECT / "rules", folder / "rules")
    movements = (PROJECT / "tests/cli/movements.ndjson").read_bytes()
    (folder / "movements.ndjson").write_bytes(movements)
    (folder / "movements.ndjson.gz").write_bytes(gzip.compress(movements))
    broker, redis = make_broker(folder / "broker"), RedisServer(folder)
    broker.start()
    redis.start()
    found = Place(folder, broker, redis)
    made = found.type(EXAMPLES["topics create"][0].command)
    assert made.returncode == 0, made.stderr
    yield found
    redis.stop()
    broker.kill()


@pytest.mark.parametrize(
    ("command", "example"), TYPED, ids=[f"{name}: {each.says}" for name, each in TYPED]
)
def test_an_example_works_as_it_stands(place: Place, command: str, example: Example) -> None:
    """With the addresses of the broker and the Redis of this test in place of those shown."""
    done = place.type(example.command)
    assert done.stderr == "", done.stdout
    assert done.returncode in ((0, 1) if example.judges else (0,)), done.stdout
    assert done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_worker_runs_until_it_is_stopped(place: Place, kind: str) -> None:
    """SIGTERM ends it with 0."""
    with ExitStack() as ending:

        def start(name: str, log: str) -> Child:
            child = place.start(WORKERS[name].command, log)
            ending.callback(child.kill)
            until(lambda: runs(child), f"{name} runs")
            return child

        started = [start(name, f"{kind}-{name}.log") for name in dict.fromkeys(("ingest", kind))]
        for child in reversed(started):
            assert child.stop(signal.SIGTERM) == 0, child.said()
            assert "the worker has stopped" in child.said()


def runs(child: Child) -> bool:
    """Whether a worker says that it runs."""
    assert child.process.poll() is None, child.said()
    return "the worker runs" in child.said()


def test_check_names_each_difference_and_ends_with_1(place: Place) -> None:
    """A topic that is missing, another number of partitions, another setting."""
    line = f"sellable topics check --brokers {BROKERS} --rules rules"
    told = place.type(f"{line} --partitions 4 --sources kiosk --json")
    assert told.returncode == 1
    differences = json.loads(told.stdout)["differences"]
    assert {"topic": "movements.kiosk", "found": None}.items() <= differences[0].items()
    wrong = next(each for each in differences if each["topic"] == "ledger.envelopes")
    assert (wrong["what"], wrong["wanted"], wrong["found"]) == ("partitions", "4", "3")
    people = place.type(f"{line} --partitions 4")
    assert "ledger.envelopes: partitions is 3, should be 4" in people.stdout


def test_only_incoming_topics_are_sent_to(place: Place) -> None:
    """What the engine says, nobody else may say."""
    for topic, told in (
        ("availability.web-shop", "nobody but"),
        ("movements.outcomes", "nobody"),
        ("movements.nowhere", "--sources nowhere"),
    ):
        done = place.type(f"echo '{{}}' | sellable topics send --topic {topic} --brokers {BROKERS}")
        assert done.returncode in (1, 2)
        assert told in done.stderr


def test_without_brokers_the_commands_say_what_to_check(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With exit status 1."""
    rules = PROJECT / "rules"
    for line in ("topics create", "topics check", f"worker ingest --data {tmp_path}"):
        words = [*line.split(), "--brokers", "127.0.0.1:1", "--rules", str(rules)]
        assert invoke(words) == 1
        assert "127.0.0.1:1" in capfd.readouterr().err


def test_what_is_wrong_is_one_json_object_for_programs(place: Place) -> None:
    """Nothing that the brokers' client logs stands beside it."""
    done = place.type("sellable topics check --json --brokers 127.0.0.1:1 --rules rules")
    assert done.returncode == 1
    assert set(json.loads(done.stderr)) == {"error", "advice"}


def test_an_input_or_a_source_that_cannot_be_is_a_wrong_call(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With exit status 2, before any broker is asked."""
    for line, told in (
        (f"topics send {tmp_path}/none --topic movements.pos", "there is no input file"),
        (f"topics send {tmp_path} --topic movements.pos", "is a folder"),
        ("topics create --sources a%b", "make the name of a topic"),
    ):
        assert invoke([*line.split(), "--brokers", "127.0.0.1:1"]) == 2
        assert told in capfd.readouterr().err


def test_clear_text_to_brokers_elsewhere_is_a_wrong_call(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Nothing is connected."""
    assert invoke(["worker", "ledger", "--brokers", "kafka.example:9092"]) == 2
    assert "clear text" in capfd.readouterr().err
