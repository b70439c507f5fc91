"""The application: every call declared once, put together with FastAPI.

FastAPI routes the calls and shows the document; what a call takes and tells is decoded and encoded
with msgspec, so nothing of a hot call goes through Python objects of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import __version__
from engine.api import (
    routes_availability,
    routes_exceptions,
    routes_look,
    routes_movements,
    routes_observations,
    routes_reservations,
    routes_rules,
    routes_service,
    routes_steps,
)
from engine.api.audit import AuditFile
from engine.api.call import JSON
from engine.api.door import Door
from engine.api.keyring import KeyRing
from engine.api.metrics import ServiceMetrics
from engine.api.openapi import document
from engine.api.operations import Operation
from engine.api.problems import MEDIA_TYPE, plain_problem
from engine.api.runtime import Runtime

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
Endpoint = Callable[[Request], Awaitable[Response]]

GET: Final = "GET"
HEAD: Final = "HEAD"
OPENAPI_PATH: Final = "/openapi.json"
ADVICE: Final = "The calls are in /openapi.json, each with an example."


class _DirectRoute(APIRoute):
    """A route whose endpoint takes the request as it is: FastAPI's way for special needs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def all_operations(metrics: ServiceMetrics) -> tuple[Operation, ...]:
    """Every call, those first that come most often."""
    return (
        *routes_availability.OPERATIONS,
        *routes_reservations.OPERATIONS,
        *routes_movements.OPERATIONS,
        *routes_observations.OPERATIONS,
        *routes_steps.OPERATIONS,
        *routes_look.OPERATIONS,
        *routes_rules.OPERATIONS,
        *routes_exceptions.OPERATIONS,
        *routes_service.operations(metrics),
    )


def create_app(
    runtime: Runtime, keyring: KeyRing, audit: AuditFile, behind_proxy: bool = False
) -> ASGIApp:
    """The application over a runtime."""
    metrics = ServiceMetrics(runtime)
    operations = all_operations(metrics)
    door = Door(runtime, keyring, audit, metrics, behind_proxy)
    app = FastAPI(
        title="sellable",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={HTTPException: _tell_http},
        redirect_slashes=False,
    )
    front = _Front(app)
    for operation in operations:
        endpoint = door.endpoint(operation)
        front.add(operation.method, operation.path, endpoint)
        app.router.add_api_route(
            operation.path,
            endpoint,
            methods=[operation.method],
            name=operation.name,
            response_model=None,
            route_class_override=_DirectRoute,
        )
    _add_document(app, operations)
    return front


def _add_document(app: FastAPI, operations: Sequence[Operation]) -> None:
    text = msgspec.json.encode(document(operations, __version__))

    async def get_document(_: Request) -> Response:
        return Response(text, media_type=JSON)

    app.router.add_api_route(
        OPENAPI_PATH, get_document, response_model=None, route_class_override=_DirectRoute
    )


class _Front:
    """Answers every call that there is at once, and hands the others on.

    Between a server and an endpoint FastAPI has ten layers for needs that no call here has; they
    cost as much as a lookup does. What is left to them is the document, and to say that a path is
    not there or takes another method. Paths are looked at as they were sent, so that an encoded
    slash is a part of a name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._fixed: dict[tuple[str, str], Endpoint] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Endpoint]] = []

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Add a call."""
        if "{" in path:
            pattern = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))
            self._patterns.append((method, pattern, endpoint))
        else:
            self._fixed[method, path] = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or hand it on."""
        if scope["type"] == "http":
            if scope["method"] == HEAD:
                # The server sends the same without its body: it still knows what was asked.
                scope = {**scope, "method": GET}
            scope["path"] = scope["raw_path"].decode("ascii", errors="replace")
            endpoint = self._find(scope)
            if endpoint is not None:
                response = await endpoint(Request(scope, receive, send))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _find(self, scope: Scope) -> Endpoint | None:
        method, path = scope["method"], scope["path"]
        endpoint = self._fixed.get((method, path))
        if endpoint is not None:
            return endpoint
        for takes, pattern, endpoint in self._patterns:
            match = pattern.fullmatch(path) if takes == method else None
            if match is not None:
                scope["path_params"] = match.groupdict()
                return endpoint
        return None


async def _tell_http(request: Request, error: Exception) -> Response:
    """Tell what the router has found: no such path, or not this method."""
    assert isinstance(error, HTTPException)
    told = plain_problem(error.status_code, f"{request.method} {request.url.path}", ADVICE)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(_methods_of(request))
    return Response(msgspec.json.encode(told), error.status_code, headers, media_type=MEDIA_TYPE)


def _methods_of(request: Request) -> list[str]:
    """All methods that a path takes; one without parameters is no other path's parameter."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    path = request.scope["path"]
    routes = [route for route in routes if route.path == path] or routes
    found = {
        method for route in routes if route.path_regex.match(path) for method in route.methods or ()
    }
    return sorted(found | {HEAD} if GET in found else found)
