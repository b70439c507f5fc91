"""The steps of a reservation: confirm, release, fulfil, allocate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from engine.api.call import JSON, Call, idempotency_of, json_response, parse_body
from engine.api.errors import NOT_ALLOCATED, RESERVATION_ENDED, STEP_REFUSED, ConflictError
from engine.api.operations import Answer, Body, Operation
from engine.api.roles import Action
from engine.api.routes_reservations import (
    REPLAYED,
    RESERVATION_PARAMETERS,
    check_time,
    movement_id,
    repetition,
    reservation_named,
)
from engine.contracts.calls import AllocateBody, FulfilBody, ReleaseBody, StepBody, StepOrder
from engine.contracts.outcomes import REFUSED
from engine.contracts.reservation_answers import OPEN, StepAnswer

NO_BODY: Final = b"{}"


def _step(kind: str, body_type: type[StepBody]) -> Callable[[Call], Awaitable[Response]]:
    decoder = msgspec.json.Decoder(body_type)

    async def post_step(call: Call) -> Response:
        sku, name = reservation_named(call)
        call.body = call.body or NO_BODY
        body = parse_body(call, decoder)
        check_time(body.occurred_at, "/occurred_at")
        fields = {
            field: value
            for field, value in msgspec.structs.asdict(body).items()
            if value is not None
        }
        idempotency = idempotency_of(call, body)
        id = movement_id(call, idempotency)
        order = StepOrder(kind, sku, name, fields, call.principal.caller, id, idempotency)
        answer, repeated = await call.runtime.step(order, call.origin)
        call.summary = f"{kind} {name}: {answer.outcome}, {answer.reservation.status}"
        headers = repetition(repeated)
        _check(kind, answer, fields, headers)
        return json_response(answer, headers=headers)

    return post_step


def _check(
    kind: str, answer: StepAnswer, fields: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """Check that what was asked for has come about.

    Raises:
        ConflictError: it has not; the problem tells what has.
    """
    reservation = answer.reservation
    more = {
        "outcome": answer.outcome,
        "reservation": reservation,
        "decisions": answer.decisions,
        "exceptions": answer.exceptions,
    }
    if answer.outcome == REFUSED:
        why = answer.exceptions[0].message if answer.exceptions else "it was refused"
        raise ConflictError(
            STEP_REFUSED,
            why,
            "Nothing was changed. Mend it and send it again.",
            more,
            headers,
        )
    if kind == "confirm" and not (reservation.status == OPEN and reservation.confirmed):
        raise ConflictError(
            RESERVATION_ENDED,
            f"the reservation is {reservation.status}, so it cannot be confirmed any more",
            "Nothing is held for it: reserve again under another name before you promise it.",
            more,
            headers,
        )
    if kind == "allocate" and reservation.location != fields["location"]:
        where = reservation.location or "without a location"
        raise ConflictError(
            NOT_ALLOCATED,
            f"the reservation is {reservation.status} and {where}",
            "Only an open reservation without a location can be given one.",
            more,
            headers,
        )


_ANSWER: Final[dict[str, Any]] = {
    "outcome": "applied",
    "decided_at": "2026-11-20T09:06:10.200Z",
    "reservation": {
        "reservation": "basket-7",
        "sku": "10-0001",
        "status": "open",
        "quantity": 2,
        "location": None,
        "channel": "web-shop",
        "confirmed": True,
        "expires_at": "2026-11-20T09:20:00Z",
        "correlation_id": None,
    },
    "decisions": [],
    "exceptions": [],
}
_ENDED: Final = {**_ANSWER["reservation"], "status": "ended", "quantity": 0}
_END: Final = {
    "reservation": "basket-7",
    "sku": "10-0001",
    "location": None,
    "channel": "web-shop",
    "outcome": "released",
    "quantity": 2,
    "requested": 2,
    "reason": "changed their mind",
    "decided_at": "2026-11-20T09:06:10.200Z",
    "correlation_id": None,
}


def _operation(
    kind: str,
    body: type[StepBody],
    summary: str,
    description: str,
    example: Mapping[str, Any],
    answer: Mapping[str, Any],
) -> Operation:
    return Operation(
        method="POST",
        path=f"/v1/reservations/{{sku}}/{{reservation}}/{kind}",
        name=f"{kind}Reservation",
        tag="Reservations",
        summary=summary,
        description=description,
        handler=_step(kind, body),
        action=Action.RESERVE,
        path_parameters=RESERVATION_PARAMETERS,
        body=Body(body, {JSON: example}, required=kind in ("allocate", "fulfil")),
        answers={200: Answer("How it stands now.", StepAnswer, answer, headers=REPLAYED)},
        writes=True,
        idempotent_by_key=True,
    )


OPERATIONS: Final = (
    _operation(
        "confirm",
        StepBody,
        "Confirm a reservation",
        "The customer has paid: it no longer expires. 409 when it has ended before; unless the"
        " customer was in time (`occurred_at` before `expires_at`), then it is taken again.",
        {"reference": "payment-4711"},
        _ANSWER,
    ),
    _operation(
        "release",
        ReleaseBody,
        "Give back a reservation, or a part of it",
        "Without a quantity all of it. More than is left, or an ended one, changes nothing beyond"
        " what is left and is told in `exceptions`.",
        {"reason": "changed their mind"},
        {**_ANSWER, "reservation": {**_ENDED, "confirmed": False}, "decisions": [_END]},
    ),
    _operation(
        "fulfil",
        FulfilBody,
        "Tell that the goods have left the shelf",
        "The reservation resolves by the quantity, and the stock at the location goes down by it;"
        " also when the reservation has ended, since the goods are gone (told in `exceptions`).",
        {"location": "DC-EAST", "quantity": 2},
        {
            **_ANSWER,
            "reservation": _ENDED,
            "decisions": [{**_END, "outcome": "fulfilled", "reason": None}],
        },
    ),
    _operation(
        "allocate",
        AllocateBody,
        "Decide from where a reservation is met",
        "Moves an open reservation without a location to one. 409 when it has one already, or has"
        " ended.",
        {"location": "DC-EAST"},
        {**_ANSWER, "reservation": {**_ANSWER["reservation"], "location": "DC-EAST"}},
    ),
)
