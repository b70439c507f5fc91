"""Errors as callers get them: problem details (RFC 9457) with advice how to mend them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.errors import DetailedError, InvalidError
from engine.contracts.errors import NotFoundError, SellableError

MEDIA_TYPE: Final = "application/problem+json"
KIND: Final = "urn:sellable:problem:"

_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_SERVER_ERROR: Final = 500


class Problem(msgspec.Struct, omit_defaults=True):
    """What went wrong, and what to do about it; some kinds have further members."""

    type: Annotated[str, Meta(description="The kind of problem, a URN that does not change.")]
    title: str
    status: int
    detail: str
    advice: Annotated[str, Meta(description="How to mend it.")]
    instance: Annotated[str | None, Meta(description="The call, by its X-Request-Id.")] = None
    mistakes: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="Of rules: each with `file`, `line`, `message` and `remedy`."),
    ] = None
    failed: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="Cases of rules: each with `name`, `file`, `line` and `differences`."),
    ] = None
    fingerprint: Annotated[str | None, Meta(description="Of the rules that are in force.")] = None
    pointer: Annotated[
        str | None,
        Meta(description="Where: a JSON pointer into the body, or `?` and a parameter's name."),
    ] = None


def kind_of(title: str) -> str:
    """The URN of a kind of problem: its title in small letters with hyphens."""
    return KIND + _NO_WORD.sub("-", title.lower()).strip("-")


def problem_response(error: SellableError, request_id: str) -> Response:
    """The answer that tells of an error."""
    told: dict[str, Any] = {
        "type": kind_of(error.title),
        "title": error.title,
        "status": error.http_status,
        "detail": error.message,
        "advice": error.advice,
        "instance": f"urn:sellable:request:{request_id}",
    }
    if isinstance(error, InvalidError):
        told["pointer"] = error.pointer
    headers: dict[str, str] = {}
    if isinstance(error, DetailedError):
        told.update(error.more)
        headers.update(error.headers)
    retry_after = getattr(error, "retry_after_seconds", None)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="sellable"'
    return Response(msgspec.json.encode(told), error.http_status, headers, MEDIA_TYPE)


def plain_problem(status: int, detail: str, advice: str) -> dict[str, Any]:
    """A problem that the framework has found, such as a path that is not there."""
    is_missing = status == NotFoundError.http_status
    title = NotFoundError.title if is_missing else HTTPStatus(status).phrase
    return {
        "type": kind_of(title),
        "title": title,
        "status": status,
        "detail": detail,
        "advice": advice,
    }
