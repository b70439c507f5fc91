"""`POST /v1/movements`: movements from whoever has no Kafka, answered one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import JSON, NDJSON, Call, invalid, json_response
from engine.api.errors import ForbiddenError, InvalidError, MalformedError
from engine.api.keyring import Principal
from engine.api.operations import Answer, Body, Operation
from engine.api.roles import Action
from engine.contracts.answers import MovementAnswer
from engine.contracts.limits import MAX_BODY_BYTES, MAX_MOVEMENTS_PER_REQUEST

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class MovementsTold(msgspec.Struct):
    """What became of each movement, in the order in which they came, and how many of each."""

    outcomes: list[MovementAnswer]
    received: Annotated[int, Meta(ge=0)]
    applied: Annotated[int, Meta(ge=0)] = 0
    duplicate: Annotated[int, Meta(ge=0)] = 0
    absorbed: Annotated[int, Meta(ge=0)] = 0
    rejected: Annotated[int, Meta(ge=0)] = 0
    refused: Annotated[int, Meta(ge=0)] = 0


class _Sender(msgspec.Struct):
    source: Any = None


_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_sender: Final = msgspec.json.Decoder(_Sender).decode


async def post_movements(call: Call) -> Response:
    """Take movements."""
    lines = _lines(call)
    if len(lines) > MAX_MOVEMENTS_PER_REQUEST:
        raise InvalidError(
            f"there are {len(lines):,} movements, at most {MAX_MOVEMENTS_PER_REQUEST:,} are taken",
            "Nothing was taken. Send them in several calls.",
            "",
        )
    _check_sources(call.principal, lines)
    outcomes = await call.runtime.take(lines, call.origin)
    counts = Counter(one.outcome for one in outcomes)
    call.summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return json_response(MovementsTold(outcomes, len(outcomes), **counts))


def _lines(call: Call) -> list[bytes]:
    body = call.body.removeprefix(BYTE_ORDER_MARK)
    if call.media_type == NDJSON:
        return [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()]
    try:
        return [bytes(raw) for raw in _decode_array(body)]
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(
            f"the body is no JSON array: {error}",
            f"Nothing was taken. Send an array of movements, or one on each line as {NDJSON}.",
        ) from error


def _check_sources(principal: Principal, lines: Sequence[bytes]) -> None:
    """Check that the key may send every movement whose source can be read."""
    if principal.sends_all:
        return
    for place, line in enumerate(lines):
        try:
            source = _decode_sender(line).source
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # whatever it is, it becomes an exception
        if isinstance(source, str) and not principal.may_send(source):
            raise ForbiddenError(
                f"movement {place + 1} is of the source {source!r}, which the key may not send",
                "Nothing was taken. Use a key for this source.",
            )


_SALE: Final = {
    "id": "t-1001",
    "source": "pos-0042",
    "type": "sale",
    "sku": "10-0001",
    "location": "S-0101",
    "quantity": 2,
    "occurred_at": "2026-11-20T09:05:00Z",
}
_RETURN: Final = {**_SALE, "id": "t-1002", "type": "return", "quantity": 1}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/movements",
        name="postMovements",
        tag="Movements",
        summary="Send movements of stock",
        description="At most 1,000, as an array or one on each line (NDJSON), each as described"
        " on the page of the topic `movements`. Answered when all of them are durable, one by one:"
        " what is refused changes nothing and is kept as an exception. The same call again gives"
        " `duplicate` and harms nothing, so repeat it whenever an answer does not come.",
        handler=post_movements,
        action=Action.PUBLISH,
        body=Body(
            list[Any],
            {JSON: [_SALE, _RETURN], NDJSON: None},
            limit=MAX_BODY_BYTES,
        ),
        answers={
            200: Answer(
                "What became of each.",
                MovementsTold,
                {
                    "outcomes": [
                        {
                            "source": "pos-0042",
                            "id": "t-1001",
                            "sku": "10-0001",
                            "outcome": "applied",
                            "code": None,
                            "exceptions": [],
                        },
                        {
                            "source": "pos-0042",
                            "id": "t-1002",
                            "sku": "10-0001",
                            "outcome": "applied",
                            "code": None,
                            "exceptions": [],
                        },
                    ],
                    "received": 2,
                    "applied": 2,
                    "duplicate": 0,
                    "absorbed": 0,
                    "rejected": 0,
                    "refused": 0,
                },
            )
        },
        writes=True,
    ),
)
