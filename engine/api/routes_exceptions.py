"""Working through exceptions: list, mend and replay, dismiss."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import JSON, Call, json_response, parse_body
from engine.api.errors import EXCEPTION_STATE, ConflictError, one_of
from engine.api.freshness import AsOf, Staleness, age_of
from engine.api.operations import Answer, Body, Operation, Parameter
from engine.api.roles import Action
from engine.contracts.answers import ExceptionShown
from engine.contracts.calls import DismissBody, ReplayBody
from engine.contracts.errors import NotFoundError, UsageError
from engine.contracts.exceptions import CODES, SEVERITIES
from engine.contracts.limits import MAX_PAGE_ROWS
from engine.contracts.outcomes import OBSERVATION_OUTCOMES, OUTCOMES
from engine.core.dead_letters import Wanted

DEFAULT_ROWS: Final = 100
NO_BODY: Final = b"{}"
ID_PATTERN: Final = r"^x-([0-9]{1,4}-)?[0-9]{8,18}$"
"""On Kafka a name holds the number of the partition that keeps the exception."""
PAGE_PATTERN: Final = r"^x-[0-9]{1,18}(\.[0-9]{1,18})*$"


class ExceptionsQuery(msgspec.Struct):
    """Which exceptions."""

    code: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"enum": list(CODES)})]],
        Meta(max_length=len(CODES), description="May be repeated."),
    ] = []
    severity: Annotated[
        list[Literal["critical", "high", "medium", "low"]],
        Meta(max_length=len(SEVERITIES), description="May be repeated."),
    ] = []
    status: Annotated[
        list[Literal["open", "replayed", "dismissed"]],
        Meta(max_length=3, description="May be repeated."),
    ] = []
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE_ROWS)] = DEFAULT_ROWS
    after: Annotated[
        Annotated[str, Meta(pattern=PAGE_PATTERN)] | None,
        Meta(description="`next` of the page before."),
    ] = None


class ExceptionsTold(msgspec.Struct):
    """A page of exceptions, oldest first."""

    as_of: AsOf
    staleness_seconds: Staleness
    exceptions: list[ExceptionShown]
    next: Annotated[
        str | None, Meta(description="Send it as `after` for the next page; null: no more.")
    ]


_OUTCOMES: Final = list(dict.fromkeys((*OUTCOMES, *OBSERVATION_OUTCOMES)))


class ReplayedTold(msgspec.Struct):
    """What became of a replayed movement or observation."""

    exception: str
    outcome: Annotated[str, Meta(extra_json_schema={"enum": _OUTCOMES})]


class DismissedTold(msgspec.Struct):
    """An exception that is closed."""

    exception: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["dismissed"]})]
    reason: str


_replay_body: Final = msgspec.json.Decoder(ReplayBody)
_dismiss_body: Final = msgspec.json.Decoder(DismissBody)


async def get_exceptions(call: Call) -> Response:
    """List exceptions."""
    query: ExceptionsQuery = call.query
    for code in query.code:
        one_of(code, CODES, "?code")
    wanted = Wanted(frozenset(query.code), frozenset(query.severity), frozenset(query.status))
    _, taken = call.runtime.freshness()
    page = await call.runtime.exceptions(wanted, query.after, query.limit)
    return json_response(ExceptionsTold(*age_of(taken), list(page.rows), page.next))


async def post_replay(call: Call) -> Response:
    """Replay an exception's movement."""
    call.body = call.body or NO_BODY
    body = parse_body(call, _replay_body)
    changes = {field: _as_text(value) for field, value in body.set.items()}
    exception = call.path["exception"]
    try:
        done = await call.runtime.replay(exception, changes, body.accept_old)
    except UsageError as error:
        raise _conflict(error) from error
    call.summary = f"replay {exception}: {done['outcome']}"
    return json_response(done)


async def post_dismiss(call: Call) -> Response:
    """Close an exception."""
    body = parse_body(call, _dismiss_body)
    exception = call.path["exception"]
    try:
        done = await call.runtime.dismiss(exception, body.reason)
    except UsageError as error:
        raise _conflict(error) from error
    call.summary = f"dismiss {exception}"
    return json_response(done)


def _conflict(error: UsageError) -> UsageError | ConflictError:
    """What the call asked for in sound words, and the exception's state does not allow."""
    if isinstance(error, NotFoundError):
        return error
    return ConflictError(EXCEPTION_STATE, error.message, error.advice)


def _as_text(value: str | int | bool | None) -> str:
    """A value as the command line gives it; an empty text takes the field out."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_EXCEPTION: Final[dict[str, Any]] = {
    "exception": "x-00000001",
    "code": "invalid_field",
    "severity": "critical",
    "message": "quantity is '2', expected for sale a whole number from 1 to 1,000,000,000",
    "outcome": "refused",
    "payload": '{"id":"t-2","source":"till-1","type":"sale","sku":"10-0001","location":"S-0101",'
    '"quantity":"2","occurred_at":"2026-11-20T09:07:00Z"}',
    "origin": "http:till-1:5f2c9d8e7a6b4c3d#1",
    "first_seen": "2026-11-20T09:07:01Z",
    "correlation_id": None,
    "status": "open",
    "changed_at": None,
    "note": None,
    "advice": "Mend the field at its source, then replay with --set FIELD=VALUE.",
}
_PARAMETERS: Final = (
    Parameter(
        "exception",
        "As listed.",
        {"type": "string", "pattern": ID_PATTERN},
        "x-00000001",
    ),
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/exceptions",
        name="getExceptions",
        tag="Exceptions",
        summary="List exceptions",
        description="What was refused, as it came, and warnings about what was applied; oldest"
        " first. A page that reads many exceptions to find few may be short, and still have a"
        " next one.",
        handler=get_exceptions,
        action=Action.SEE_EXCEPTIONS,
        query=ExceptionsQuery,
        query_examples={"status": ["open"], "severity": ["critical"]},
        answers={
            200: Answer(
                "A page of them.",
                ExceptionsTold,
                {
                    "as_of": "2026-11-20T09:07:02Z",
                    "staleness_seconds": 0.02,
                    "exceptions": [_EXCEPTION],
                    "next": None,
                },
            )
        },
    ),
    Operation(
        method="POST",
        path="/v1/exceptions/{exception}/replay",
        name="replayException",
        tag="Exceptions",
        summary="Mend a refused movement and take it again",
        description="With some fields set to other values. A movement that is refused again"
        " changes nothing, and the exception stays open (409).",
        handler=post_replay,
        action=Action.WORK_EXCEPTIONS,
        path_parameters=_PARAMETERS,
        body=Body(ReplayBody, {JSON: {"set": {"quantity": 2}}}, required=False),
        answers={
            200: Answer(
                "What became of it.",
                ReplayedTold,
                {"exception": "x-00000001", "outcome": "applied"},
            )
        },
        writes=True,
    ),
    Operation(
        method="POST",
        path="/v1/exceptions/{exception}/dismiss",
        name="dismissException",
        tag="Exceptions",
        summary="Close an exception",
        description="For good, with a reason for the record.",
        handler=post_dismiss,
        action=Action.WORK_EXCEPTIONS,
        path_parameters=_PARAMETERS,
        body=Body(DismissBody, {JSON: {"reason": "a test of the till"}}),
        answers={
            200: Answer(
                "It is closed.",
                DismissedTold,
                {
                    "exception": "x-00000001",
                    "status": "dismissed",
                    "reason": "a test of the till",
                },
            )
        },
        writes=True,
    ),
)
