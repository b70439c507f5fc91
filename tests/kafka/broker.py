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


SECURED = """\
listeners=SASL_SSL://127.0.0.1:{port},INSIDE://127.0.0.1:{inside_port},CONTROLLER://127.0.0.1:{{controller_port}}
advertised.listeners=SASL_SSL://127.0.0.1:{port},INSIDE://127.0.0.1:{inside_port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INSIDE
ssl.keystore.location={keystore}
ssl.keystore.password={password}
ssl.keystore.type=PKCS12
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


class JavaBroker:
    """The broker as a child process; `secured` are listeners in place of the one in clear text."""

    def __init__(
        self, folder: Path, jars: Path, port: int, secured: str = "", login: str = ""
    ) -> None:
        self._folder = folder
        self._jars = jars
        self._port = port
        self._child: Child | None = None
        self._starts = 0
        self.bootstrap = f"127.0.0.1:{self._port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "server.properties"
        kept = [line for line in SETTINGS.splitlines() if not secured or "listeners=" not in line]
        settings = "\n".join([*kept, secured])
        self._settings.write_text(
            settings.format(
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
        words += ["--add-scram", f"SCRAM-SHA-512=[{login}]"] if login else []
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
    jars = _fetch()
    port = free_port() if port is None else port
    return DockerBroker(folder, port) if jars is None else JavaBroker(folder, jars, port)


def make_secured_broker(folder: Path, user: str, password: str) -> tuple[Broker, Path]:
    """A broker that talks over TLS with who logs in, and the certificate to trust.

    Raises:
        MissingPartError: there is no Java.
    """
    jars = _fetch()
    if jars is None:
        raise MissingPartError("Java was not found: sudo apt-get install openjdk-17-jre-headless")
    folder.mkdir(parents=True)
    keystore, certificate, port = folder / "keys.p12", folder / "ca.pem", free_port()
    common = ["-keystore", str(keystore), "-storepass", password, "-alias", "broker"]
    made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-storetype", "PKCS12"]
    _run("keytool", *made, "-ext", "san=ip:127.0.0.1", *common)
    _run("keytool", "-exportcert", "-rfc", "-file", str(certificate), *common)
    secured = SECURED.format(
        port=port, inside_port=free_port(), keystore=keystore, password=password
    )
    login = f"name={user},password={password}"
    return JavaBroker(folder / "broker", jars, port, secured, login), certificate


def _fetch() -> Path | None:
    """Where the jars are, None where a Docker engine is to be used."""
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
    return Path(jars) if jars else None


def named_broker() -> NamedBroker | None:
    """The broker that the environment names, if it does."""
    bootstrap = os.environ.get(BOOTSTRAP_VARIABLE)
    return NamedBroker(bootstrap) if bootstrap else None


def _variable(name: str, value: str) -> str:
    """A setting as the image takes it: `KAFKA_PROCESS_ROLES=broker`."""
    return f"KAFKA_{name.upper().replace('.', '_')}={value}"


def _docker(*words: str) -> str:
    return _run("docker", *words)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
