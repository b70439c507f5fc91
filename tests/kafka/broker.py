"""A real Kafka broker (KRaft, one node) that the tests start, stop, kill and pause themselves.

What is used, in this order: the broker that `KAFKA_BOOTSTRAP` names, Java 17 with the jars that
`tests/kafka/fetch` brings into the cache, a Docker engine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Protocol

from tests.kafka.processes import Child, MissingPartError, free_port, until

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP"
FETCH = Path(__file__).with_name("fetch")
IMAGE = "apache/kafka:4.1.0"
CLUSTER = "c2VsbGFibGUtdGVzdC1jbA"
MEMORY = "-Xmx400m"
STARTED = "Kafka Server started"

SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
log.retention.check.interval.ms=1000
num.network.threads=2
num.io.threads=4
"""

LOGGING = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""


class Broker(Protocol):
    """A broker as tests use it; `bootstrap` stays the same through stop and start."""

    bootstrap: str

    def start(self) -> None:
        """Start it, with what it held when it was stopped, and wait until it serves."""
        ...

    def stop(self) -> None:
        """Stop it in good order."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...

    def pause(self) -> None:
        """Let it stand still: connections stay open and nothing is answered."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...


class JavaBroker:
    """The broker as a child process."""

    def __init__(self, folder: Path, jars: Path, port: int) -> None:
        self._folder = folder
        self._jars = jars
        self._port = port
        self._child: Child | None = None
        self._starts = 0
        self.bootstrap = f"127.0.0.1:{self._port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "server.properties"
        self._settings.write_text(
            SETTINGS.format(
                host="127.0.0.1",
                port=self._port,
                controller_port=free_port(),
                data=folder / "data",
            )
        )
        (folder / "log4j2.properties").write_text(LOGGING)
        if (folder / "data" / "meta.properties").exists():
            return
        words = ["format", "--cluster-id", CLUSTER, "--config", str(self._settings)]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", words),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._starts += 1
        log = self._folder / f"broker-{self._starts}.log"
        child = Child(self._java("kafka.Kafka", [str(self._settings)]), log)
        self._child = child

        def serves() -> bool:
            assert child.process.poll() is None, child.said()
            return STARTED in child.said()

        until(serves, "the broker serves")

    def stop(self) -> None:
        """Stop it in good order."""
        self._ended(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._ended(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still."""
        assert self._child is not None
        self._child.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.send(signal.SIGCONT)

    def _ended(self, number: int) -> None:
        if self._child is not None:
            self._child.stop(number)
            self._child = None

    def _java(self, name: str, words: list[str]) -> list[str]:
        return [
            "java",
            MEMORY,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            name,
            *words,
        ]


class DockerBroker:
    """The broker in a container."""

    def __init__(self, folder: Path, port: int) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self._name = f"sellable-test-{uuid.uuid4().hex[:12]}"
        settings = SETTINGS.format(
            host="0.0.0.0",  # inside the container: only the published port is open outside
            port=port,
            controller_port=free_port(),
            data="/var/lib/kafka/data",
        )
        variables = [
            word
            for line in settings.splitlines()
            for word in ("--env", _variable(*line.split("=", 1)))
        ]
        words = ["create", "--name", self._name, "--publish", f"127.0.0.1:{port}:{port}"]
        _docker(*words, *variables, "--env", f"CLUSTER_ID={CLUSTER}", IMAGE)
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it and wait until it serves."""
        before = _docker("logs", self._name).count(STARTED)
        _docker("start", self._name)
        until(lambda: _docker("logs", self._name).count(STARTED) > before, "the broker serves")

    def stop(self) -> None:
        """Stop it in good order."""
        _docker("stop", self._name)

    def kill(self) -> None:
        """Kill it."""
        subprocess.run(["docker", "kill", self._name], capture_output=True, check=False)

    def pause(self) -> None:
        """Let it stand still."""
        _docker("pause", self._name)

    def resume(self) -> None:
        """Let it go on."""
        _docker("unpause", self._name)


class NamedBroker:
    """A broker that somebody else runs: it cannot be stopped from here."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


def make_broker(folder: Path, port: int | None = None) -> Broker:
    """A broker of one's own, with its data in the folder, not started yet.

    It listens on a port that nobody uses if none is named.

    Raises:
        MissingPartError: there is neither Java nor a Docker engine.
    """
    found = subprocess.run(
        [str(FETCH)],
        env={name: value for name, value in os.environ.items() if name != BOOTSTRAP_VARIABLE},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        raise MissingPartError(found.stderr)
    jars = found.stdout.strip()
    port = free_port() if port is None else port
    return JavaBroker(folder, Path(jars), port) if jars else DockerBroker(folder, port)


def named_broker() -> NamedBroker | None:
    """The broker that the environment names, if it does."""
    bootstrap = os.environ.get(BOOTSTRAP_VARIABLE)
    return NamedBroker(bootstrap) if bootstrap else None


def _variable(name: str, value: str) -> str:
    """A setting as the image takes it: `KAFKA_PROCESS_ROLES=broker`."""
    return f"KAFKA_{name.upper().replace('.', '_')}={value}"


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
