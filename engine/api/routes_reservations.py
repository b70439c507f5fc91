"""Reservations: taken whole or not at all, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from engine.api.call import JSON, Call, idempotency_of, json_response, parse_body
from engine.api.errors import (
    DECIDED_BEFORE,
    NOT_ENOUGH_STOCK,
    RESERVATION_EXPIRED,
    RESERVATION_REFUSED,
    TWO_LINES_OF_ONE_SKU,
    ConflictError,
    InvalidError,
)
from engine.api.freshness import AsOf, Staleness, age_of
from engine.api.operations import Answer, Body, Operation, Parameter
from engine.api.roles import Action
from engine.contracts.calls import (
    Idempotency,
    ReservationBody,
    ReservationLine,
    ReservationOrder,
)
from engine.contracts.decisions import ACCEPTED, EXPIRED, PARTIAL, REJECTED
from engine.contracts.errors import NotFoundError
from engine.contracts.instants import parse_instant
from engine.contracts.limits import MAX_RESERVATION_LENGTH, MAX_SKU_LENGTH
from engine.contracts.outcomes import DUPLICATE
from engine.contracts.reservation_answers import ReservationAnswer, ReservationState
from engine.embedded.reservation_requests import not_allowed

CREATED: Final = 201

_decoder: Final = msgspec.json.Decoder(ReservationBody)


class ReservationTold(ReservationState):
    """A reservation as it stands."""

    as_of: AsOf
    staleness_seconds: Staleness


async def post_reservation(call: Call) -> Response:
    """Take a reservation."""
    body = parse_body(call, _decoder)
    lines = _lines(body)
    call.principal.check_channel(body.channel)
    if body.channel is not None and body.channel not in await call.runtime.channel_kinds():
        raise NotFoundError(
            f"there is no channel {body.channel}", "GET /v1/channels shows those that there are."
        )
    check_time(body.expires_at, "/expires_at")
    idempotency = idempotency_of(call, body)
    order = ReservationOrder(
        body, lines, call.principal.caller, movement_id(call, idempotency), idempotency
    )
    answer, repeated = await call.runtime.reserve(order, call.origin)
    call.summary = f"{answer.outcome} {body.reservation}"
    headers = repetition(repeated)
    if answer.outcome not in (ACCEPTED, PARTIAL):
        raise _not_taken(answer, headers)
    if len(lines) == 1:
        place = f"{quote(lines[0].sku, safe='')}/{quote(body.reservation, safe='')}"
        headers["location"] = f"/v1/reservations/{place}"
    return json_response(answer, CREATED, headers)


async def get_reservation(call: Call) -> Response:
    """Tell how a reservation stands."""
    sku, name = reservation_named(call)
    _, taken = call.runtime.freshness()
    state = await call.runtime.reservation(sku, name)
    if not call.principal.caller.may_use(state.channel):
        raise not_allowed(name)
    told = ReservationTold(**msgspec.structs.asdict(state), **_age(taken))
    return json_response(told)


def reservation_named(call: Call) -> tuple[str, str]:
    """The SKU and the name of the reservation that the path names.

    Raises:
        NotFoundError: nothing can be called so.
    """
    sku, name = call.path["sku"], call.path["reservation"]
    # In the store, `|` stands between the two: a SKU never holds one.
    if "|" in sku or len(sku) > MAX_SKU_LENGTH or len(name) > MAX_RESERVATION_LENGTH:
        raise NotFoundError(f"{sku} has no reservation {name}", "Check SKU and name.")
    return sku, name


def movement_id(call: Call, idempotency: Idempotency | None) -> str:
    """The id of the movements of a call: with an idempotency key the same every time.

    Without one it is another one every time, whatever the caller calls its requests.
    """
    if idempotency is None:
        return f"call-{call.name}"
    return f"idem-{idempotency.digest.hex()}"


def repetition(repeated: bool) -> dict[str, str]:
    """The header that tells that an answer was given before."""
    return {"idempotent-replayed": "true"} if repeated else {}


def check_time(text: str | None, pointer: str) -> None:
    """Check that a text is a time, if there is one.

    Raises:
        InvalidError: it is none.
    """
    if text is None:
        return
    try:
        parse_instant(text)
    except ValueError as error:
        raise InvalidError(
            f"at {pointer}: {error}",
            "Write date, time and offset, such as 2026-11-20T09:00:00Z.",
            pointer,
        ) from error


def _lines(body: ReservationBody) -> list[ReservationLine]:
    if body.lines is None:
        if body.sku is None or body.quantity is None:
            raise InvalidError(
                "neither `lines` nor `sku` and `quantity` are given",
                "Name one SKU with its quantity, or several in `lines`.",
                "/sku" if body.sku is None else "/quantity",
            )
        return [ReservationLine(body.sku, body.quantity, body.location)]
    if body.sku is not None or body.quantity is not None or body.location is not None:
        raise InvalidError(
            "`lines` are given beside `sku`, `quantity` or `location`",
            "Write everything into `lines`.",
            "/lines",
        )
    skus = {line.sku for line in body.lines}
    if len(skus) < len(body.lines):
        raise ConflictError(
            TWO_LINES_OF_ONE_SKU,
            "two lines are of the same SKU, and a reservation's name serves once per SKU",
            "Nothing was taken. Add their quantities up, or reserve under two names.",
        )
    return body.lines


def _not_taken(answer: ReservationAnswer, headers: Mapping[str, str]) -> ConflictError:
    more = {"reservation": answer.reservation, **msgspec.structs.asdict(answer)}
    if answer.outcome == REJECTED:
        short = [f"{line.sku}: {line.message}" for line in answer.lines if line.outcome == REJECTED]
        return ConflictError(
            NOT_ENOUGH_STOCK,
            f"not taken: {'; '.join(short)}",
            "Nothing is held. Offer what is available, under another reservation's name.",
            more,
            headers,
        )
    if answer.outcome == EXPIRED:
        return ConflictError(
            RESERVATION_EXPIRED,
            "`expires_at` has passed already: it was taken and expired at once",
            "Nothing is held. Reserve under another name, with a time that is to come.",
            more,
            headers,
        )
    if answer.outcome == DUPLICATE:
        return ConflictError(
            DECIDED_BEFORE,
            "this Idempotency-Key was used before, so long ago that its answer is forgotten",
            "Nothing was done now. GET the reservation to see how it stands.",
            more,
            headers,
        )
    refused = next(line for line in answer.lines if line.code is not None)
    return ConflictError(
        RESERVATION_REFUSED,
        f"{refused.sku}: {refused.message}",
        "Nothing is held. A name serves once per SKU: for a repetition send the same "
        "Idempotency-Key, for a new reservation a new name.",
        more,
        headers,
    )


def _age(instant: int | None) -> dict[str, Any]:
    as_of, staleness = age_of(instant)
    return {"as_of": as_of, "staleness_seconds": staleness}


_NAME_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_RESERVATION_LENGTH}
_SKU_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_SKU_LENGTH}

RESERVATION_PARAMETERS: Final = (
    Parameter("sku", "The item.", _SKU_SCHEMA, "10-0001"),
    Parameter("reservation", "The reservation's name.", _NAME_SCHEMA, "basket-7"),
)
REPLAYED: Final = {
    "Idempotent-Replayed": "`true`: the answer was given before, under the same key.",
}

_DECISION: Final = {
    "reservation": "basket-7",
    "sku": "10-0001",
    "location": None,
    "channel": "web-shop",
    "outcome": "accepted",
    "quantity": 2,
    "requested": 2,
    "reason": None,
    "decided_at": "2026-11-20T09:05:02.120Z",
    "correlation_id": None,
}
_ACCEPTED: Final = {
    "reservation": "basket-7",
    "outcome": "accepted",
    "decided_at": "2026-11-20T09:05:02.120Z",
    "lines": [
        {
            "sku": "10-0001",
            "location": None,
            "requested": 2,
            "quantity": 2,
            "outcome": "accepted",
            "code": None,
            "message": None,
        }
    ],
    "decisions": [_DECISION],
    "exceptions": [],
}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/reservations",
        name="postReservation",
        tag="Reservations",
        summary="Take a reservation",
        description="Decided against the stock of this very moment and answered when it is"
        " durable. Several SKUs in `lines` are all taken, or none. 409 with the title *Not enough"
        " stock* tells what is available; nothing is held then. Send an `Idempotency-Key`, so that"
        " the call can be repeated when its answer does not come.",
        handler=post_reservation,
        action=Action.RESERVE,
        body=Body(
            ReservationBody,
            {
                JSON: {
                    "reservation": "basket-7",
                    "sku": "10-0001",
                    "quantity": 2,
                    "channel": "web-shop",
                    "expires_at": "2026-11-20T09:20:00Z",
                }
            },
        ),
        answers={
            201: Answer(
                "All of it is held.",
                ReservationAnswer,
                _ACCEPTED,
                headers={**REPLAYED, "Location": "The reservation, when it is of one SKU."},
            )
        },
        writes=True,
        idempotent_by_key=True,
    ),
    Operation(
        method="GET",
        path="/v1/reservations/{sku}/{reservation}",
        name="getReservation",
        tag="Reservations",
        summary="See how a reservation stands",
        description="What is still held, where, and until when. An ended one is remembered for"
        " `reservation_window`.",
        handler=get_reservation,
        action=Action.SEE_RESERVATIONS,
        path_parameters=RESERVATION_PARAMETERS,
        answers={
            200: Answer(
                "The reservation.",
                ReservationTold,
                {
                    "reservation": "basket-7",
                    "sku": "10-0001",
                    "status": "open",
                    "quantity": 2,
                    "location": None,
                    "channel": "web-shop",
                    "confirmed": False,
                    "expires_at": "2026-11-20T09:20:00Z",
                    "correlation_id": None,
                    "as_of": "2026-11-20T09:05:02.450Z",
                    "staleness_seconds": 0.012,
                },
            )
        },
    ),
)
