"""The door that every call goes through: who, what, how often, how large; measured and recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from engine.api.audit import AuditFile, AuditRecord
from engine.api.call import (
    Call,
    header,
    media_type_of,
    parse_query,
    path_of,
    read_body,
)
from engine.api.errors import FaultError, ForbiddenError
from engine.api.keyring import KeyRing, Principal
from engine.api.metrics import ServiceMetrics
from engine.api.names import Names
from engine.api.operations import Operation
from engine.api.problems import problem_response
from engine.api.runtime import Runtime
from engine.contracts.errors import SellableError
from engine.contracts.instants import format_instant

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
REFUSALS: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
)
MAX_SHOWN: Final = 200
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

Headers = Sequence[tuple[bytes, bytes]]


class Door:
    """What all calls have in common; `endpoint` makes the way in for one of them."""

    def __init__(
        self,
        runtime: Runtime,
        keyring: KeyRing,
        audit: AuditFile,
        metrics: ServiceMetrics,
        behind_proxy: bool = False,
    ) -> None:
        self._runtime = runtime
        self._keyring = keyring
        self._audit = audit
        self._metrics = metrics
        self._behind_proxy = behind_proxy
        self._names = Names()
        self._logger = structlog.get_logger("sellable.http")

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """The function that answers a call."""
        lists = operation.lists

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            headers: Headers = request.scope["headers"]
            name = self._names.new()
            request_id = _told_id(headers) or name
            principal: Principal | None = None
            try:
                principal = self._let_in(operation, headers)
                call = await self._make_call(operation, request, principal, lists)
                call.name, call.request_id = name, request_id
                response = await operation.handler(call)
                outcome = call.summary
            except SellableError as error:
                # Kept as text: an error holds the frame that it was met in, and that the error.
                outcome = error.message
                response = problem_response(error, request_id)
            except Exception as error:
                self._logger.exception("a call has failed", request=request_id, call=operation.name)
                outcome = repr(error)
                response = problem_response(FaultError(), request_id)
            if operation.writes or response.status_code in REFUSALS:
                try:
                    status = response.status_code
                    await self._record(request, request_id, principal, status, outcome)
                except SellableError as error:
                    response = problem_response(error, request_id)
            response.headers["x-request-id"] = request_id
            self._metrics.note(operation.name, response.status_code, time.perf_counter() - began)
            return response

        return answer

    def _let_in(self, operation: Operation, headers: Headers) -> Principal | None:
        """Find out who calls, and whether it may."""
        if operation.action is None:
            return None
        principal = self._keyring.identify(headers)
        if principal.id is None:
            _check_host(headers)
        principal.count_call(time.monotonic())
        principal.check(operation.action)
        return principal

    async def _make_call(
        self,
        operation: Operation,
        request: Request,
        principal: Principal | None,
        lists: frozenset[str],
    ) -> Call:
        scope = request.scope
        headers: Headers = scope["headers"]
        body, media_type = b"", ""
        if operation.body is not None:
            body = await read_body(request.receive, headers, operation.body.limit)
            if body or operation.body.required:
                media_type = media_type_of(headers, operation.body.media_types)
        return Call(
            runtime=self._runtime,
            principal=self._keyring.nobody if principal is None else principal,
            headers=headers,
            path=path_of(scope["path_params"]) if operation.path_parameters else {},
            query=parse_query(scope["query_string"], operation.query, lists),
            body=body,
            media_type=media_type,
            operation=operation.name,
        )

    async def _record(
        self,
        request: Request,
        request_id: str,
        principal: Principal | None,
        status: int,
        outcome: str,
    ) -> None:
        key = header(request.scope["headers"], b"idempotency-key")
        await self._audit.write(
            AuditRecord(
                at=format_instant(time.time_ns() // 1_000),
                request=request_id,
                key=None if principal is None else principal.id,
                name=None if principal is None else principal.name,
                role=None if principal is None else principal.role,
                client=self._client_of(request),
                method=request.scope["method"],
                path=request.scope["path"][:MAX_SHOWN],
                status=status,
                outcome=outcome[:MAX_SHOWN],
                idempotency_key=None if key is None else key[:MAX_SHOWN],
            )
        )

    def _client_of(self, request: Request) -> str:
        """The address of the caller: behind a proxy the one that the proxy has seen."""
        if self._behind_proxy:
            told = header(request.scope["headers"], b"x-forwarded-for")
            if told:
                return told.rpartition(",")[2].strip()[:MAX_SHOWN]
        client = request.scope.get("client")
        return "" if client is None else str(client[0])


def _told_id(headers: Headers) -> str | None:
    """The caller's own `X-Request-Id`, if it is a plain one."""
    told = header(headers, b"x-request-id")
    return told if told is not None and _REQUEST_ID.fullmatch(told) else None


def _check_host(headers: Headers) -> None:
    """Check that a call without a key was meant for this machine.

    A web page that somebody here looks at may call any address under a name of its own; then the
    header Host has that name.

    Raises:
        ForbiddenError: it was meant for another one.
    """
    host = header(headers, b"host") or ""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() not in LOOPBACK_NAMES:
        raise ForbiddenError(
            f"without keys only calls to this machine are answered, not to {host[:MAX_SHOWN]!r}",
            "Call 127.0.0.1 or localhost, or make keys with `sellable keys create`.",
        )
