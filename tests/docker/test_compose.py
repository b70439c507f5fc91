"""The compose file and what it mounts: checked without containers, with what is at hand."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

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


@pytest.mark.parametrize("name", OURS)
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
    environment = OURS[name]["environment"]
    for variable, value in environment.items():
        assert variable.removeprefix("SELLABLE_KAFKA_").lower() in KafkaSettings.model_fields
        monkeypatch.setenv(variable, value)
    (rules,) = (path for path, target in mounted(OURS[name]) if target == "/rules")
    monkeypatch.setenv("SELLABLE_KAFKA_RULES", str(rules))
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


def test_prometheus_looks_at_every_kind_of_worker_where_it_serves() -> None:
    """By its name and port on the network of the compose file, and reads the alerts."""
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    port = SERVICES["ingest"]["environment"]["SELLABLE_KAFKA_METRICS_LISTEN"].rpartition(":")[2]
    found = {
        job["job_name"]: (job["dns_sd_configs"][0]["names"], job["dns_sd_configs"][0]["port"])
        for job in config["scrape_configs"]
    }
    assert found == {kind: ([kind], int(port)) for kind in KINDS}
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
