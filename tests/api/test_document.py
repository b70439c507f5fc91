"""The OpenAPI document: complete, exact, and what the service really does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.api.service_under_test import EmbeddedEngine, Shop

METHODS = ("get", "post", "put", "patch", "delete")
EXAMPLES = 8  # of each kind that schemathesis makes up for each call
SECONDS = 240
EXPECTED = """\
# Random texts are no rules, and a random tag is not that of the rules in force.
[[operations]]
include-path-regex = "^/v1/rules"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 412, 422]
[operations.checks.missing_required_header]
expected-statuses = [428]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """An engine that knows the SKU of the examples, under a channel of the examples."""
    made = EmbeddedEngine(tmp_path_factory.mktemp("service"))
    made.start()
    shop = Shop(made.url)
    shop.stocked(1_000_000, "S-1", "10-0001")
    shop.close()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def document(engine: EmbeddedEngine) -> dict[str, Any]:
    """The document as the service tells it."""
    told: dict[str, Any] = engine.client.get("/openapi.json").json()
    return told


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every call: method, path, and what is said of it."""
    for path, told in document["paths"].items():
        for method in METHODS:
            if method in told:
                yield method, path, told[method]


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check a value against a schema of the document."""
    whole = {**schema, "components": document["components"]}
    jsonschema.validate(value, whole, jsonschema.Draft202012Validator)


def test_the_document_has_every_call_of_the_contract(document: dict[str, Any]) -> None:
    """None is left out."""
    found = {(method.upper(), path) for method, path, _ in operations(document)}
    steps = ("confirm", "release", "fulfil", "allocate")
    reservation = "/v1/reservations/{sku}/{reservation}"
    assert found >= {
        ("POST", "/v1/movements"),
        ("GET", "/v1/availability"),
        ("POST", "/v1/availability/lookup"),
        ("GET", "/v1/stock/{sku}"),
        ("POST", "/v1/reservations"),
        ("GET", reservation),
        *(("POST", f"{reservation}/{step}") for step in steps),
        ("GET", "/v1/explain"),
        ("GET", "/v1/channels"),
        ("GET", "/v1/exceptions"),
        ("POST", "/v1/exceptions/{exception}/replay"),
        ("POST", "/v1/exceptions/{exception}/dismiss"),
        ("GET", "/v1/rules"),
        ("POST", "/v1/rules/what-if"),
        ("PUT", "/v1/rules"),
        ("POST", "/v1/observations"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }
    assert document["openapi"].startswith("3.1")


def test_every_call_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    """Of its body, of each answer, of each parameter of a path."""
    for method, path, told in operations(document):
        place = f"{method} {path}"
        assert told["summary"], place
        assert told["description"], place
        body = told.get("requestBody", {}).get("content", {})
        if body:
            check(document, body["application/json"]["schema"], body["application/json"]["example"])
        for parameter in told.get("parameters", ()):
            if "example" in parameter:
                check(document, parameter["schema"], parameter["example"])
            assert parameter["in"] != "path" or "example" in parameter, place
        for status, answer in told["responses"].items():
            for content in answer.get("content", {}).values():
                assert "example" in content, f"{place} {status}"
                check(document, content["schema"], content["example"])


def test_every_example_of_a_call_is_understood(
    engine: EmbeddedEngine, document: dict[str, Any]
) -> None:
    """Sent as it stands, none is malformed, invalid or of a wrong media type."""
    for method, path, told in operations(document):
        query: dict[str, Any] = {}
        headers: dict[str, str] = {}
        for parameter in told.get("parameters", ()):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
            elif parameter["in"] == "query" and "example" in parameter:
                query[parameter["name"]] = parameter["example"]
            elif parameter["in"] == "header" and parameter["required"]:
                headers[parameter["name"]] = parameter["example"]
        body = told.get("requestBody", {}).get("content", {}).get("application/json", {})
        answer = engine.client.request(
            method,
            path,
            params=query,
            headers=headers,
            json=body.get("example") if body else None,
        )
        # 412: the rules of the example are not those in force.
        assert answer.status_code in (200, 201, 404, 409, 412), f"{method} {path}: {answer.text}"


def test_schemathesis_finds_no_difference_between_document_and_service(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    """Examples, borders of the schemas, random data sound and not, and sequences of calls."""
    (tmp_path / "schemathesis.toml").write_text(EXPECTED)
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{engine.url}/openapi.json",
            f"--max-examples={EXAMPLES}",
            "--seed=1",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "23 selected / 23 total" in done.stdout
    assert "Failures:" not in done.stdout
