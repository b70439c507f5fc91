"""The OpenAPI document: every call with its schemas and an example, from the declarations alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from engine.api.operations import IDEMPOTENCY_KEY, IF_MATCH, Answer, Body, Operation
from engine.api.problems import MEDIA_TYPE, Problem
from engine.contracts.movement_schema import movement_schema

Schema = dict[str, Any]

TITLE: Final = "sellable"
API_VERSION: Final = "1"
REFERENCE: Final = "#/components/schemas/{name}"
DESCRIPTION: Final = """\
How much of each item every channel may sell: look up, reserve, send movements, explain.

Every error is a problem (RFC 9457) with `detail` and `advice`. Every answer about stock says in
`as_of` and `staleness_seconds` how old it is. Without keys the service answers this machine only.
"""
TAGS: Final = {
    "Availability": "What channels may sell.",
    "Reservations": "Stock that is promised to a customer.",
    "Movements": "What has happened to stock.",
    "Observations": "What other systems believe the stock is.",
    "Stock": "What is where, and why a number is what it is.",
    "Channels": "How channels are kept up to date.",
    "Exceptions": "What could not be applied, or needs a look.",
    "Rules": "What holds stock back.",
    "Service": "The service itself.",
}
_PROBLEMS: Final = {
    400: "The body is no JSON.",
    401: "There is no key, or it is not known.",
    403: "The key may not do this.",
    404: "What is named is not there.",
    408: "The body came too slowly.",
    409: "The present state does not allow it; further members tell what became of it.",
    412: "Something else is there than If-Match names; nothing was done.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "A parameter or a field is not valid.",
    428: "If-Match is missing; nothing was done.",
    429: "The key has made too many calls; wait as long as `Retry-After` tells.",
    501: "The runtime that serves cannot do this; `advice` says what to do instead.",
    503: "The engine is busy, starting or ending: nothing was done; wait as `Retry-After` tells.",
}
_RETRIES: Final = (429, 503)
_EXAMPLE_PROBLEM: Final = {
    "type": "urn:sellable:problem:not-found",
    "title": "Not found",
    "status": 404,
    "detail": "no movement of 10-9999 was ever applied",
    "advice": "Check the SKU; it is known once a movement of it was applied.",
    "instance": "urn:sellable:request:5f2c9d8e7a6b4c3d",
}


def document(operations: Sequence[Operation], version: str) -> Schema:
    """The document over all calls."""
    types = _types_of(operations)
    references, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    by_type = dict(zip(types, references, strict=True))
    for component in components.values():
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])
    _mend(components)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, by_type, components
        )
    for operation in operations:
        components.pop(operation.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `sellable keys create`.",
                }
            },
        },
    }


def _types_of(operations: Iterable[Operation]) -> list[Any]:
    found: dict[Any, None] = {Problem: None}
    for operation in operations:
        found[operation.query] = None
        if operation.body is not None and isinstance(operation.body.type, type):
            found[operation.body.type] = None
        for answer in operation.answers.values():
            if isinstance(answer.type, type) and answer.type is not str:
                found[answer.type] = None
    return list(found)


def _operation(
    operation: Operation, by_type: Mapping[Any, Schema], components: Mapping[str, Schema]
) -> Schema:
    told: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "responses": _responses(operation, by_type),
    }
    parameters = [*_path_parameters(operation), *_query_parameters(operation, components)]
    if operation.idempotent_by_key:
        parameters.append(dict(IDEMPOTENCY_KEY))
    if operation.must_match:
        parameters.append(dict(IF_MATCH))
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        told["requestBody"] = _request_body(operation.body, by_type)
    told["security"] = [{"key": []}, {}] if operation.action is not None else []
    return told


def _path_parameters(operation: Operation) -> list[Schema]:
    return [
        {
            "name": one.name,
            "in": "path",
            "required": True,
            "description": one.description,
            "schema": dict(one.schema),
            "example": one.example,
        }
        for one in operation.path_parameters
    ]


def _query_parameters(operation: Operation, components: Mapping[str, Schema]) -> list[Schema]:
    schema = components.get(operation.query.__name__, {})
    required = schema.get("required", ())
    found = []
    for name, told in schema.get("properties", {}).items():
        kept = _without_null({key: value for key, value in told.items() if key != "description"})
        parameter: Schema = {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": kept,
        }
        if "description" in told:
            parameter["description"] = told["description"]
        if name in operation.query_examples:
            parameter["example"] = operation.query_examples[name]
        found.append(parameter)
    return found


def _without_null(schema: Schema) -> Schema:
    """A parameter is given or not; it is never null."""
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", "") is None:
        del rest["default"]
    if len(choices) == 1:
        return {**choices[0], **rest}
    return {**rest, "anyOf": choices} if choices else rest


def _request_body(body: Body, by_type: Mapping[Any, Schema]) -> Schema:
    content = {}
    for media_type, example in body.examples.items():
        content[media_type] = {"schema": _body_schema(body, media_type, by_type)}
        if example is not None:
            content[media_type]["example"] = example
    return {"required": body.required, "content": content}


def _body_schema(body: Body, media_type: str, by_type: Mapping[Any, Schema]) -> Schema:
    if body.type in by_type:
        return by_type[body.type]
    if media_type.endswith("ndjson"):
        return {"type": "string", "description": "One movement on each line."}
    # Anything that is no movement is refused by itself, and kept; the others are taken.
    return {
        "type": "array",
        "maxItems": 1000,
        "items": {"anyOf": [{"$ref": REFERENCE.format(name="Movement")}, {}]},
    }


def _responses(operation: Operation, by_type: Mapping[Any, Schema]) -> Schema:
    found = {str(status): _answer(answer, by_type) for status, answer in operation.answers.items()}
    for status in _problem_statuses(operation):
        if str(status) not in found:
            found[str(status)] = _problem(_PROBLEMS[status], status)
    found["default"] = _problem("Any other error.", 500)
    return found


def _problem_statuses(operation: Operation) -> Iterable[int]:
    if operation.action is not None:
        yield from (401, 403, 429, 503)
    if operation.path_parameters or operation.query_examples or operation.body is not None:
        yield from (404, 422)
    if operation.body is not None:
        yield from (400, 408, 413, 415)
    if operation.writes:
        yield 409
    if operation.must_match:
        yield from (412, 428)
    yield from operation.problems


def _answer(answer: Answer, by_type: Mapping[Any, Schema]) -> Schema:
    told: Schema = {"description": answer.description}
    if answer.headers:
        told["headers"] = {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in answer.headers.items()
        }
    if answer.type is not None:
        schema = by_type.get(answer.type, {"type": "string"})
        told["content"] = {answer.media_type: {"schema": schema, "example": answer.example}}
    return told


def _problem(description: str, status: int) -> Schema:
    told: Schema = {
        "description": description,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": REFERENCE.format(name="Problem")},
                "example": {**_EXAMPLE_PROBLEM, "status": status},
            }
        },
    }
    if status in _RETRIES:
        told["headers"] = {
            "Retry-After": {
                "description": "Seconds until it is worth sending the same again.",
                "schema": {"type": "string"},
            }
        }
    return told


def _mend(components: dict[str, Schema]) -> None:
    """Say what the types alone do not."""
    movement = movement_schema()
    movement.pop("$schema")
    movement.pop("$id")
    components["Movement"] = movement
    null = {"type": "null"}
    components["ReservationBody"]["oneOf"] = [
        {
            "title": "One SKU",
            "required": ["sku", "quantity"],
            "properties": {
                "sku": {"type": "string"},
                "quantity": {"type": "integer"},
                "lines": null,
            },
        },
        {
            "title": "Several SKUs",
            "required": ["lines"],
            "properties": {
                "lines": {"type": "array"},
                "sku": null,
                "quantity": null,
                "location": null,
            },
        },
    ]
    components["ExceptionShown"]["oneOf"] = [
        {"required": ["payload"]},
        {"required": ["payload_base64"]},
    ]
