"""The compose file and what it mounts: checked without containers, with what is at hand."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from engine.api.embedded import EmbeddedRuntime
from engine.api.kafka import process
from engine.api.keys import find_key, read_keys
from engine.api.metrics import ServiceMetrics
from engine.api.roles import Role
from engine.cli import worker as worker_commands
from engine.cli.main import invoke
from engine.kafka import topics_admin
from engine.kafka.catalogue import Wanted
from engine.kafka.settings import KafkaSettings
from engine.telemetry.metrics import WorkerMetrics

PROJECT = Path(__file__).parents[2]
DOCKER = PROJECT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "sellable"}
KINDS = ("ingest", "ledger", "publish", "dispatch")
BY_SHELL = {"keys"}
"""Services whose command is not ours alone."""
HTTP = {"api"}
WITH_LABELS = re.compile(r"\b(sellable_[a-z_]+)(\{[^}]*\})?")
NAME = re.compile(r"\bsellable_[a-z_]+")


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the alerts and of the dashboard, with where it stands."""
    alerts = yaml.safe_load((DOCKER / "prometheus/alerts.yml").read_text())
    for group in alerts["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    dashboard = json.loads((DOCKER / "grafana/dashboards/sellable.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]


def names_of(registry: CollectorRegistry) -> set[str]:
    """The names under which Prometheus knows what a worker counts."""
    found = set()
    for metric in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        found |= {metric.name + suffix for suffix in suffixes.get(metric.type, ("",))}
    return found


