"""The workers on Kafka under rehearsal: on given brokers, in topics of their own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import yaml
from pydantic import SecretStr

from engine.contracts.errors import SellableError
from engine.kafka.catalogue import wanted
from engine.kafka.settings import KafkaSettings
from engine.kafka.topics_admin import create, remove
from engine.rehearsal.kafka_bridge import Configuration
from engine.rehearsal.playing import wall
from engine.rehearsal.processes import end
from engine.rehearsal.rules_copy import RulesCopy
from engine.rehearsal.samples import Sample, SampleFile
from engine.rehearsal.target import RehearsalError

INGEST, LEDGER, PUBLISH, BRIDGE = "ingest", "ledger", "publish", "bridge"
WORKERS: Final = (INGEST, LEDGER, PUBLISH)
PROCESSES: Final = (*WORKERS, BRIDGE)  # in the order in which they are stopped
RUNS: Final = "the worker runs"
"""What every worker says when it has begun."""
SOURCE: Final = "rehearsal"
START_SECONDS: Final = 120.0  # the longest that workers may take until they run
STALLED_SECONDS: Final = 60.0  # so long nothing is taken of what came before: it has broken off
CHANNELS_SECONDS: Final = 20.0  # what came before need not be told for longer than that
LOOK_SECONDS: Final = 0.05
ENVIRONMENT_PREFIX: Final = "SELLABLE_"
OWNER_ONLY: Final = 0o600
PR_SET_PDEATHSIG: Final = 1  # Linux: the signal that a process gets when its parent has ended


class KafkaTargets:
    """Workers that have taken `before`, each time under a topic prefix of their own."""

    runtime: Final = "Kafka"
    parts: Sequence[str] = WORKERS

    def __init__(
        self,
        settings: KafkaSettings,
        rules: Path,
        channels: Sequence[str],
        overrides: Mapping[str, str],
        before: Callable[[], Iterable[bytes]],
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._channels = channels
        self._overrides = overrides
        self._before = before

    def fresh(self, folder: Path) -> KafkaTarget:
        """Return workers that run, and have taken it all anew.

        Raises:
            BrokersError: the brokers do not make the topics.
            RehearsalError: the workers failed, or came to a standstill.
        """
        prefix = f"{self._settings.topic_prefix}rehearsal-{secrets.token_hex(4)}."
        more = {"topic_prefix": prefix, "sources": (SOURCE,), "overrides": dict(self._overrides)}
        settings = self._settings.model_copy(update=more)
        target = KafkaTarget(folder, self._rules, self._channels, settings)
        try:
            target.warm_up(self._before())
        except BaseException:
            target.kill()
            target.discard()
            raise
        return target


class KafkaTarget:
    """An ingest, a ledger and a publish worker, and the bridge that files the outputs."""

    def __init__(
        self, folder: Path, rules: Path, channels: Sequence[str], settings: KafkaSettings
    ) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._rules = RulesCopy(rules, folder / "rules")
        self._settings = settings.model_copy(update={"rules": self._rules.folder})
        self._channels = channels
        self._samples = SampleFile(folder / "samples.ndjson")
        self._workers = folder / "workers.json"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._topics = wanted(self._settings, channels)
        self.entrance.touch()
        self.out.mkdir()
        self._write_settings()
        asyncio.run(create(self._settings, self._topics))

    @property
    def out(self) -> Path:
        """The folder that the bridge files its outputs in."""
        return self._folder / "out"

    @property
    def entrance(self) -> Path:
        """The file whose lines the bridge sends."""
        return self._folder / "movements.ndjson"

    def warm_up(self, lines: Iterable[bytes]) -> None:
        """Start, take lines as fast as they can be taken, and tell the channels of them.

        Raises:
            RehearsalError: the workers failed, or came to a standstill.
        """
        self.start()
        count = 0
        with self.entrance.open("ab") as file:
            for line in lines:
                file.write(line + b"\n")
                count += 1
        taken, moved_at = 0, time.monotonic()
        while taken < count:
            time.sleep(LOOK_SECONDS)
            newest = self.newest()
            if newest is not None and newest.received > taken:
                taken, moved_at = newest.received, time.monotonic()
            if time.monotonic() - moved_at > STALLED_SECONDS:
                raise self._broken(f"at movement {taken} of {count} of what came before")
        self._wait_for_channels()

    def _wait_for_channels(self) -> None:
        taken_at = wall()
        deadline = time.monotonic() + CHANNELS_SECONDS
        while time.monotonic() < deadline:
            newest = self.newest()
            if (
                newest is not None
                and newest.known_to > taken_at
                and not any(newest.by_rate.values())
            ):
                return
            time.sleep(LOOK_SECONDS)

    def start(self) -> None:
        """Start what does not run, and wait until all of it does.

        Raises:
            RehearsalError: something did not.
        """
        said = {name: self._log(name).stat().st_size for name in WORKERS if self._has_log(name)}
        begun = [name for name in PROCESSES if name not in self._processes]
        for name in begun:
            self._processes[name] = self._launch(name)
        self._tell_bridge()
        deadline = time.monotonic() + START_SECONDS
        while not all(self._runs(name, said.get(name, 0)) for name in begun):
            if time.monotonic() > deadline:
                raise self._broken("at its start")
            self._check()
            time.sleep(LOOK_SECONDS)

    def crash(self, part: str | None) -> None:
        """Kill a worker, by default the ledger."""
        self._kill(part or LEDGER)
        self._tell_bridge()

    def kill(self) -> None:
        """Kill all processes at once."""
        for name in list(self._processes):
            self._kill(name)

    def stop(self) -> None:
        """Stop the workers in order, and the bridge when it has filed what they told.

        Raises:
            RehearsalError: one did not end well.
        """
        for name in PROCESSES:
            process = self._processes.pop(name, None)
            fault = "" if process is None else end(process)
            if fault:
                raise self._broken(f"at its end: {fault}", name)

    def newest(self) -> Sample | None:
        """Return the last sample.

        Raises:
            RehearsalError: a worker or the bridge has ended by itself.
        """
        self._check()
        return self._samples.newest() if self._samples.length else None

    def samples(self) -> list[Sample]:
        """Return all samples."""
        return self._samples.all()

    def throttle(self, channel: str, rate: str | None) -> None:
        """Change the copy of the rules folder: the ingest worker looks there every second."""
        self._rules.throttle(channel, rate)

    def discard(self) -> None:
        """Remove its topics, and the file that may hold a password."""
        self._settings_file.unlink(missing_ok=True)
        try:
            asyncio.run(remove(self._settings, [topic.name for topic in self._topics]))
        except SellableError as error:
            log = structlog.get_logger("sellable.rehearsal")
            log.warning(
                "the topics of the rehearsal could not be removed",
                prefix=self._settings.topic_prefix,
                reason=error.message,
            )

    # --- processes -----------------------------------------------------------------------------

    @property
    def _settings_file(self) -> Path:
        return self._folder / "kafka.yaml"

    def _write_settings(self) -> None:
        told = {name: _plain(value) for name, value in self._settings if value is not None}
        file = os.open(self._settings_file, os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
        with os.fdopen(file, "w", encoding="utf-8") as settings:
            yaml.safe_dump(told, settings)

    def _launch(self, name: str) -> subprocess.Popen[bytes]:
        if name == BRIDGE:
            words = ["engine.rehearsal.kafka_bridge", str(self._write_bridge())]
        else:
            words = ["engine.cli.main", "worker", name, "--config", str(self._settings_file)]
            words += ["--data", str(self._folder / "data" / name)]
        # What the environment says goes before the file; it may name another prefix.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(ENVIRONMENT_PREFIX)
        }
        with self._log(name).open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=kept,
                preexec_fn=_end_with_parent,
            )

    def _write_bridge(self) -> Path:
        path = self._folder / "bridge.json"
        configuration = Configuration(
            settings=str(self._settings_file),
            channels=list(self._channels),
            source=SOURCE,
            entrance=str(self.entrance),
            out=str(self.out),
            samples=str(self._samples.path),
            workers=str(self._workers),
        )
        path.write_bytes(msgspec.json.encode(configuration))
        return path

    def _tell_bridge(self) -> None:
        """Tell whose processor time and memory count."""
        told = {name: self._processes[name].pid for name in WORKERS if name in self._processes}
        unfinished = self._workers.with_suffix(".unfinished")
        unfinished.write_bytes(msgspec.json.encode(told))
        unfinished.replace(self._workers)

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def _runs(self, name: str, said_before: int) -> bool:
        if name == BRIDGE:
            return self._samples.length > 0
        return RUNS.encode() in self._log(name).read_bytes()[said_before:]

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise self._broken("while it was needed", name)

    def _has_log(self, name: str) -> bool:
        return self._log(name).exists()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _broken(self, when: str, name: str | None = None) -> RehearsalError:
        names = [name] if name else PROCESSES
        said = "\n".join(
            self._log(each).read_text(errors="replace").strip()
            for each in names
            if self._has_log(each)
        )
        return RehearsalError(f"{name or 'the engine'} failed {when}\n{said}".strip())


def _plain(value: Any) -> Any:
    """A setting as YAML has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _end_with_parent() -> None:
    """A rehearsal that is killed leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
