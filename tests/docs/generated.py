"""The parts of the documentation that follow from the code.

Each stands in a page between `<!-- begin NAME -->` and `<!-- end NAME -->`. After a change of the
code write them anew, at the root of the project:

    python -m tests.docs.generated
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest.mock import patch

from prometheus_client.metrics import MetricWrapperBase

from engine.cli.examples import EXAMPLES
from engine.cli.kafka_settings import default_of, flag_of, has_option
from engine.cli.main import invoke
from engine.contracts.exceptions import (
    ADVICE,
    CODES,
    REFUSED_CODES,
    UNKNOWN_CHANNEL,
    severity_of,
)
from engine.contracts.limits import MAX_QUANTITY
from engine.contracts.movement_fields import ALWAYS_NEEDED, NEEDS, TypeNeeds
from engine.kafka.catalogue import DAY_MS
from engine.kafka.catalogue import TOPICS as KAFKA_TOPICS
from engine.kafka.settings import KafkaSettings
from engine.rules import list_settings
from engine.telemetry.metrics import WorkerMetrics
from tests.docs import http_parts
from tests.docs.tables import table

PROJECT: Final = Path(__file__).parents[2]
DOCS: Final = PROJECT / "docs"
TOPICS: Final = PROJECT / "topics"
HELP_COLUMNS: Final = 80

_PART = re.compile(r"(<!-- begin ([^ ]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def pages() -> list[Path]:
    """Every page of the documentation, the README first."""
    return [PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))]


def names_in(text: str) -> list[str]:
    """The names of the generated parts of a page."""
    return [found[2] for found in _PART.finditer(text)]


def rendered(text: str) -> str:
    """The page with its generated parts written anew."""
    return _PART.sub(lambda found: f"{found[1]}\n{part(found[2])}\n\n{found[3]}", text)


def part(name: str) -> str:
    """One generated part; `kind` or `kind:argument`."""
    kind, _, argument = name.partition(":")
    if kind == "example":
        return example(argument)
    return PARTS[kind]()


def settings_table() -> str:
    """Every setting with its default, option, environment variable and help."""
    return table(
        ("setting in `engine.yaml`", "default", "option", "environment", "meaning"),
        (
            (f"`{s.name}`", f"`{s.default}`", f"`{s.flag}`", f"`{s.environment}`", s.help)
            for s in list_settings()
        ),
    )


def codes_table() -> str:
    """Every exception code with what became of the movement, severity and advice."""
    return table(
        ("code", "movement", "severity", "what to do"),
        (
            (
                f"`{code}`",
                "refused" if code in REFUSED_CODES else "applied",
                _severities(code),
                ADVICE[code],
            )
            for code in CODES
        ),
    )


def _severities(code: str) -> str:
    # Only a reserve can name a channel that nobody knows.
    types = ("reserve",) if code == UNKNOWN_CHANNEL else ("sale", "receipt")
    found = [severity_of(code, name) for name in types]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def types_table() -> str:
    """What each type of movement needs beside what all need."""
    return table(
        ("type", "needs", "quantity"),
        (
            (f"`{name}`", _needed(needs), _quantities(needs) if _has_quantity(name) else "none")
            for name, needs in NEEDS.items()
        ),
    )


def _needed(needs: TypeNeeds) -> str:
    order = ("location", "quantity", "to_location", "from", "to", "reservation")
    return ", ".join(f"`{name}`" for name in order if name in needs.needed)


def _has_quantity(name: str) -> bool:
    return "quantity" in NEEDS[name].needed or name == "release"


def _quantities(needs: TypeNeeds) -> str:
    least = 0 if needs.zero else needs.least
    span = f"{least:,} to {MAX_QUANTITY:,}"
    return f"{span}, not 0" if least < 0 else span


def always_needed() -> str:
    """The fields that every movement has."""
    return ", ".join(f"`{name}`" for name in ("id", "source", "type", "sku", "occurred_at"))


def commands() -> str:
    """The help of every command, as it is printed."""
    blocks = []
    for command in EXAMPLES:
        title = f"sellable {command}".strip()
        blocks.append(f"## {title}\n\n```text\n{help_of(command)}\n```")
    return "\n\n".join(blocks)


def help_of(command: str) -> str:
    """What `--help` prints."""
    output = io.StringIO()
    sizes = {"COLUMNS": str(HELP_COLUMNS), "TERM": "dumb"}
    with patch.dict(os.environ, sizes), contextlib.redirect_stdout(output):
        status = invoke([*command.split(), "--help"])
    assert status == 0, f"sellable {command} --help ends with {status}"
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


def example(path: str) -> str:
    """An example of a topic, on one line as it stands in a file."""
    file = TOPICS / path
    text = file.read_text()
    if file.suffix == ".json":
        compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        return f"```json\n{compact}\n```"
    return f"```json\n{text.strip()}\n```"


def kafka_settings() -> str:
    """Every setting of the workers with its default, option, environment variable and help."""
    return table(
        ("setting", "default", "option", "meaning"),
        (
            (
                f"`{name}`",
                f"`{default_of(name)}`" if default_of(name) else "",
                f"`{flag_of(name)}`" if has_option(name) else "environment or file",
                field.description or "",
            )
            for name, field in KafkaSettings.model_fields.items()
        ),
    )


def kafka_topics() -> str:
    """Every topic with its partitions, what becomes of old messages, and its key."""
    return table(
        ("topic", "direction", "partitions", "old messages", "key", "what"),
        (
            (
                f"`{topic.name}`",
                topic.direction.value,
                "1" if topic.is_single else "as the ledger",
                "compacted"
                if topic.retention_ms is None
                else f"deleted after {topic.retention_ms // DAY_MS} days",
                topic.key,
                topic.summary,
            )
            for topic in KAFKA_TOPICS
        ),
    )


def worker_metrics() -> str:
    """Every metric with its labels and what it says."""
    found = [each for each in vars(WorkerMetrics()).values() if isinstance(each, MetricWrapperBase)]
    return table(("metric", "kind", "labels", "what"), (_metric(each) for each in found))


def _metric(metric: MetricWrapperBase) -> tuple[str, ...]:
    (said,) = metric.describe()
    name = f"{said.name}_total" if said.type == "counter" else said.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"`{name}`", said.type, labels, said.documentation


PARTS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings_table,
    "codes": codes_table,
    "types": types_table,
    "always-needed": always_needed,
    "commands": commands,
    "kafka-settings": kafka_settings,
    "kafka-topics": kafka_topics,
    "worker-metrics": worker_metrics,
    "http-calls": http_parts.calls,
    "http-roles": http_parts.roles,
    "http-problems": http_parts.problems,
    "http-limits": http_parts.limits,
}


def main() -> None:
    """Write every generated part anew."""
    assert {"id", "source", "sku", "occurred_at"} == ALWAYS_NEEDED
    for page in pages():
        text = page.read_text()
        if names_in(text):
            page.write_text(rendered(text))


if __name__ == "__main__":
    main()