def mounted(service: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files and folders of the project that a service sees, and where."""
    for volume in service.get("volumes", []):
        source, target = volume.split(":")[:2]
        if source.startswith("."):
            yield (DOCKER / source).resolve(), target


def given(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let this process have the environment of a service, and find the rules that it sees."""
    environment: dict[str, str] = service["environment"]
    for variable, value in environment.items():
        setting = variable.removeprefix("SELLABLE_KAFKA_").lower()
        assert setting in KafkaSettings.model_fields or variable == "SELLABLE_KEYS"
        monkeypatch.setenv(variable, value)
    (rules,) = (path for path, target in mounted(service) if target == "/rules")
    monkeypatch.setenv("SELLABLE_KAFKA_RULES", str(rules))
    return environment


def make_keys(folder: Path) -> str:
    """Do what the service that makes the first keys does, in a folder of ours."""
    service = OURS["keys"]
    (script,) = service["command"]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [*service["entrypoint"], script.replace("$$", "$")],
        env={"PATH": programs, "SELLABLE_KEYS": str(folder / "keys.json")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("name", OURS.keys() - BY_SHELL - HTTP)
def test_our_command_line_takes_the_command_of_every_service(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment of the service, and the folders that it sees."""
    called: list[tuple[str, KafkaSettings]] = []

    async def made(settings: KafkaSettings, wanted: list[Wanted]) -> list[str]:
        called.append(("topics", settings))
        return [topic.name for topic in wanted]

    monkeypatch.setattr(worker_commands, "_run", lambda *given: called.append(given))
    monkeypatch.setattr(topics_admin, "create", made)
    environment = given(OURS[name], monkeypatch)
    assert invoke(shlex.split(OURS[name]["command"])) == 0
    if name != "tools":
        ((kind, settings),) = called
        assert kind == name
        assert settings.brokers == environment["SELLABLE_KAFKA_BROKERS"]
        settings.refuse_clear_text()
        settings.refuse_clear_redis()


def test_all_kinds_of_worker_run_once_the_topics_are_made() -> None:
    """And what they need is there before."""
    assert set(KINDS) <= OURS.keys()
    for kind in KINDS:
        waits = SERVICES[kind]["depends_on"]
        assert waits["topics"]["condition"] == "service_completed_successfully"
    assert SERVICES["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()


def test_the_first_keys_are_made_once(tmp_path: Path) -> None:
    """One is shown, one is for Prometheus; where there are keys, there is nothing to do."""
    shown = make_keys(tmp_path).split()
    scrape = (tmp_path / "prometheus.key").read_text().split()
    keys = {key.id: key for key in read_keys(tmp_path / "keys.json")}
    roles = {find_key(keys, text).role for text in (*shown, *scrape)}  # type: ignore[union-attr]
    assert (len(shown), len(scrape), roles) == (1, 1, {Role.OPERATOR, Role.AUDITOR})
    assert make_keys(tmp_path) == ""
    assert len(read_keys(tmp_path / "keys.json")) == 2


def test_http_is_served_with_the_keys_that_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before there are any; then the command may listen beyond its container."""
    service = OURS["api"]
    given(service, monkeypatch)
    folder = PurePosixPath(service["environment"]["SELLABLE_KEYS"]).parent
    for name in ("keys", "api", "tools"):
        volume = next(each for each in OURS[name]["volumes"] if each.startswith("keys:"))
        assert volume.split(":")[1] == str(folder)
        assert OURS[name]["environment"]["SELLABLE_KEYS"] == str(folder / "keys.json")
    waits = service["depends_on"]["keys"]["condition"]
    assert waits == "service_completed_successfully"
    served: list[str] = []
    monkeypatch.setattr(process, "serve", lambda _, server: served.append(server.address))
    monkeypatch.setenv("SELLABLE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("SELLABLE_KAFKA_DATA", str(tmp_path / "data"))
    command = shlex.split(service["command"].replace(":8080", ":0"))
    assert invoke(command) == 2
    make_keys(tmp_path)
    assert invoke(command) == 0
    assert len(served) == 1
    (port,) = service["ports"]
    assert service["command"].split(":")[1].startswith(port.rpartition(":")[2])


def test_everything_that_is_mounted_or_built_is_there() -> None:
    """No path leads nowhere, and every named volume is declared."""
    for service in SERVICES.values():
        for path, _ in mounted(service):
            assert path.exists()
        for volume in service.get("volumes", []):
            if not volume.startswith("."):
                assert volume.split(":")[0] in COMPOSE["volumes"]
    build = OURS["ingest"]["build"]
    assert ((DOCKER / build["context"]).resolve() / build["dockerfile"]).is_file()


def test_nothing_listens_outside_this_machine() -> None:
    """It talks in clear text, without passwords."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_metric_in_alerts_and_dashboard_is_one_that_workers_have() -> None:
    """Otherwise an alert would never fire, and nobody would notice."""
    known = names_of(WorkerMetrics().registry)
    unknown = [
        (where, name)
        for where, expression in expressions()
        for name in NAME.findall(expression)
        if name not in known
    ]
    assert unknown == []


def test_every_metric_that_workers_have_is_on_the_dashboard() -> None:
    """What is worth counting is worth looking at."""
    shown = {
        name
        for where, expression in expressions()
        if where.startswith("panel")
        for name in NAME.findall(expression)
    }
    counted = {name for name in names_of(WorkerMetrics().registry) if "_delay_" not in name}
    assert counted - shown == set()


def test_what_http_tells_of_the_whole_engine_is_not_added_to_what_workers_tell() -> None:
    """Of a metric that both have, that of the workers is asked for."""
    told = {
        metric.name.removesuffix("_total")
        for metric in ServiceMetrics(EmbeddedRuntime()).registry.collect()
    }
    for where, expression in expressions():
        for name, labels in WITH_LABELS.findall(expression):
            if name.removesuffix("_total") in told:
                assert labels in ('{job="ledger"}', '{job="publish"}'), where


def test_prometheus_looks_at_every_kind_of_worker_where_it_serves() -> None:
    """By its name and port on the network of the compose file, and reads the alerts."""
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    port = SERVICES["ingest"]["environment"]["SELLABLE_KAFKA_METRICS_LISTEN"].rpartition(":")[2]
    found = {
        job["job_name"]: (job["dns_sd_configs"][0]["names"], job["dns_sd_configs"][0]["port"])
        for job in config["scrape_configs"]
    }
    assert found == {**{kind: ([kind], int(port)) for kind in KINDS}, "api": (["api"], 8080)}
    (key,) = (
        job["authorization"]["credentials_file"]
        for job in config["scrape_configs"]
        if "authorization" in job
    )
    assert "keys:/keys:ro" in SERVICES["prometheus"]["volumes"]
    assert key == "/keys/prometheus.key"
    ((folder, target),) = mounted(SERVICES["prometheus"])
    for file in config["rule_files"]:
        assert (folder / Path(file).relative_to(target)).is_file()


def test_grafana_finds_its_data_source_and_its_dashboard() -> None:
    """The names agree between the files."""
    source = yaml.safe_load(
        (DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )
    (prometheus,) = source["datasources"]
    host, _, port = prometheus["url"].removeprefix("http://").partition(":")
    assert host in SERVICES
    assert any(each.endswith(f":{port}") for each in SERVICES[host]["ports"])
    dashboard = json.loads((DOCKER / "grafana/dashboards/sellable.json").read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {prometheus["uid"]}
    provider = yaml.safe_load(
        (DOCKER / "grafana/provisioning/dashboards/sellable.yaml").read_text()
    )
    path = provider["providers"][0]["options"]["path"]
    assert path in [target for _, target in mounted(SERVICES["grafana"])]


def test_every_alert_says_what_to_do() -> None:
    """Somebody reads it at three in the morning; the operators' page names it too."""
    page = (PROJECT / "docs/kafka/operating.md").read_text()
    alerts = yaml.safe_load((DOCKER / "prometheus/alerts.yml").read_text())
    for rule in alerts["groups"][0]["rules"]:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"].endswith(".")
        assert rule["labels"]["severity"] in ("critical", "high", "medium")
        assert f"`{rule['alert']}`" in page
